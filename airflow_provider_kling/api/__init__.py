"""The Highway API as this provider uses it; nothing in here knows Airflow."""
