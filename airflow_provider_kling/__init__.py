"""Apache Airflow provider for Kling v3.0 4K text-to-video on the Highway API."""

__version__ = "0.1.0"
