"""The service's own word on when a render will be ready, and how far to trust it: pure, no clock of its own."""

from __future__ import annotations

_SOON = 15.0
_SHORTEST, _LONGEST_AT_FIRST, _LONGEST = 5.0, 40.0, 60.0


class Eta:
    """Believed as long as it counts down; the API page promises no `eta`, and the real service may say anything."""

    __slots__ = ("_believed", "_confirmed", "_told")

    def __init__(self) -> None:
        self._told: tuple[float, float] | None = None
        self._believed = False
        self._confirmed = False

    def hear(self, eta: float | None, now: float) -> None:
        """Take in what an answer said.

        :param eta: seconds until the render is ready; None when the answer says nothing
        :param now: epoch seconds
        """
        if eta is None:
            self._told, self._believed, self._confirmed = None, False, False
            return
        if self._told is None:
            self._believed = True
        else:
            before, promised = self._told
            moved = abs((now + eta) - (before + promised))
            self._believed = self._confirmed = eta < promised and moved <= promised / 2
        self._told = (now, eta)

    def end(self) -> float | None:
        """Epoch seconds at which the render is ready; None when there is no word to be believed."""
        return sum(self._told) if self._told and self._believed else None

    def delay(self) -> float | None:
        """Seconds from the answer to the next question; None when there is no word to be believed."""
        if self._told is None or not self._believed:
            return None
        eta = self._told[1]
        wanted = eta + 2 if eta <= _SOON else eta * 3 / 4  # what is said later is more exact
        return max(min(wanted, _LONGEST if self._confirmed else _LONGEST_AT_FIRST), _SHORTEST)
