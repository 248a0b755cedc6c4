"""Every row of the first outcome table, as a task shows it: what was bought, and what happens next."""

from __future__ import annotations

import email.utils
import json
import socket
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from airflow_provider_kling import exceptions
from airflow_provider_kling._compat import AirflowException, AirflowFailException, AirflowRescheduleException
from airflow_provider_kling.simulator import faults

if TYPE_CHECKING:
    from logs import Logs
    from task_runs import TaskRun

    from airflow_provider_kling.simulator.faults import Fault

pytestmark = pytest.mark.kling_simulator(speed=1e6, short_side=90)


@dataclass(frozen=True)
class Refusal:
    """A row of the table: what the API answers, and what the task shows."""

    fault: Fault
    kind: str
    reason: str | None
    words: str
    fails_for_good: bool = True


SHOWN = "It is not retried: correct the task and clear it."
PROMPT = "It is not retried: change the prompt and clear the task."
KEY = "It is not retried: correct the key in the connection, then clear the task."
MONEY = "A retry submits again; the service says this may also be a rate limit or billing lag."
REFUSED = {
    "400": Refusal(
        faults.ErrorBody(400, "INVALID_REQUEST_BODY", "no"), "RequestRejected", "INVALID_REQUEST_BODY", SHOWN
    ),
    "404": Refusal(faults.ErrorBody(404, "MODEL_NOT_FOUND"), "RequestRejected", "MODEL_NOT_FOUND", SHOWN),
    "422 of a proxy": Refusal(faults.RawAnswer(422, "no"), "RequestRejected", None, SHOWN),
    "redirect": Refusal(faults.Redirect("https://elsewhere.example"), "RequestRejected", None, "base URL right?"),
    "illegal prompt": Refusal(faults.ErrorBody(400, "ILLEGAL_PROMPT"), "ContentRejected", "ILLEGAL_PROMPT", PROMPT),
    "200 that is none": Refusal(faults.ErrorBody(200, "ILLEGAL_X", code=400), "ContentRejected", "ILLEGAL_X", PROMPT),
    "401": Refusal(faults.ErrorBody(401, "FAILED_TO_AUTH"), "AuthenticationFailed", "FAILED_TO_AUTH", KEY),
    "403": Refusal(faults.RawAnswer(403, "forbidden"), "AuthenticationFailed", None, KEY),
    "402": Refusal(faults.RawAnswer(402), "BalanceTooLow", None, MONEY, fails_for_good=False),
    "403 about balance": Refusal(
        faults.ErrorBody(403, "NOT_ENOUGH_BALANCE"), "BalanceTooLow", "NOT_ENOUGH_BALANCE", MONEY, fails_for_good=False
    ),
    "400 about balance": Refusal(
        faults.ErrorBody(400, "BILLING_BALANCE_NOT_ENOUGH"),
        "BalanceTooLow",
        "BILLING_BALANCE_NOT_ENOUGH",
        MONEY,
        fails_for_good=False,
    ),
}
refused = pytest.mark.parametrize("refusal", REFUSED.values(), ids=REFUSED)

UNCERTAIN = [
    pytest.param(faults.BadGateway(accept=True), id="502 after accepting"),
    pytest.param(faults.BadGateway(status=503), id="503 of a proxy"),
    pytest.param(faults.ErrorBody(502, "BAD_GATEWAY"), id="502 with an error body"),
    pytest.param(faults.Drop(accept=True), id="reset after accepting"),
    pytest.param(faults.Drop(), id="reset before accepting"),
    pytest.param(faults.Garbage(accept=True), id="200 that is no JSON"),
    pytest.param(faults.RawAnswer(200, "{}"), id="200 without task_id"),
    pytest.param(faults.RawAnswer(408), id="408"),
]

STEPPING_ASIDE = [
    pytest.param(faults.RateLimited(), "RateLimited", id="429"),
    pytest.param(faults.RawAnswer(429), "RateLimited", id="429 of a proxy"),
    pytest.param(faults.ErrorBody(503, "SERVICE_NOT_AVAILABLE"), "ServiceUnavailable", id="503 of the service"),
    pytest.param(faults.ErrorBody(500, "INTERNAL_ERROR"), "ServiceUnavailable", id="500 of the service"),
]


@pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "on the worker"])
@refused
def test_a_refused_submit_fails_and_says_that_nothing_was_bought(
    task_run: TaskRun, refusal: Refusal, deferrable: bool
) -> None:
    task_run.simulator.inject(refusal.fault)
    with pytest.raises(exceptions.KlingException) as failure:
        task_run.start(deferrable=deferrable)
    error = failure.value
    assert type(error) is getattr(exceptions, refusal.kind)
    assert isinstance(error, AirflowException)
    assert isinstance(error, AirflowFailException) is refusal.fails_for_good
    assert (error.bought, error.task_id, error.reason) == ("no", None, refusal.reason)
    assert "Nothing was bought." in str(error)
    assert refusal.words in str(error)
    assert task_run.simulator.submits == 1
    assert task_run.simulator.accepted == []


@pytest.mark.needs_task_state_store
@refused
def test_a_refused_submit_takes_its_intent_back(task_run: TaskRun, refusal: Refusal) -> None:
    task_run.simulator.inject(refusal.fault)
    with pytest.raises(exceptions.KlingException):
        task_run.start()
    assert task_run.store.record is None
    task_run.attempt()  # and so the next attempt is free to submit
    assert len(task_run.simulator.accepted) == 1


