"""How fast one connection may ask, for all that wait by it together: pure, no clock of its own."""

from __future__ import annotations

from airflow_provider_kling.api.durations import BASE

_PAUSE, _LONGEST_PAUSE, _LONGEST_WISH = 5.0, 30.0, 60.0
_SLOWEST, _RECOVERY = 8.0, 0.9
_SHORTEST = 10.0
"""Seconds between two questions, mostly; whoever has just come wants no more than that."""
_CATCH_UP = 0.05
"""Seconds of a late event loop that may be made up for; more would be a burst."""
_MARGIN = 0.8
"""Share of the cap that is used: neither what is made up for nor a network that bunches questions may exceed it."""
_LOAD = 0.9
"""Share of that which is planned with, so that the queue stays short."""


class Pace:
    """A cap that a refusal lowers and good answers raise again, and spacing that stretches before a queue can grow.

    All times are monotonic seconds, which the caller gives.

    :param cap: questions per second; None for no limit
    """

    def __init__(self, cap: float | None) -> None:
        self.cap = cap
        self._slowness = 1.0
        self._pause = 0.0
        self._paused_until = self._next = float("-inf")
        self._wanted = 0.0

    def wait(self, now: float) -> float:
        """Seconds until the next question may leave, 0 or less for now.

        :param now: monotonic seconds
        """
        return max(self._next, self._paused_until) - now

    def leave(self, now: float) -> None:
        """A question leaves.

        :param now: monotonic seconds
        """
        if self.cap:
            in_step = now - self._next < _CATCH_UP
            self._next = (self._next if in_step else now) + self._slowness / (self.cap * _MARGIN)

    def refused(self, now: float, retry_after: float | None) -> None:
        """One was told to ask less, which is meant for all: pause, and go on at half the pace.

        :param now: monotonic seconds
        :param retry_after: seconds the service asked for, when it did
        """
        if now >= self._paused_until:  # the answers that come in during a pause were asked for before it
            self._pause = min(self._pause * 2 or _PAUSE, _LONGEST_PAUSE)
            self._slowness = min(self._slowness * 2, _SLOWEST)
            self._paused_until = now + self._pause
        self._paused_until = max(self._paused_until, now + min(retry_after or 0.0, _LONGEST_WISH))

    def answered(self) -> None:
        """The service answers: faster again, little by little."""
        self._pause = 0.0
        self._slowness = max(1.0, self._slowness * _RECOVERY)

    def seat(self) -> Seat:
        """Take part; who leaves wants nothing any more."""
        return Seat(self)

    @property
    def load(self) -> float:
        """What all together want to ask over what they may; a pace that is slow for a minute delays nobody for ten."""
        return self._wanted / (self.cap * _MARGIN * _LOAD) if self.cap else 0.0


class Seat:
    """One who waits, and how often it wants to ask.

    :param pace: of its connection
    """

    __slots__ = ("_pace", "_wanted")

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._wanted = 0.0

    def want(self, per_second: float) -> None:
        """Say how often it wants to ask.

        :param per_second: questions per second
        """
        self._pace._wanted += per_second - self._wanted
        self._wanted = per_second

    def stretched(self, delay: float) -> float:
        """A delay, longer by the factor by which all together want more than they may: everybody gives way alike.

        A long delay grows no more than a usual one, as the crowd may be gone by then.

        :param delay: seconds
        """
        self.want(1 / max(delay, _SHORTEST))  # a first delay is a part of an interval only
        return delay + min(delay, BASE) * (max(1.0, self._pace.load) - 1)
