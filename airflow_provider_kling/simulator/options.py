"""The simulator's command line: one table for `airflow kling simulator` and `python -m`; cheap to import."""

from __future__ import annotations

import argparse
from typing import Any

OPTIONS: dict[str, dict[str, Any]] = {
    "--port": {"type": int, "default": 8089, "help": "port on 127.0.0.1; 0 takes a free one (default: 8089)"},
    "--speed": {"type": float, "default": 1.0, "help": "how much faster than the clock it renders (default: 1)"},
    "--render-seconds": {"type": float, "default": 240.0, "help": "how long a render takes (default: 240)"},
    "--api-key": {"default": "sk_simulator", "help": "the key that callers must show (default: sk_simulator)"},
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of `python -m airflow_provider_kling.simulator`."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_kling.simulator", description="Serve the simulated Highway API until Ctrl-C."
    )
    for flag, settings in OPTIONS.items():
        parser.add_argument(flag, **settings)
    return parser


def simulate(args: argparse.Namespace) -> None:
    """Serve the simulated Highway API until Ctrl-C.

    :param args: the options `port`, `speed`, `render_seconds` and `api_key`
    """
    from airflow_provider_kling.simulator.server import KlingSimulator, run_forever

    run_forever(
        KlingSimulator(api_key=args.api_key, port=args.port, render_seconds=args.render_seconds, speed=args.speed)
    )