@pytest.mark.parametrize(("fault", "kind"), STEPPING_ASIDE)
def test_a_submit_that_time_may_cure_steps_aside_without_using_a_retry(
    task_run: TaskRun, logs: Logs, fault: Fault, kind: str
) -> None:
    task_run.simulator.inject(fault)
    now = datetime.now(UTC)
    with pytest.raises(AirflowRescheduleException) as aside:
        task_run.start()
    delay = (aside.value.reschedule_date - now).total_seconds()
    assert 7.5 < delay < 14
    assert task_run.simulator.submits == 1
    assert any("Nothing was bought; trying again in" in line for line in logs.warnings)
    assert task_run.ti.xcom == {}


@pytest.mark.needs_task_state_store
@pytest.mark.parametrize(("fault", "kind"), STEPPING_ASIDE)
def test_stepping_aside_takes_the_intent_back(task_run: TaskRun, fault: Fault, kind: str) -> None:
    task_run.simulator.inject(fault)
    with pytest.raises(AirflowRescheduleException):
        task_run.start()
    assert task_run.journal.entries[-1][0] == "delete"
    task_run.attempt()
    assert len(task_run.simulator.accepted) == 1


def test_an_api_out_of_reach_is_stepped_aside_for(task_run: TaskRun, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:  # bound, but nobody listens: connections are refused
        taken.bind(("127.0.0.1", 0))
        host = f"http://127.0.0.1:{taken.getsockname()[1]}"
        connection = {"conn_type": "kling", "host": host, "password": "sk"}
        monkeypatch.setenv("AIRFLOW_CONN_KLING_DEFAULT", json.dumps(connection))
        with pytest.raises(AirflowRescheduleException):
            task_run.start()
        task_run.ti.first_reschedule_date = datetime.now(UTC) - timedelta(hours=2)
        with pytest.raises(exceptions.Unreachable, match=r"never sent .* Nothing was bought") as failure:
            task_run.start()
    assert not isinstance(failure.value, AirflowFailException)


def test_retry_after_is_honoured(task_run: TaskRun) -> None:
    for asked in (120, email.utils.formatdate(time.time() + 120, usegmt=True)):
        task_run.simulator.inject(faults.RateLimited(retry_after=asked))
        with pytest.raises(AirflowRescheduleException) as aside:
            task_run.start()
        delay = (aside.value.reschedule_date - datetime.now(UTC)).total_seconds()
        assert 117 < delay <= 121


def test_the_steps_aside_are_jittered_and_grow_with_the_time_waited(task_run: TaskRun) -> None:
    def delays(waited: float) -> list[float]:
        task_run.simulator.inject(faults.RateLimited(), times=8)
        found = []
        for _ in range(8):
            now = datetime.now(UTC)
            task_run.ti.first_reschedule_date = now - timedelta(seconds=waited)
            with pytest.raises(AirflowRescheduleException) as aside:
                task_run.start(timeout=timedelta(hours=2))
            found.append((aside.value.reschedule_date - now).total_seconds())
        return found

    soon, later, latest = delays(0), delays(200), delays(3000)
    assert len({round(delay, 2) for delay in soon}) > 1, "no jitter: a crowd would come back in step"
    assert max(soon) < 14
    assert 75 < min(later) <= max(later) < 125
    assert 235 < min(latest) <= max(latest) < 365


@pytest.mark.parametrize(("fault", "kind"), STEPPING_ASIDE)
def test_when_timeout_is_over_it_fails_instead_of_stepping_aside(task_run: TaskRun, fault: Fault, kind: str) -> None:
    task_run.simulator.inject(fault, times=None)
    task_run.ti.first_reschedule_date = datetime.now(UTC) - timedelta(seconds=595)
    with pytest.raises(exceptions.KlingException) as failure:
        task_run.start(timeout=600)
    assert type(failure.value) is getattr(exceptions, kind)
    assert not isinstance(failure.value, AirflowFailException), "retries apply"
    assert failure.value.bought == "no"
    assert "A retry or a clear submits again." in str(failure.value)


def test_a_retry_after_beyond_timeout_fails_at_once(task_run: TaskRun) -> None:
    task_run.simulator.inject(faults.RateLimited(retry_after=7200))
    with pytest.raises(exceptions.RateLimited) as failure:
        task_run.start(timeout=timedelta(hours=1))
    assert failure.value.retry_after == 7200


@pytest.mark.parametrize("fault", UNCERTAIN)
def test_an_uncertain_submit_fails_at_once_and_is_not_sent_again(task_run: TaskRun, fault: Fault) -> None:
    task_run.simulator.inject(fault)
    with pytest.raises(exceptions.SubmitUncertain) as failure:
        task_run.start()
    assert isinstance(failure.value, AirflowFailException)
    assert (failure.value.bought, failure.value.task_id) == ("perhaps", None)
    assert "unknown whether this render was bought" in str(failure.value)
    assert "clear the task: that may buy a second time" in str(failure.value)
    assert task_run.simulator.submits == 1


@pytest.mark.needs_task_state_store
@pytest.mark.parametrize("fault", UNCERTAIN)
def test_an_uncertain_submit_keeps_its_intent(task_run: TaskRun, fault: Fault) -> None:
    task_run.simulator.inject(fault)
    with pytest.raises(exceptions.SubmitUncertain):
        task_run.start()
    assert task_run.phase == "intent"


@pytest.mark.parametrize("fault", UNCERTAIN)
def test_with_resubmit_an_uncertain_submit_leaves_it_to_airflows_retries(task_run: TaskRun, fault: Fault) -> None:
    task_run.simulator.inject(fault)
    with pytest.raises(exceptions.SubmitUncertainResubmit) as failure:
        task_run.start(on_uncertain_submit="resubmit")
    assert not isinstance(failure.value, AirflowFailException)
    assert failure.value.bought == "perhaps"
    assert "submits again, which may buy a second time" in str(failure.value)
    assert task_run.simulator.submits == 1
    task_run.attempt(on_uncertain_submit="resubmit")
    assert task_run.simulator.submits == 2
