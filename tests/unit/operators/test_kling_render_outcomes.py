"""Every row of the second outcome table, as a task shows it: how the wait for a paid render ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.bases.operator import TRIGGER_FAIL_REPR, TriggerFailureReason

from airflow_provider_kling import exceptions
from airflow_provider_kling._compat import AirflowException, AirflowFailException
from airflow_provider_kling.api import waiting
from airflow_provider_kling.simulator import faults

if TYPE_CHECKING:
    from logs import Logs
    from task_runs import TaskRun

    from airflow_provider_kling.simulator.faults import Fault

pytestmark = pytest.mark.kling_simulator(speed=1e6, short_side=90)

NEW = "A retry or a clear buys a new render."
SAME = "A retry or a clear goes on with the same render and pays nothing."
FETCH = "A retry asks for it again and pays nothing; so does a clear, unless the API has forgotten it"
BEFORE_33 = "a retry or a clear buys a NEW render"
FREE = (SAME, FETCH)
both_ways = pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "on the worker"])


@dataclass(frozen=True)
class Ending:
    """A row of the table: what goes wrong, and what the task shows."""

    faults: tuple[tuple[Fault, dict[str, Any]], ...]
    kind: str
    reason: str | None
    bought: str
    money: str
    phase: str
    timeout: float = 3600
    fails_for_good: bool = False


def _on_poll(fault: Fault) -> tuple[tuple[Fault, dict[str, Any]], ...]:
    return ((fault, {"on": "poll", "times": None}),)


def _in_render(reason: str) -> tuple[tuple[Fault, dict[str, Any]], ...]:
    return ((faults.Fail(reason), {"on": "render"}),)


ENDINGS = {
    "failed": Ending(_in_render("out of memory"), "RenderFailed", "out of memory", "perhaps", NEW, "failed"),
    "moderated": Ending(
        _in_render("content policy violation"),
        "ContentRejected",
        "content policy violation",
        "perhaps",
        "It is not retried; a clear buys a new render.",
        "failed",
        fails_for_good=True,
    ),
    "never found": Ending(_on_poll(faults.NotFound()), "RenderLost", "TASK_NOT_FOUND", "perhaps", NEW, "failed"),
    "key refused": Ending(
        _on_poll(faults.ErrorBody(401, "FAILED_TO_AUTH")), "AuthenticationLost", "FAILED_TO_AUTH", "yes", SAME,
        "submitted",
    ),
    "no link": Ending(
        _on_poll(faults.NoLink()), "VideoUnavailable", "the API gives no link to it", "yes", FETCH, "submitted"
    ),
    "deadline": Ending(
        _on_poll(faults.UnknownStatus("TASK_STATUS_ARCHIVING")),
        "RenderTimeout",
        "the last status was TASK_STATUS_ARCHIVING",
        "yes",
        SAME,
        "submitted",
        timeout=0.3,
    ),
}  # fmt: skip
ends = pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
lost_soon = pytest.mark.usefixtures("_lost_soon")


@pytest.fixture
def _lost_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "LOST_AFTER", 0.05)


def _misbehave(task_run: TaskRun, ending: Ending) -> None:
    for fault, how in ending.faults:
        task_run.simulator.inject(fault, **how)


@both_ways
@lost_soon
@ends
def test_a_render_that_ends_without_a_video_is_shown_as_what_it_is(
    task_run: TaskRun, ending: Ending, deferrable: bool
) -> None:
    _misbehave(task_run, ending)
    with pytest.raises(exceptions.KlingException) as failure:
        task_run.attempt(timeout=ending.timeout, deferrable=deferrable)
    error = failure.value
    assert type(error) is getattr(exceptions, ending.kind)
    assert isinstance(error, AirflowException)
    assert isinstance(error, AirflowFailException) is ending.fails_for_good
    assert error.task_id == task_run.simulator.accepted[0].task_id
    assert error.reason == ending.reason
    assert error.bought == ending.bought
    assert str(error).startswith(f"Render {error.task_id} ")
    assert task_run.simulator.submits == 1


@pytest.mark.needs_task_state_store
@lost_soon
@ends
def test_the_sentence_about_the_money_comes_true(task_run: TaskRun, ending: Ending) -> None:
    _misbehave(task_run, ending)
    with pytest.raises(exceptions.KlingException) as failure:
        task_run.attempt(timeout=ending.timeout)
    assert ending.money in str(failure.value)
    assert task_run.phase == ending.phase
    task_run.simulator.clear_faults()
    if ending.fails_for_good:
        task_run.clear()
    task_run.attempt()
    assert task_run.simulator.submits == (1 if ending.money in FREE else 2)


@both_ways
@lost_soon
@ends
def test_without_a_memory_no_message_promises_the_same_render(
    forgetful_run: TaskRun, ending: Ending, deferrable: bool
) -> None:
    _misbehave(forgetful_run, ending)
    with pytest.raises(exceptions.KlingException) as failure:
        forgetful_run.attempt(timeout=ending.timeout, deferrable=deferrable)
    assert not any(sentence in str(failure.value) for sentence in FREE)
    if ending.money in FREE:
        assert BEFORE_33 in str(failure.value)
        assert "fetch this one by its task_id with KlingRenderSensor" in str(failure.value)


@both_ways
@pytest.mark.parametrize(
    "fault",
    [
        faults.RateLimited(),
        faults.ErrorBody(500, "INTERNAL_ERROR"),
        faults.BadGateway(),
        faults.Drop(),
        faults.Garbage(),
        faults.Redirect("/elsewhere"),
        faults.NotFound(),
        faults.ErrorBody(401, "FAILED_TO_AUTH"),
        faults.ErrorBody(403, "NOT_ENOUGH_BALANCE"),
        faults.UnknownStatus(),
        faults.NoLink(),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_a_few_failed_questions_never_fail_a_paid_render(task_run: TaskRun, fault: Fault, deferrable: bool) -> None:
    task_run.simulator.inject(fault, on="poll", times=3)
    assert task_run.attempt(deferrable=deferrable)["status"] == "TASK_STATUS_SUCCEED"
    assert task_run.simulator.submits == 1


@lost_soon
def test_a_render_once_found_is_never_lost(task_run: TaskRun) -> None:
    task_run.simulator.hold()
    task_run.simulator.inject(faults.NotFound(), on="poll", times=None, after=1)
    with pytest.raises(exceptions.RenderTimeout):
        task_run.attempt(timeout=0.3)


def test_airflows_own_timeout_is_shown_as_the_renders(task_run: TaskRun) -> None:
    task_run.defer()
    with pytest.raises(exceptions.RenderTimeout) as failure:
        task_run.operator().resume_execution(
            TRIGGER_FAIL_REPR, {"error": TriggerFailureReason.TRIGGER_TIMEOUT}, task_run.context()
        )
    assert failure.value.bought == "yes"
    assert not isinstance(failure.value, AirflowFailException)


@pytest.mark.needs_task_state_store
def test_airflows_own_timeout_knows_the_render_and_a_retry_goes_on_with_it(task_run: TaskRun) -> None:
    task_run.defer()
    with pytest.raises(exceptions.RenderTimeout, match="pays nothing") as failure:
        task_run.operator().resume_execution(
            TRIGGER_FAIL_REPR, {"error": TriggerFailureReason.TRIGGER_TIMEOUT}, task_run.context()
        )
    assert failure.value.task_id == task_run.ti.xcom["task_id"]
    task_run.attempt()
    assert task_run.simulator.submits == 1


@pytest.mark.parametrize(
    ("fault", "said", "downloads"),
    [
        (faults.Torn(), "broke off", 4),
        (faults.Html(), "no whole MP4", 3),
        (faults.CutBehindHeader(), "no whole MP4", 3),
        (faults.ExpiredLink(), "HTTP 403", 4),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str | int) else "",
)
def test_a_download_that_goes_wrong_is_tried_again_and_then_shown_as_not_delivered(
    task_run: TaskRun, tmp_path: Any, fault: Fault, said: str, downloads: int
) -> None:
    target = tmp_path / "fox.mp4"
    task_run.simulator.inject(fault, on="download", times=None)
    with pytest.raises(exceptions.VideoUnavailable) as failure:
        task_run.attempt(save_to=str(target))
    assert (failure.value.bought, failure.value.task_id) == ("yes", task_run.ti.xcom["task_id"])
    assert said in str(failure.value)
    assert "It is rendered and paid." in str(failure.value)
    assert not isinstance(failure.value, AirflowFailException)
    assert not target.exists()
    assert task_run.simulator.downloads == downloads


def test_a_download_that_goes_wrong_once_is_mended_in_the_same_attempt(task_run: TaskRun, tmp_path: Any) -> None:
    task_run.simulator.inject(faults.Torn(), on="download")
    assert task_run.attempt(save_to=str(tmp_path / "fox.mp4"))["bytes"]


def test_a_status_nobody_knows_is_waited_through_and_logged_once(task_run: TaskRun, logs: Logs) -> None:
    task_run.simulator.inject(faults.UnknownStatus("TASK_STATUS_ARCHIVING"), on="poll", times=5)
    task_run.attempt()
    assert len([line for line in logs.lines if "TASK_STATUS_ARCHIVING" in line]) == 1
