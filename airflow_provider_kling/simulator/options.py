"""The simulator's command line: one table for `airflow kling simulator` and `python -m`; cheap to import."""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from typing import Any

OPTIONS: dict[str, dict[str, Any]] = {
    "--port": {"type": int, "default": 8089, "help": "port on 127.0.0.1; 0 takes a free one (default: 8089)"},
    "--speed": {"type": float, "default": 1.0, "help": "how much faster than the clock it renders (default: 1)"},
    "--render-seconds": {"type": float, "default": 240.0, "help": "how long a render takes (default: 240)"},
    "--submits-per-minute": {"type": int, "help": "answer 429 to more submits than that (default: take all)"},
    "--tell-retry-after": {"action": "store_true", "help": "say in such a 429 when there is room again"},
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

    :param args: one attribute for each of `OPTIONS`
    """
    from airflow_provider_kling.simulator.server import KlingSimulator, run_forever

    if find_spec("av") is None or find_spec("PIL") is None:
        sys.exit("The simulator draws its videos with PyAV and Pillow: pip install 'airflow-provider-kling[simulator]'")
    if args.speed <= 0 or args.render_seconds < 0:
        sys.exit("--speed must be above 0, and --render-seconds not below 0.")
    if args.submits_per_minute is not None and args.submits_per_minute < 1:
        sys.exit("--submits-per-minute must be 1 or more.")
    try:
        simulator = KlingSimulator(
            api_key=args.api_key,
            port=args.port,
            render_seconds=args.render_seconds,
            speed=args.speed,
            submits_per_minute=args.submits_per_minute,
            tell_retry_after=args.tell_retry_after,
        )
        run_forever(simulator)
    except (OSError, OverflowError) as error:
        sys.exit(f"The simulator can't listen on port {args.port} ({error}); --port 0 takes a free one.")
