"""What onlookers are told of a render while it goes on: a few times in its life, never once per question."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from airflow_provider_kling.api.models import Render

    Tell = Callable[[Render, float | None, float], Awaitable[None]]
    """Takes an answer, the epoch seconds of the expected end, and those of the answer."""

log = logging.getLogger(__name__)

_MOST = 8
"""Of one render."""
_LEAST_APART = 0.25
"""Seconds, of all in this process: each keeps the one supervisor of a triggerer busy for some 30 ms, and a crowd must
not take a share of it that counts. Who is put off tries again later."""
_MOST_AT_ONCE = 2
"""Of all in this process: each may hold a thread of the event loop's pool, without which nobody can look up a host."""
_told_at = [float("-inf")]
_under_way: set[asyncio.Task[None]] = set()
"""Nobody waits for them, not even the end of their render; an event loop alone would forget them."""


class Teller:
    """Tells what is new; whatever goes wrong with it, the render is none the worse.

    :param tell: who is told; None when nobody listens
    """

    __slots__ = ("_count", "_expected", "_message", "_quarter", "_status", "_tell")

    def __init__(self, tell: Tell | None) -> None:
        self._tell = tell
        self._status, self._quarter, self._expected, self._count = "", 0, 0.0, 0
        self._message: asyncio.Task[None] | None = None

    def hear(self, render: Render, *, expected: float | None, now: float) -> None:
        """Take in an answer, and tell it in the background if it is news.

        :param render: the answer
        :param expected: epoch seconds at which the render should be finished, when known
        :param now: epoch seconds
        """
        if self._tell is None or not self._is_news(render, expected, now) or not self._may_tell():
            return
        self._status, self._quarter = render.raw_status, _quarter(render)
        self._expected, self._count = expected or 0.0, self._count + 1
        self._message = asyncio.create_task(_send(self._tell, render, expected, now))
        _under_way.add(self._message)
        self._message.add_done_callback(_under_way.discard)

    def _is_news(self, render: Render, expected: float | None, now: float) -> bool:
        overdue = self._expected < now < (expected or 0.0)  # the first expectation too
        return render.raw_status != self._status or _quarter(render) > self._quarter or overdue

    def _may_tell(self) -> bool:
        now = time.monotonic()
        busy = (self._message and not self._message.done()) or len(_under_way) >= _MOST_AT_ONCE
        if busy or self._count >= _MOST or now - _told_at[0] < _LEAST_APART:
            return False
        _told_at[0] = now
        return True


async def _send(tell: Tell, render: Render, expected: float | None, now: float) -> None:
    try:
        await tell(render, expected, now)
    except Exception as error:  # noqa: BLE001  # Airflow's own trouble
        log.debug("Nobody could be told how render %s stands (%s).", render.task_id, type(error).__name__)


def _quarter(render: Render) -> int:
    return int((render.progress_percent or 0.0) // 25)
