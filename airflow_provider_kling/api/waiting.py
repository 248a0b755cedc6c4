"""When to ask again about a render, and when to stop: pure, no I/O, no clock of its own.

Worker, sensor and triggerer carry out what :class:`Watch` decides, so that they can't drift apart.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from enum import StrEnum

from airflow_provider_kling.api.errors import (
    AuthenticationFailed,
    KlingError,
    RenderNotFound,
    speaks_of_moderation,
)
from airflow_provider_kling.api.models import Render, RenderStatus

FIRST_QUESTION = 5.0
"""Seconds after the submit before the first question: no render is done earlier."""
LOST_AFTER = 1800.0
"""Seconds without ever being found after which a render counts as lost (the service's FAQ)."""
MAX_QUESTIONS_WITHOUT_LINK = 5
MAX_REFUSED_KEYS = 5

_SHORTEST, _LONGEST, _LONGEST_LATE = 5.0, 15.0, 30.0
_LATE = 600.0
_LONGEST_BACK_OFF = 120.0
_LONGEST_STEP_ASIDE = 300.0
_JITTER = 0.2


class Outcome(StrEnum):
    """How waiting for a render can end; the word that travels in the trigger's event."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CONTENT_REJECTED = "content_rejected"
    LOST = "lost"
    TIMED_OUT = "timed_out"
    AUTHENTICATION_FAILED = "authentication_failed"
    NO_VIDEO = "no_video"


@dataclass(frozen=True)
class Verdict:
    """The end of waiting.

    :param outcome: how it ended
    :param reason: the service's words, when it gave some
    """

    outcome: Outcome
    reason: str | None = None


def judge(render: Render) -> Verdict | None:
    """What one answer says about a render's end; None while it goes on or has no link yet.

    :param render: what the API said
    """
    if render.status is RenderStatus.FAILED:
        moderated = speaks_of_moderation(render.reason)
        return Verdict(Outcome.CONTENT_REJECTED if moderated else Outcome.FAILED, render.reason)
    if render.status is RenderStatus.SUCCEED and render.video_url:
        return Verdict(Outcome.SUCCEEDED)
    return None


@dataclass
class Watch:
    """Decides about one render from the answers to our questions.

    All times are epoch seconds. Wall-clock times survive a move to another triggerer, monotonic ones do not.

    :param submitted_at: when the render was bought
    :param deadline: when waiting ends
    :param started_at: when this watch began; a render can't be lost before it was watched for 30 minutes
    """

    submitted_at: float
    deadline: float
    started_at: float
    last: Render | None = None
    failures: int = 0
    _refused_keys: int = 0
    _without_link: int = 0
    _found: bool = False
    _retry_after: float | None = None
    _rng: random.Random = field(default_factory=random.Random, repr=False)

    def first_delay(self, now: float) -> float:
        """Seconds until the first question; none when the render is old enough to be done.

        :param now: epoch seconds
        """
        return max(0.0, min(self.submitted_at + FIRST_QUESTION, self.deadline) - now)

    def next_delay(self, now: float) -> float:
        """Seconds until the next question, spread by a fifth so that a crowd does not ask in step.

        :param now: epoch seconds
        """
        if self.failures:
            delay = min(_LONGEST * 2.0 ** min(self.failures - 1, 10), _LONGEST_BACK_OFF)
        else:
            elapsed = max(0.0, now - self.submitted_at)
            longest = _LONGEST_LATE if elapsed > _LATE else _LONGEST
            wanted = self.last.eta if self.last and self.last.eta else elapsed / 4
            delay = min(max(wanted, _SHORTEST), longest)
        delay = max(delay * _jitter(self._rng), min(self._retry_after or 0.0, _LONGEST_STEP_ASIDE))
        return max(0.0, min(delay, self.deadline - now))

    def see(self, answer: Render | KlingError, now: float) -> Verdict | None:
        """Judge one answer: the end of waiting, or None to ask again.

        :param answer: what the API said, or what went wrong while asking
        :param now: epoch seconds
        """
        verdict = self._see_render(answer) if isinstance(answer, Render) else self._see_trouble(answer, now)
        if verdict is None and now >= self.deadline:
            return Verdict(Outcome.TIMED_OUT, self._standing(answer))
        return verdict

    def _see_render(self, render: Render) -> Verdict | None:
        self.last, self.failures, self._refused_keys, self._retry_after, self._found = render, 0, 0, None, True
        if verdict := judge(render):
            return verdict
        if render.status is RenderStatus.SUCCEED:
            self._without_link += 1
            if self._without_link >= MAX_QUESTIONS_WITHOUT_LINK:
                return Verdict(Outcome.NO_VIDEO, "the API gives no link to it")
        return None

    def _see_trouble(self, error: KlingError, now: float) -> Verdict | None:
        self.failures += 1
        self._retry_after = error.retry_after
        self._refused_keys = self._refused_keys + 1 if isinstance(error, AuthenticationFailed) else 0
        if self._refused_keys >= MAX_REFUSED_KEYS:
            return Verdict(Outcome.AUTHENTICATION_FAILED, error.reason or error.message)
        if isinstance(error, RenderNotFound):
            watched_since = max(self.submitted_at, self.started_at)
            if not self._found and now - watched_since > LOST_AFTER:
                return Verdict(Outcome.LOST, error.reason)
        return None

    def _standing(self, answer: Render | KlingError) -> str:
        if isinstance(answer, Render):
            return f"the last status was {answer.raw_status or answer.status.value}"
        return f"the last question failed: {answer.message}"


def step_aside_delay(*, waited: float, retry_after: float | None, rng: random.Random | None = None) -> float:
    """Seconds until a refused submit is tried again: growing with the time already waited, and jittered.

    :param waited: seconds since the first refusal
    :param retry_after: seconds the service asked for, when it did
    :param rng: source of the jitter; default: a fresh one
    """
    delay = min(max(10.0, waited / 2), _LONGEST_STEP_ASIDE)
    return max(delay * _jitter(rng or random.Random()), retry_after or 0.0)


def _jitter(rng: random.Random) -> float:
    return rng.uniform(1 - _JITTER, 1 + _JITTER)
