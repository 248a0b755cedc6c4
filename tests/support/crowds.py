"""A crowd of mapped tasks before an API with a limit, played in pure Python: no process, no clock, no waiting.

Workers, starting and stopping take time, and Airflow starts the lowest map index first among those whose time has come.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from airflow_provider_kling.api.errors import KlingError, RateLimited
from airflow_provider_kling.api.lining_up import Place, Waiting, must_stand_back, next_turn

Limit = Callable[[float], float | None]
"""Takes a submit at a time, or says in how many seconds there is room."""
Rule = Callable[[KlingError | None, Place, Waiting, random.Random], float | None]
"""Seconds to step aside; it is asked without an error first, where None means to submit."""


def any_minute(limit: int) -> Limit:
    """So many within any 60 seconds."""
    taken: deque[float] = deque()

    def take(now: float) -> float | None:
        while taken and taken[0] <= now - 60:
            taken.popleft()
        if len(taken) >= limit:
            return taken[0] + 60 - now
        taken.append(now)
        return None

    return take


def clock_minute(limit: int) -> Limit:
    """So many within each minute of the clock."""
    taken: dict[int, int] = {}

    def take(now: float) -> float | None:
        minute = int(now // 60)
        if taken.get(minute, 0) >= limit:
            return (minute + 1) * 60 - now
        taken[minute] = taken.get(minute, 0) + 1
        return None

    return take


def token_bucket(limit: int) -> Limit:
    """A bucket of so many, filled up steadily."""
    held, since = float(limit), 0.0

    def take(now: float) -> float | None:
        nonlocal held, since
        held, since = min(limit, held + (now - since) * limit / 60), now
        if held < 1:
            return (1 - held) * 60 / limit
        held -= 1
        return None

    return take


LIMITS: dict[str, Callable[[int], Limit]] = {
    "any minute": any_minute,
    "clock minute": clock_minute,
    "token bucket": token_bucket,
}


def lining_up(submits_per_minute: float = 30.0) -> Rule:
    """The rule of this provider."""

    def rule(error: KlingError | None, place: Place, waiting: Waiting, rng: random.Random) -> float | None:
        if error is None and not must_stand_back(place, submits_per_minute=submits_per_minute):
            return None
        return next_turn(error, place, waiting, submits_per_minute=submits_per_minute, rng=rng)

    return rule


def backing_off(error: KlingError | None, place: Place, waiting: Waiting, rng: random.Random) -> float | None:
    """Everybody alone, which is no line: half the time waited, at most five minutes, jittered."""
    if error is None:
        return None
    delay = min(max(10.0, waiting.waited / 2), 300.0) * rng.uniform(0.8, 1.2)
    return max(delay, error.retry_after or 0.0)


@dataclass
class Crowd:
    """All the tasks, and what became of them.

    :param size: how many tasks
    :param limit: the API's
    :param rule: when to come back
    :param tell: whether refusals carry `Retry-After`; default False
    :param workers: tasks at the same time; default 16
    :param startup: seconds from a task's start to its submit, give or take a third; default 2
    :param seed: of the jitter; default 1
    """

    size: int
    limit: Limit
    rule: Rule
    tell: bool = False
    workers: int = 16
    startup: float = 2.0
    seed: int = 1
    states: list[str] = field(init=False)
    starts: list[int] = field(init=False)
    order: list[int] = field(default_factory=list)
    """Map indexes, as they bought."""
    submits: int = 0
    now: float = 0.0

    def play(self) -> Crowd:
        """Until all have bought."""
        self.states, self.starts = ["scheduled"] * self.size, [0] * self.size
        self._due, self._first = [0.0] * self.size, [math.inf] * self.size
        self._rng, self._free = random.Random(self.seed), self.workers
        self._ahead: list[tuple[float, int, str]] = []
        loop = 0.0
        while len(self.order) < self.size:
            if self._ahead and self._ahead[0][0] < loop:
                self.now, index, what = heapq.heappop(self._ahead)
                if what == "submit":
                    self._submit(index)
                else:
                    self.states[index], self._free = what, self._free + 1
            else:
                self.now = loop
                self._schedule()
                loop += 1.0
        return self

    def _schedule(self) -> None:
        for index, state in enumerate(self.states):
            if self._free and state in {"scheduled", "up_for_reschedule"} and self._due[index] <= self.now:
                self.states[index], self._free = "running", self._free - 1
                self.starts[index] += 1
                self._first[index] = min(self._first[index], self.now)
                self._later(self.startup * self._rng.uniform(0.7, 1.3), index, "submit")

    def _submit(self, index: int) -> None:
        states = self.states[:index]
        place = Place(
            ahead=len(states) - states.count("deferred"),
            refused=states.count("up_for_reschedule"),
            bought=states.count("deferred"),
        )
        waited = self.now - self._first[index] if self.starts[index] > 1 else 0.0
        waiting = Waiting(waited, patience=math.inf, run_age=self.now)
        delay = self.rule(None, place, waiting, self._rng)
        if delay is None:
            self.submits += 1
            room = self.limit(self.now)
            if room is None:
                self.order.append(index)
                self._later(0.5, index, "deferred")
                return
            refusal = RateLimited("no", retry_after=float(math.ceil(room)) if self.tell else None)
            delay = self.rule(refusal, place, waiting, self._rng)
        assert delay is not None
        self._due[index] = self.now + delay
        self._later(0.3, index, "up_for_reschedule")

    def _later(self, seconds: float, index: int, what: str) -> None:
        heapq.heappush(self._ahead, (self.now + seconds, index, what))

    @property
    def minutes(self) -> float:
        """How long it took."""
        return self.now / 60

    @property
    def starts_per_render(self) -> float:
        """How often a worker was started for each, on average."""
        return sum(self.starts) / self.size

    @property
    def out_of_place(self) -> int:
        """How far the one who kept the order least is from its place."""
        return max(abs(place - index) for place, index in enumerate(self.order))
