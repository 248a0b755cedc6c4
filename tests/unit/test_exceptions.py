"""Every API outcome has a face in Airflow that keeps its meaning and speaks of the money."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from airflow_provider_kling import exceptions
from airflow_provider_kling._compat import AirflowException, AirflowFailException
from airflow_provider_kling.api import errors
from airflow_provider_kling.api.waiting import Outcome, Verdict

DETAILS: dict[str, Any] = {
    "reason": "WHY",
    "http_status": 418,
    "task_id": "abc",
    "trace_id": "trace",
    "retry_after": 7.0,
}
SUBMIT = {
    "InvalidRequest": True,
    "InvalidConnection": True,
    "RequestRejected": True,
    "ContentRejected": True,
    "AuthenticationFailed": True,
    "BalanceTooLow": False,
    "RateLimited": False,
    "ServiceUnavailable": False,
    "Unreachable": False,
    "SubmitUncertain": True,
}
WAIT = {
    Outcome.FAILED: (exceptions.RenderFailed, "perhaps", False),
    Outcome.CONTENT_REJECTED: (exceptions.ContentRejected, "perhaps", True),
    Outcome.LOST: (exceptions.RenderLost, "perhaps", False),
    Outcome.TIMED_OUT: (exceptions.RenderTimeout, "yes", False),
    Outcome.AUTHENTICATION_FAILED: (exceptions.AuthenticationLost, "yes", False),
    Outcome.NO_VIDEO: (exceptions.VideoUnavailable, "yes", False),
}


@pytest.mark.parametrize(("name", "fails_for_good"), SUBMIT.items())
def test_a_failed_submit_keeps_its_class_its_details_and_whether_it_was_bought(name: str, fails_for_good: bool) -> None:
    kind = getattr(errors, name)
    face = exceptions.submit_failed(kind("It did not work", **DETAILS))
    assert type(face) is getattr(exceptions, name)
    assert isinstance(face, kind)
    assert isinstance(face, AirflowException)
    assert isinstance(face, AirflowFailException) is fails_for_good
    assert {field: getattr(face, field) for field in DETAILS} == DETAILS
    assert face.bought == kind.bought
    assert str(face).startswith("It did not work. ")
    assert "bought" in str(face) or "paid" in str(face)


def test_every_error_a_submit_can_raise_has_a_face() -> None:
    after_the_submit = {
        "RenderFailed",
        "RenderLost",
        "RenderTimeout",
        "VideoUnavailable",
        "PollFailed",
        "RenderNotFound",
    }
    kinds = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.KlingError) and kind is not errors.KlingError
    }
    assert kinds - after_the_submit == set(SUBMIT)


def test_nothing_is_bought_where_a_retry_may_submit_blindly() -> None:
    for kind in exceptions.STEP_ASIDE:
        assert kind("x").bought == "no"


def test_resubmit_only_changes_what_is_uncertain() -> None:
    uncertain = exceptions.submit_failed(errors.SubmitUncertain("Lost"), resubmit=True)
    assert type(uncertain) is exceptions.SubmitUncertainResubmit
    assert not isinstance(uncertain, AirflowFailException)
    rejected = exceptions.submit_failed(errors.RequestRejected("No"), resubmit=True)
    assert type(rejected) is exceptions.RequestRejected


@pytest.mark.parametrize("outcome", WAIT)
@pytest.mark.parametrize("retry", ["remembers", "forgets", "watches"])
def test_a_wait_without_a_video_keeps_task_and_reason_and_promises_nothing_false(outcome: Outcome, retry: Any) -> None:
    kind, bought, fails_for_good = WAIT[outcome]
    error = exceptions.waiting_failed(Verdict(outcome, "the reason"), "abc", retry=retry)
    assert type(error) is kind
    assert isinstance(error, AirflowFailException) is fails_for_good
    assert (error.task_id, error.reason, error.bought) == ("abc", "the reason", bought)
    assert str(error).startswith("Render abc ")
    assert "(the reason)" in str(error)
    assert ("pays nothing" in str(error)) is (retry == "remembers" and bought == "yes")
    may_buy = bought == "perhaps" or outcome is Outcome.NO_VIDEO
    assert ("buys a" in str(error)) is (retry == "forgets" or (retry == "remembers" and may_buy))
    assert ("This task buys nothing" in str(error)) is (retry == "watches")


def test_every_end_of_waiting_but_success_has_a_face() -> None:
    assert set(WAIT) == set(Outcome) - {Outcome.SUCCEEDED}


@pytest.mark.parametrize("retry", ["remembers", "forgets", "watches"])
def test_what_was_rendered_but_not_delivered_is_paid(retry: Any) -> None:
    cause = errors.VideoUnavailable("the disk is full.", reason="ENOSPC", http_status=403)
    error = exceptions.not_delivered(cause, "abc", retry=retry)
    assert (error.bought, error.task_id, error.reason, error.http_status) == ("yes", "abc", "ENOSPC", 403)
    assert str(error).startswith(
        "The video of render abc was not delivered: the disk is full. It is rendered and paid."
    )


@pytest.mark.parametrize("words", ["Ends with a stop.", "Ends with a mark!", "Ends with neither"])
def test_messages_are_whole_sentences(words: str) -> None:
    text = str(exceptions.submit_failed(errors.RequestRejected(words)))
    assert ".. " not in text
    assert "!. " not in text


def test_the_exceptions_survive_a_pickle() -> None:
    error = exceptions.submit_failed(errors.RateLimited("Slow down", **DETAILS))
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.retry_after) == (type(error), str(error), 7.0)
