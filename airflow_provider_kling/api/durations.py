"""How long like renders take, and how to spend few questions on one of them: pure, no clock of its own."""

from __future__ import annotations

import bisect
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

BASE = 15.0
"""Seconds between questions that everything is measured by: a render is noticed half of it late on average."""

_ENOUGH, _REMEMBERED, _LOOKED_AT = 5, 200, 500
_GUESSED_SPREAD, _LEAST_SPREAD = 0.5, 0.1
_SHORTEST, _LONGEST = 10.0, 150.0
"""Nothing learned may hide for longer that a render has failed, or that the service has become quicker."""
_STEPS = [step / 10 for step in range(-35, 26)]
"""Standard deviations; a render behind the last one is unusual, and asked for every `BASE` seconds again."""
_LEFT = [math.erfc(step / math.sqrt(2)) / 2 for step in _STEPS]
"""The share of renders that is still running there."""


class Durations:
    """What renders of one kind teach: the ended ones and, by their age, the running ones.

    Durations are taken as lognormal. Questions are spread so that their rate follows the square root of the chance that
    the render ends just now: of all ways to notice that as soon as with one every `BASE` seconds, it takes the fewest.
    """

    def __init__(self) -> None:
        self._ended = (0.0, 0.0, 0.0)
        """Of the logarithms of the ended ones' durations: their number, their sum and the sum of their squares."""
        self._running: dict[object, float] = {}
        self._mean, self._spread = 0.0, _GUESSED_SPREAD
        self._ages: list[float] = []
        self._due: list[float] = []
        self._new = 0

    def note(self, render: object, *, age: float) -> None:
        """A render was seen to run.

        :param render: whatever stands for it
        :param age: seconds since its submit
        """
        self._running[render] = age

    def forget(self, render: object) -> None:
        """Nobody waits for it any more.

        :param render: what it was noted as
        """
        self._running.pop(render, None)

    def learn(self, *, running: float, ended: float) -> None:
        """A render has ended.

        :param running: its age in seconds when it was last seen to run
        :param ended: its age in seconds when it was seen to have ended
        """
        log = math.log(max((running + ended) / 2, 1.0))
        # long ago counts less, but while many run their contemporaries are not forgotten
        keep = 1 - 1 / max(_REMEMBERED, 4 * len(self._running))
        count, total, squares = (keep * sum_ for sum_ in self._ended)
        self._ended = (count + 1, total + log, squares + log * log)
        self._new += 1
        if self._new * 16 > count and count + 1.5 > _ENOUGH:  # the first ones change the picture, later ones hardly
            self._new = 0
            self._fit()
            self._plan()

    def delay(self, age: float) -> float | None:
        """Seconds until the next question; None when too little is known, or the render takes unusually long.

        :param age: seconds since its submit
        """
        if not self._ages or age >= self._ages[-1]:
            return None
        due = _between(age, self._ages, self._due) + 1
        return min(max(_between(due, self._due, self._ages) - age, _SHORTEST), _LONGEST)

    def expected(self, age: float) -> float | None:
        """The age at which one in two of those that still run now will have ended; None when too little is known.

        :param age: seconds since its submit
        """
        if not self._ages or age >= self._ages[-1]:
            return None
        left = _between(age, self._ages, _LEFT)
        return _between(-left / 2, [-share for share in _LEFT], self._ages)

    def _fit(self) -> None:
        """Expectation maximisation: without those that still run, which will take longer, all would seem short."""
        every = len(self._running) // _LOOKED_AT + 1
        ages = [math.log(max(age, 1.0)) for age in list(self._running.values())[::every]]
        if not self._ages:
            self._mean = self._ended[1] / self._ended[0]
        for _ in range(3):
            count, total, squares = self._ended
            for log in ages:
                step = (log - self._mean) / self._spread
                if step > -1:
                    later = _hazard(step)
                    expected = self._mean + self._spread * later
                    count += every
                    total += every * expected
                    squares += every * (expected**2 + self._spread**2 * max(1 + step * later - later**2, 0.0))
            self._mean = total / count
            variance = (max(squares - total**2 / count, 0.0) + 2 * _GUESSED_SPREAD**2) / (count + 2)
            self._spread = max(math.sqrt(variance), _LEAST_SPREAD)

    def _plan(self) -> None:
        """Lay out how many questions are due up to each age."""
        self._ages = [math.exp(self._mean + step * self._spread) for step in _STEPS]
        spans = [(b - a, (p + q) / 2, math.log(p / q)) for a, b, p, q in _pairs(self._ages, _LEFT)]
        weight = sum(math.sqrt(chance * span) * left for span, left, chance in spans)
        self._due = [0.0]
        for span, _, chance in spans:
            rate = math.sqrt(chance / span) * weight / BASE
            self._due.append(self._due[-1] + span * min(rate, 1 / _SHORTEST))


def _pairs(xs: list[float], ys: list[float]) -> Iterator[tuple[float, float, float, float]]:
    return zip(xs, xs[1:], ys, ys[1:], strict=False)


def _hazard(step: float) -> float:
    """The standard normal's density over what is left behind `step`."""
    left = math.erfc(step / math.sqrt(2)) / 2
    return math.exp(-step * step / 2) / math.sqrt(2 * math.pi) / left if left > 1e-12 else step + 1 / step


def _between(x: float, xs: list[float], ys: list[float]) -> float:
    if x <= xs[0] or x >= xs[-1]:
        return ys[0] if x <= xs[0] else ys[-1]
    right = bisect.bisect_left(xs, x)
    share = (x - xs[right - 1]) / (xs[right] - xs[right - 1])
    return ys[right - 1] + share * (ys[right] - ys[right - 1])
