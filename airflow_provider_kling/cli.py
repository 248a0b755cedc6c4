"""`airflow kling demo` and `airflow kling simulator` (Airflow 3.2+); every `airflow` call imports this file."""

import argparse
from typing import Any

from airflow.cli.cli_config import ActionCommand, Arg, CLICommand, GroupCommand, lazy_load_command

from airflow_provider_kling.demo import options

SIMULATOR_OPTIONS: dict[str, dict[str, Any]] = {
    "--port": {"type": int, "default": 8089, "help": "port on 127.0.0.1; 0 takes a free one (default: 8089)"},
    "--speed": {"type": float, "default": 1.0, "help": "how much faster than the clock it renders (default: 1)"},
    "--render-seconds": {"type": float, "default": 240.0, "help": "how long a render takes (default: 240)"},
    "--api-key": {"default": "sk_simulator", "help": "the key that callers must show (default: sk_simulator)"},
}


def get_kling_commands() -> list[CLICommand]:
    """Return the commands that this provider adds to `airflow`."""
    demo = ActionCommand(
        name="demo",
        help="Make one 4K video with a simulated API, from prompt to file",
        description=options.DESCRIPTION,
        func=lazy_load_command("airflow_provider_kling.demo.run.run"),
        args=_args(options.OPTIONS),
    )
    simulator = ActionCommand(
        name="simulator",
        help="Serve the simulated Highway API until Ctrl-C",
        func=simulate,
        args=_args(SIMULATOR_OPTIONS),
    )
    return [GroupCommand(name="kling", help="Kling text-to-video", subcommands=(demo, simulator))]


def simulate(args: argparse.Namespace) -> None:
    """Serve the simulated Highway API until Ctrl-C.

    :param args: the options `port`, `speed`, `render_seconds` and `api_key`
    """
    from airflow_provider_kling.simulator.server import KlingSimulator, run_forever

    run_forever(
        KlingSimulator(api_key=args.api_key, port=args.port, render_seconds=args.render_seconds, speed=args.speed)
    )


def _args(table: dict[str, dict[str, Any]]) -> tuple[Arg, ...]:
    return tuple(Arg((flag,), **settings) for flag, settings in table.items())
