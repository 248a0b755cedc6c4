"""When to ask again about a render, and when to stop: pure, no I/O, no clock of its own.

Worker, sensor and triggerer carry out what :class:`Watch` decides, so that they can't drift apart.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from enum import StrEnum

from airflow_provider_kling.api.durations import BASE, Durations
from airflow_provider_kling.api.errors import (
    AuthenticationFailed,
    KlingError,
    RenderNotFound,
    speaks_of_moderation,
)
from airflow_provider_kling.api.eta import Eta
from airflow_provider_kling.api.models import Render, RenderStatus

FIRST_QUESTION, SECOND_QUESTION = 10.0, 38.0
"""Seconds after the submit: one early question for a render that fails at once, the next when one may be done."""
LOST_AFTER = 1800.0
"""Seconds without ever being found after which a render counts as lost (the service's FAQ)."""
MAX_QUESTIONS_WITHOUT_LINK = 5
MAX_REFUSED_KEYS = 5

_LATE, _LATE_DELAY = 1800.0, 30.0
_LONGEST_BACK_OFF = 120.0
_LONGEST_WISH = 300.0
_JITTER = 0.1
_RANDOM = random.Random()


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


@dataclass(eq=False, slots=True)
class Watch:
    """Decides about one render from the answers to our questions.

    All times are epoch seconds. Wall-clock times survive a move to another triggerer, monotonic ones do not.

    :param submitted_at: when the render was bought
    :param deadline: when waiting ends
    :param started_at: when this watch began; a render can't be lost before it was watched for 30 minutes
    :param durations: what like renders taught, and are taught; default: nothing yet
    """

    submitted_at: float
    deadline: float
    started_at: float
    durations: Durations = field(default_factory=Durations, repr=False)
    last: Render | None = None
    failures: int = 0
    _eta: Eta = field(default_factory=Eta, repr=False)
    _seen_running: float | None = None
    _refused_keys: int = 0
    _without_link: int = 0
    _found: bool = False
    _retry_after: float | None = None
    _rng: random.Random = field(default=_RANDOM, repr=False)

    def first_delay(self, now: float) -> float:
        """Seconds until the first question: at the age at which one is due, or, when that has passed (a triggerer was
        restarted with thousands of renders), at any moment within the usual interval.

        :param now: epoch seconds
        """
        age = max(0.0, now - self.submitted_at)
        first = self.durations.delay(0.0) or FIRST_QUESTION
        delay = first * self._jitter() - age if age < first else self._rng.random() * self._usual_delay(age)
        return self._in_time(delay, now)

    def next_delay(self, now: float) -> float:
        """Seconds until the next question, spread by a tenth so that a crowd does not ask in step.

        :param now: epoch seconds
        """
        if self.failures:
            delay = min(BASE * 2.0 ** min(self.failures - 1, 10), _LONGEST_BACK_OFF)
        else:
            delay = self._eta.delay() or self._usual_delay(max(0.0, now - self.submitted_at))
        delay = max(delay * self._jitter(), min(self._retry_after or 0.0, _LONGEST_WISH))
        return self._in_time(delay, now)

    def expected_end(self, now: float) -> float | None:
        """Epoch seconds at which it should be finished; None when neither the service nor its like say anything.

        :param now: epoch seconds
        """
        learned = self.durations.expected(max(0.0, now - self.submitted_at))
        return self._eta.end() or (learned and self.submitted_at + learned)

    def _usual_delay(self, age: float) -> float:
        learned = self.durations.delay(age)
        if learned is not None:
            return learned
        if age > _LATE:
            return _LATE_DELAY
        return max(SECOND_QUESTION - age, BASE)

    def _in_time(self, delay: float, now: float) -> float:
        return max(0.0, min(delay, self.deadline - now))

    def _jitter(self) -> float:
        return _jitter(self._rng)

    def see(self, answer: Render | KlingError, now: float) -> Verdict | None:
        """Judge one answer: the end of waiting, or None to ask again.

        :param answer: what the API said, or what went wrong while asking
        :param now: epoch seconds
        """
        verdict = self._see_render(answer, now) if isinstance(answer, Render) else self._see_trouble(answer, now)
        if verdict is None and now >= self.deadline:
            return Verdict(Outcome.TIMED_OUT, self._standing(answer))
        return verdict

    def _see_render(self, render: Render, now: float) -> Verdict | None:
        self.last, self.failures, self._refused_keys, self._retry_after, self._found = render, 0, 0, None, True
        if verdict := judge(render):
            if verdict.outcome is Outcome.SUCCEEDED:
                self._learn(render, now)
            return verdict
        if render.status is RenderStatus.SUCCEED:
            self._without_link += 1
            if self._without_link >= MAX_QUESTIONS_WITHOUT_LINK:
                return Verdict(Outcome.NO_VIDEO, "the API gives no link to it")
        self._seen_running = now
        self.durations.note(self, age=now - self.submitted_at)
        self._eta.hear(render.eta, now)
        return None

    def _learn(self, render: Render, now: float) -> None:
        """Teach how long it took; it ended some time after it was seen running, unless the API says when."""
        ended = now
        running = self._seen_running
        if running is None and self.started_at < self.submitted_at + FIRST_QUESTION:
            running = (self.submitted_at + 3 * now) / 4  # watched from the start and done at the first question
        if render.finished_at and self.submitted_at < render.finished_at <= now:
            ended = running = render.finished_at
        if running is not None:
            self.durations.forget(self)
            self.durations.learn(running=running - self.submitted_at, ended=ended - self.submitted_at)

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


def _jitter(rng: random.Random) -> float:
    return rng.uniform(1 - _JITTER, 1 + _JITTER)
