"""What was logged, whichever of Airflow's two kinds of logger it went through."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

    import pytest


class Logs:
    """All that was logged during a test.

    :param standard: what went through `logging`
    :param structured: what went through structlog
    """

    def __init__(self, standard: pytest.LogCaptureFixture, structured: Sequence[MutableMapping[str, Any]]) -> None:
        self._standard = standard
        self._structured = structured

    @property
    def warnings(self) -> list[str]:
        """Messages of warnings."""
        return [r.getMessage() for r in self._standard.records if r.levelno == logging.WARNING] + [
            str(entry["event"]) for entry in self._structured if entry["log_level"] == "warning"
        ]

    @property
    def lines(self) -> list[str]:
        """Messages of all levels."""
        return self._standard.messages + [" ".join(map(str, entry.values())) for entry in self._structured]

    @property
    def text(self) -> str:
        """All lines, and tracebacks."""
        return "\n".join([self._standard.text, *self.lines])
