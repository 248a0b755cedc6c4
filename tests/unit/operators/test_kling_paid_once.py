"""Retries, clears and crashes: a second operator instance knows what the first one bought."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from task_runs import TaskDeferred

from airflow_provider_kling import exceptions
from airflow_provider_kling._compat import AirflowFailException
from airflow_provider_kling.simulator import faults
from airflow_provider_kling.triggers.kling import KlingRenderTrigger

if TYPE_CHECKING:
    from pathlib import Path

    from logs import Logs
    from task_runs import TaskRun

pytestmark = [pytest.mark.kling_simulator(speed=1e6, short_side=90), pytest.mark.needs_task_state_store]


@pytest.fixture
def slow_run(task_run: TaskRun) -> TaskRun:
    """A task whose renders end only by `simulator.finish()`."""
    task_run.simulator.hold()
    return task_run


def test_a_retry_goes_on_with_the_render_with_a_fresh_deadline(slow_run: TaskRun) -> None:
    first = slow_run.defer(timeout=600).trigger
    two_hours_ago = time.time() - 7200
    slow_run.store.change(submitted_at=two_hours_ago)
    again = slow_run.defer(timeout=600).trigger
    assert isinstance(first, KlingRenderTrigger)
    assert isinstance(again, KlingRenderTrigger)
    assert again.kling_task_id == first.kling_task_id
    assert again.submitted_at == two_hours_ago
    assert time.time() + 590 < again.deadline < time.time() + 601
    assert slow_run.simulator.submits == 1


@pytest.mark.parametrize("cleared", [False, True], ids=["retried", "cleared"])
def test_a_render_that_finished_meanwhile_is_delivered_without_waiting(slow_run: TaskRun, cleared: bool) -> None:
    slow_run.defer()
    slow_run.simulator.finish()
    if cleared:
        slow_run.clear()
    manifest = slow_run.start()  # no TaskDeferred
    assert manifest["task_id"] == slow_run.ti.xcom["task_id"]
    assert slow_run.simulator.submits == 1


@pytest.mark.parametrize("cleared", [False, True], ids=["retried", "cleared"])
def test_a_render_that_failed_meanwhile_is_bought_anew_once(task_run: TaskRun, cleared: bool) -> None:
    task_run.simulator.inject(faults.Fail("out of memory"), on="render")
    task_run.defer()
    if cleared:
        task_run.clear()
    manifest = task_run.attempt()
    assert [render.task_id for render in task_run.simulator.accepted][1:] == [manifest["task_id"]]
    assert task_run.simulator.submits == 2
    assert task_run.store.record is not None
    assert task_run.store.record["generation"] == 2


def test_what_moderation_refused_meanwhile_is_not_bought_again(task_run: TaskRun) -> None:
    task_run.simulator.inject(faults.Fail("risk control: sensitive content"), on="render", times=None)
    task_run.defer()
    with pytest.raises(exceptions.ContentRejected) as failure:
        task_run.start()
    assert isinstance(failure.value, AirflowFailException)
    assert failure.value.stage == "output"
    assert task_run.simulator.submits == 1
    task_run.clear()
    task_run.defer()
    assert task_run.simulator.submits == 2


def test_a_worker_that_dies_telling_of_moderation_does_not_buy_again(task_run: TaskRun) -> None:
    task_run.simulator.inject(faults.Fail("risk control: sensitive content"), on="render", times=None)
    task_run.crash("after", "failed")
    for _ in range(2):
        with pytest.raises(exceptions.ContentRejected):
            task_run.attempt()
    assert task_run.simulator.submits == 1
    task_run.clear()
    task_run.defer()
    assert task_run.simulator.submits == 2


def test_a_retry_that_cannot_ask_waits_for_the_render_all_the_same(slow_run: TaskRun) -> None:
    task_id = slow_run.defer() and slow_run.ti.xcom["task_id"]
    for fault in (faults.BadGateway(), faults.NotFound(), faults.ErrorBody(401, "FAILED_TO_AUTH"), faults.Drop()):
        slow_run.simulator.inject(fault, on="poll")
        trigger = slow_run.defer().trigger
        assert isinstance(trigger, KlingRenderTrigger)
        assert trigger.kling_task_id == task_id
    assert slow_run.simulator.submits == 1


def test_changed_inputs_buy_a_new_render_and_name_the_old_one(slow_run: TaskRun, logs: Logs) -> None:
    slow_run.defer()
    old = slow_run.ti.xcom["task_id"]
    slow_run.defer(prompt="A wolf")
    assert slow_run.simulator.submits == 2
    assert any(old in line and "inputs changed" in line for line in logs.lines)


@pytest.mark.parametrize("change", [{"save_to": "/tmp/other.mp4"}, {"timeout": 5}, {"deferrable": True}])
def test_what_is_not_bought_may_change_without_buying_anew(slow_run: TaskRun, change: dict[str, Any]) -> None:
    slow_run.defer()
    slow_run.defer(**change)
    assert slow_run.simulator.submits == 1


@pytest.mark.parametrize("cleared", [False, True], ids=["retried", "cleared"])
def test_after_an_uncertain_submit_only_a_clear_submits_again(task_run: TaskRun, cleared: bool) -> None:
    task_run.simulator.inject(faults.Drop(accept=True))
    with pytest.raises(exceptions.SubmitUncertain):
        task_run.attempt()
    if cleared:
        task_run.clear()
        task_run.attempt()
    else:
        for _ in range(2):
            with pytest.raises(exceptions.SubmitUncertain, match="did not learn or record the answer"):
                task_run.attempt()
    assert task_run.simulator.submits == (2 if cleared else 1)


def test_the_clear_is_consent_for_one_submit_only(task_run: TaskRun) -> None:
    task_run.simulator.inject(faults.Drop(accept=True), times=2)
    for _ in range(2):
        with pytest.raises(exceptions.SubmitUncertain):
            task_run.attempt()
        task_run.clear()
    task_run.simulator.inject(faults.Drop(accept=True))
    with pytest.raises(exceptions.SubmitUncertain):
        task_run.attempt()
    with pytest.raises(exceptions.SubmitUncertain, match="did not learn"):
        task_run.attempt()
    assert task_run.simulator.submits == 3


def test_a_rendered_video_is_delivered_by_a_retry_and_never_bought_again(task_run: TaskRun, tmp_path: Path) -> None:
    task_run.simulator.inject(faults.ExpiredLink(), on="download", times=4)
    target = str(tmp_path / "fox.mp4")
    with pytest.raises(exceptions.VideoUnavailable):
        task_run.attempt(save_to=target)
    assert task_run.phase == "rendered"
    assert task_run.attempt(save_to=target)["saved_to"] == target
    assert task_run.simulator.submits == 1


@pytest.mark.parametrize("fault", [faults.NotFound(), faults.UnknownStatus("TASK_STATUS_FAILED")], ids=str)
def test_a_rendered_video_the_api_no_longer_has_fails_a_retry_and_a_clear_buys(task_run: TaskRun, fault: Any) -> None:
    task_run.crash("after", "rendered")
    task_run.simulator.inject(fault, on="poll", times=2)
    for _ in range(2):
        with pytest.raises(exceptions.VideoUnavailable, match="It is paid"):
            task_run.attempt()
    assert task_run.simulator.submits == 1
    task_run.clear()
    task_run.simulator.inject(fault, on="poll")
    task_run.attempt()
    assert task_run.simulator.submits == 2


def test_a_cleared_rendered_video_is_delivered_while_the_api_has_it(task_run: TaskRun) -> None:
    task_run.crash("after", "rendered")
    task_run.clear()
    task_run.attempt()
    assert task_run.simulator.submits == 1


def test_a_clear_of_a_rendered_video_is_consent_for_its_own_attempt_only(task_run: TaskRun, tmp_path: Path) -> None:
    target = str(tmp_path / "fox.mp4")
    task_run.crash("after", "rendered")
    task_run.clear()
    task_run.simulator.inject(faults.ExpiredLink(), on="download", times=4)
    with pytest.raises(exceptions.VideoUnavailable):
        task_run.attempt(save_to=target)
    task_run.simulator.inject(faults.NotFound(), on="poll")
    with pytest.raises(exceptions.VideoUnavailable):
        task_run.attempt(save_to=target)
    assert task_run.simulator.submits == 1


def test_a_retry_after_the_end_returns_the_same_manifest_free_with_a_fresh_link(task_run: TaskRun) -> None:
    manifest = task_run.attempt()
    again = task_run.attempt()
    assert again["video_url"] != manifest["video_url"]
    assert again | link_of(manifest) == manifest
    assert task_run.simulator.submits == 1


def test_without_a_saved_video_a_retry_after_the_end_insists_on_a_link(task_run: TaskRun) -> None:
    task_run.attempt()
    task_run.simulator.inject(faults.BadGateway(), on="poll")
    assert task_run.attempt()["video_url"]
    task_run.simulator.inject(faults.NotFound(), on="poll", times=None)
    with pytest.raises(exceptions.VideoUnavailable, match="pays nothing; a clear buys a new render"):
        task_run.attempt()
    assert task_run.simulator.submits == 1


def test_a_retry_after_the_end_hands_out_no_dead_link(task_run: TaskRun, tmp_path: Path) -> None:
    manifest = task_run.attempt(save_to=str(tmp_path / "fox.mp4"))
    task_run.simulator.inject(faults.NotFound(), on="poll")
    again = task_run.attempt(save_to=str(tmp_path / "fox.mp4"))
    assert (again["video_url"], again["video_url_expires_at"]) == (None, None)
    assert again | link_of(manifest) == manifest


def link_of(manifest: dict[str, Any]) -> dict[str, Any]:
    return {name: manifest[name] for name in ("video_url", "video_url_expires_at")}


@pytest.mark.parametrize(("on_clear", "bought"), [("render", 2), ("reuse", 1)])
def test_a_finished_task_that_is_cleared_does_as_on_clear_says(task_run: TaskRun, on_clear: str, bought: int) -> None:
    first = task_run.attempt(on_clear=on_clear)
    task_run.clear()
    second = task_run.attempt(on_clear=on_clear)
    assert (second["task_id"] == first["task_id"]) is (bought == 1)
    assert task_run.simulator.submits == bought
    assert task_run.attempt(on_clear=on_clear)["task_id"] == second["task_id"]  # a retry of the cleared task
    assert task_run.simulator.submits == bought


def test_delivering_again_writes_to_a_new_target(task_run: TaskRun, tmp_path: Path) -> None:
    task_run.attempt(on_clear="reuse", save_to=str(tmp_path / "one.mp4"))
    task_run.clear()
    manifest = task_run.attempt(on_clear="reuse", save_to=str(tmp_path / "two.mp4"))
    assert (tmp_path / "two.mp4").stat().st_size == manifest["bytes"]
    assert task_run.simulator.submits == 1


CRASHES = [
    ("before", "intent", 0, "bought by the retry"),
    ("after", "intent", 0, "refused"),
    ("before", "submitted", 1, "refused"),
    ("after", "submitted", 1, "delivered"),
    ("before", "xcom task_id", 1, "delivered"),
    ("after", "xcom task_id", 1, "delivered"),
    ("before", "rendered", 1, "delivered"),
    ("after", "rendered", 1, "delivered"),
    ("before", "done", 1, "delivered"),
    ("after", "done", 1, "delivered"),
]


@pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "on the worker"])
@pytest.mark.parametrize(("when", "entry", "bought", "then"), CRASHES)
def test_a_worker_that_dies_at_any_step_never_buys_twice(
    task_run: TaskRun, tmp_path: Path, *, when: str, entry: str, bought: int, then: str, deferrable: bool
) -> None:
    arguments: dict[str, Any] = {"deferrable": deferrable, "save_to": str(tmp_path / "fox.mp4")}
    task_run.crash(when, entry, **arguments)
    assert task_run.simulator.submits == bought
    if then == "refused":
        with pytest.raises(exceptions.SubmitUncertain):
            task_run.attempt(**arguments)
        assert task_run.simulator.submits == bought
    else:
        assert task_run.attempt(**arguments)["task_id"] == task_run.simulator.accepted[0].task_id
        assert task_run.simulator.submits == 1


def test_a_crash_while_taking_the_intent_back_stays_on_the_safe_side(task_run: TaskRun) -> None:
    task_run.simulator.inject(faults.RateLimited())
    task_run.crash("before", "delete")
    with pytest.raises(exceptions.SubmitUncertain):
        task_run.attempt()
    assert task_run.simulator.accepted == []


def test_a_refused_new_generation_leaves_the_old_record(task_run: TaskRun) -> None:
    task_run.attempt()
    done = task_run.store.record
    task_run.clear()
    task_run.simulator.inject(faults.ErrorBody(402, "NOT_ENOUGH_BALANCE"))
    with pytest.raises(exceptions.BalanceTooLow):
        task_run.attempt()
    assert task_run.store.record == done
    with pytest.raises(TaskDeferred):
        task_run.start()  # still cleared: it buys now
    assert task_run.simulator.submits == 3
