"""`airflow kling demo` and `airflow kling simulator` (Airflow 3.2+); every `airflow` call imports this file."""

from typing import Any

from airflow.cli.cli_config import ActionCommand, Arg, CLICommand, GroupCommand, lazy_load_command

from airflow_provider_kling.demo import options as demo_options
from airflow_provider_kling.simulator import options as simulator_options


def get_kling_commands() -> list[CLICommand]:
    """Return the commands that this provider adds to `airflow`."""
    demo = ActionCommand(
        name="demo",
        help="Make one 4K video with a simulated API, from prompt to file",
        description=demo_options.DESCRIPTION,
        func=lazy_load_command("airflow_provider_kling.demo.run.run"),
        args=_args(demo_options.OPTIONS),
    )
    simulator = ActionCommand(
        name="simulator",
        help="Serve the simulated Highway API until Ctrl-C",
        func=lazy_load_command("airflow_provider_kling.simulator.options.simulate"),
        args=_args(simulator_options.OPTIONS),
    )
    return [GroupCommand(name="kling", help="Kling text-to-video", subcommands=(demo, simulator))]


def _args(table: dict[str, dict[str, Any]]) -> tuple[Arg, ...]:
    return tuple(Arg((flag,), **settings) for flag, settings in table.items())
