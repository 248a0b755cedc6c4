"""What was asked and what was bought."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True)
class Request:
    """One request as it arrived."""

    at: float
    """Epoch seconds."""
    method: str
    path: str
    query: Mapping[str, str]
    body: dict[str, Any] | None
    """The JSON object sent, or None."""
    authorized: bool
    """Whether an Authorization header came along, be it right or wrong."""
    headers: Mapping[str, str]
    """By lower-case name; the value of Authorization is ``***``."""
    answered: int | None
    """The status sent back; None if the connection was ended instead."""


@dataclass(frozen=True)
class Accepted:
    """One render really bought."""

    task_id: str
    model: str
    body: dict[str, Any]
    at: float
    """Epoch seconds."""
    seconds: int
    sound: bool


class Journal:
    """Counts and remembers; wakes whoever waits. Thread safe."""

    def __init__(self) -> None:
        # Reentrant: a predicate in wait_for() reads the journal while the lock is held.
        self._changed = threading.Condition(threading.RLock())
        self._requests: list[Request] = []
        self._accepted: list[Accepted] = []
        self._counts: Counter[str] = Counter()
        self._polls_of: Counter[str] = Counter()

    def record(self, request: Request, stage: str | None) -> None:
        """Note a request, just before it is answered.

        :param request: the request.
        :param stage: "submit", "poll" or "download"; None if it is none of them.
        """
        with self._changed:
            self._requests.append(request)
            if stage is not None:
                self._counts[stage] += 1
            if stage == "poll":
                self._polls_of[request.query.get("task_id", "")] += 1
            self._changed.notify_all()

    def buy(self, accepted: Accepted) -> None:
        """Note a render bought."""
        with self._changed:
            self._accepted.append(accepted)
            self._changed.notify_all()

    def forget(self) -> None:
        """Start from nothing."""
        with self._changed:
            self._requests.clear()
            self._accepted.clear()
            self._counts.clear()
            self._polls_of.clear()

    def requests(self) -> list[Request]:
        """Return all requests so far."""
        with self._changed:
            return list(self._requests)

    def accepted(self) -> list[Accepted]:
        """Return all renders bought so far."""
        with self._changed:
            return list(self._accepted)

    def count(self, stage: str) -> int:
        """Return how many requests of that stage arrived."""
        with self._changed:
            return self._counts[stage]

    def polls_of(self, task_id: str) -> int:
        """Return how often that task was asked for."""
        with self._changed:
            return self._polls_of[task_id]

    def wait_for(self, predicate: Callable[[], object], timeout: float) -> None:
        """Block until something is true; looked at again whenever a request is noted.

        :param predicate: what to wait for.
        :param timeout: wall seconds to wait at most, before TimeoutError.
        """
        with self._changed:
            if not self._changed.wait_for(predicate, timeout):
                raise TimeoutError(f"it did not come true within {timeout} s")
