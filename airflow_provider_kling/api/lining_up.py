"""When a submit that was not taken is tried again: alone with a growing back-off, in a crowd by its place in line.

Pure, no I/O, no clock of its own. Nobody lines up before somebody was refused.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from airflow_provider_kling.api.errors import KlingError, RateLimited

LONGEST_IN_LINE = 900.0
"""Seconds after which everybody looks again how far the line has come: the rate is a guess."""
_MINUTE = 60.0
_SHORTEST, _LONGEST_BACK_OFF = 10.0, 300.0
_JITTER = 0.2
_LONGEST_SPREAD = 5.0


@dataclass(frozen=True)
class Place:
    """Where a task stands among the mapped tasks before it, those with a lower map index.

    :param ahead: how many of them have still to buy; default 0
    :param refused: how many of these were refused and have stepped aside; default 0
    :param bought: how many have bought; default 0
    """

    ahead: int = 0
    refused: int = 0
    bought: int = 0


@dataclass(frozen=True)
class Waiting:
    """How long a task has waited for its turn, and how long it may.

    :param waited: seconds since it first stepped aside; 0 at its first start
    :param patience: seconds it may spend on that
    :param run_age: seconds since its DAG run began; default None: not known
    """

    waited: float
    patience: float
    run_age: float | None = None


def must_stand_back(place: Place | None, *, submits_per_minute: float) -> bool:
    """Whether to line up without asking: a minute's worth of refused ones is ahead, so asking would jump the queue.

    :param place: where it stands; None for a task that is not mapped
    :param submits_per_minute: what the API is thought to take
    """
    return place is not None and place.refused >= submits_per_minute


def next_turn(
    error: KlingError | None,
    place: Place | None,
    waiting: Waiting,
    *,
    submits_per_minute: float,
    rng: random.Random | None = None,
) -> float | None:
    """Seconds until a submit is tried; None when there is no time left for it.

    :param error: why it was not taken; None when it stands back without having asked
    :param place: where it stands; None for a task that is not mapped
    :param waiting: how long it has waited, and may
    :param submits_per_minute: what the API is thought to take
    :param rng: source of the jitter; default: a fresh one
    """
    rng = rng or random.Random()
    room, left = _room(error, place, waiting.waited, rng), waiting.patience - waiting.waited
    if room > left:
        return None
    if place is None:
        return room
    step = _MINUTE / _rate(place, waiting, submits_per_minute)
    turn = min(room + place.ahead * step, max(room, LONGEST_IN_LINE)) + rng.uniform(0, min(step, _LONGEST_SPREAD))
    return min(turn, left)


def _room(error: KlingError | None, place: Place | None, waited: float, rng: random.Random) -> float:
    """Seconds until the first in line may be taken."""
    if error is None:  # whoever has waited in line already has only lost count
        return _SHORTEST if waited else _MINUTE
    wish = error.retry_after or 0.0
    if place and isinstance(error, RateLimited):  # its time in line says nothing about the service
        return max(wish, _SHORTEST) if wish else _MINUTE
    back_off = min(max(_SHORTEST, waited / 2), _LONGEST_BACK_OFF)
    return max(back_off * rng.uniform(1 - _JITTER, 1 + _JITTER), wish)


def _rate(place: Place, waiting: Waiting, submits_per_minute: float) -> float:
    """Submits per minute, as told; unless what has happened says clearly otherwise."""
    rate = submits_per_minute
    if waiting.run_age is not None:
        taken = place.bought * _MINUTE / max(waiting.run_age, _MINUTE)
        rate = taken if taken >= 2 * rate else rate
    if waiting.waited >= _MINUTE:
        rate = min(rate, (place.bought + 1) * _MINUTE / waiting.waited)
    return rate
