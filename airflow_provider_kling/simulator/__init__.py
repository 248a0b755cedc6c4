"""The Highway API in a box: a strict, honest stand-in for demos and tests, which buys nothing.

Example::

    from airflow_provider_kling.simulator import KlingSimulator, faults

    with KlingSimulator(speed=1200) as simulator:
        simulator.inject(faults.RateLimited(retry_after=1), on="submit")
        ...
        assert simulator.billed_seconds == 5
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_kling.simulator import faults
    from airflow_provider_kling.simulator.server import KlingSimulator, run_forever

__all__ = ["KlingSimulator", "faults", "run_forever"]


# Lazy, because pytest imports this package in every run in which the provider is installed.
_HOMES = {"KlingSimulator": "server", "run_forever": "server"}


def __getattr__(name: str) -> Any:
    if name == "faults":
        return import_module(f"{__name__}.faults")
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
