"""So many submits a minute, as the service has it."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from airflow_provider_kling.simulator.answers import rate_limited

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_kling.simulator.answers import Answer

_MINUTE = 60.0


class SubmitLimit:
    """Takes so many submits within any minute and refuses the others, which do not count. Thread safe.

    :param per_minute: how many submits it takes in 60 API seconds.
    :param speed: API seconds per second of ``clock``.
    :param tell: whether refusals carry ``Retry-After``, in seconds of ``clock``.
    :param clock: seconds that only grow; the monotonic clock by default.
    :raises ValueError: if it would take none at all.
    """

    def __init__(
        self, per_minute: int, *, speed: float, tell: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if per_minute < 1:
            raise ValueError("submits_per_minute must be 1 or more")
        self._per_minute = per_minute
        self._minute = _MINUTE / speed
        self._tell = tell
        self._clock = clock
        self._lock = threading.Lock()
        self._taken: deque[float] = deque()

    def refusal(self) -> Answer | None:
        """Return the refusal of a submit that arrives now; None takes it."""
        with self._lock:
            now = self._clock()
            while self._taken and self._taken[0] <= now - self._minute:
                self._taken.popleft()
            if len(self._taken) < self._per_minute:
                self._taken.append(now)
                return None
            room_in = self._taken[0] + self._minute - now
        return rate_limited(math.ceil(room_in) if self._tell else None)
