"""The demo's options: one table for the `airflow` command line and for `python -m`; cheap to import."""

import argparse
import os
from typing import Any

DESCRIPTION = (
    "Make one 4K video with a real Airflow and a simulated Highway API: costs nothing, needs no key. "
    "Each option can also be set by an environment variable: KLING_DEMO_PROMPT, KLING_DEMO_DURATION, ..."
)

DEFAULTS = {
    "prompt": "A red fox crosses a frozen lake at sunrise, slow tracking shot",
    "duration": "5",
    "aspect_ratio": "16:9",
    "output": ".demo",
}
SWITCHES = ("sound", "keep")
TRUE, FALSE = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")

OPTIONS: dict[str, dict[str, Any]] = {
    "--prompt": {"help": f"what the video shows (default: {DEFAULTS['prompt']})"},
    "--duration": {"help": "length in seconds, 3 to 15 (default: 5)"},
    "--aspect-ratio": {"help": "16:9, 9:16 or 1:1 (default: 16:9)"},
    "--sound": {"action": "store_true", "default": None, "help": "with a sound track"},
    "--output": {"metavar": "DIR", "help": f"folder for the video (default: {DEFAULTS['output']})"},
    "--keep": {"action": "store_true", "default": None, "help": "leave Airflow's UI running until Ctrl-C"},
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of `python -m airflow_provider_kling.demo`."""
    parser = argparse.ArgumentParser(prog="python -m airflow_provider_kling.demo", description=DESCRIPTION)
    for flag, settings in OPTIONS.items():
        parser.add_argument(flag, **settings)
    return parser


def resolve(args: argparse.Namespace) -> argparse.Namespace:
    """Fill in what the command line leaves open, from the environment or with the defaults.

    :param args: parsed options; `None` means open
    :raises ValueError: when an environment variable makes no sense
    """
    found: dict[str, str | bool] = {}
    for name, default in DEFAULTS.items():
        given = getattr(args, name)
        # An empty variable is one that was not set: `make` exports them all.
        found[name] = given if given is not None else os.environ.get(_variable(name)) or default
    for name in SWITCHES:
        word = os.environ.get(_variable(name), "").strip().lower()
        if word not in TRUE + FALSE:
            raise ValueError(f"{_variable(name)}={word!r}: use 1 or 0")
        found[name] = getattr(args, name) or word in TRUE
    return argparse.Namespace(**found)


def _variable(name: str) -> str:
    return f"KLING_DEMO_{name.upper()}"
