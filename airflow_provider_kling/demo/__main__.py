"""`python -m airflow_provider_kling.demo`."""

from airflow_provider_kling.demo.options import parser
from airflow_provider_kling.demo.run import run

if __name__ == "__main__":
    run(parser().parse_args())
