"""`python -m airflow_provider_kling.simulator`: the simulator as a server."""

from airflow_provider_kling.simulator.options import parser, simulate

if __name__ == "__main__":
    simulate(parser().parse_args())
