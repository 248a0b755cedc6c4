"""Try the provider in a minute: the simulated Highway API and a real Airflow, both thrown away afterwards."""
