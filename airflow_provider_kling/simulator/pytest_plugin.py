"""The ``kling_simulator`` fixture, found by pytest wherever the provider is installed.

Imports nothing but pytest: it is loaded in every test run, also in those that never simulate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_kling.simulator.server import KlingSimulator


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        "kling_simulator(**options): options of KlingSimulator for the kling_simulator fixture",
    )


@pytest.fixture
def kling_simulator(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[KlingSimulator]:
    """A running simulator, which the connection ``kling_default`` leads to.

    A render takes 0.2 s (``speed=1200``) and its video is small (``short_side=270``: 480x270 pixels). For
    other options mark the test: ``@pytest.mark.kling_simulator(short_side=2160, speed=1)``.
    """
    from airflow_provider_kling.simulator.server import KlingSimulator

    options: dict[str, Any] = {"speed": 1200, "short_side": 270}
    for marker in reversed(list(request.node.iter_markers("kling_simulator"))):  # the closest one wins
        options |= marker.kwargs
    with KlingSimulator(**options) as simulator:
        monkeypatch.setenv("AIRFLOW_CONN_KLING_DEFAULT", simulator.connection_json)
        yield simulator
