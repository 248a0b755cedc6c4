"""The task state store when it does not work, and Airflow before 3.3, which has none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from task_runs import TaskDeferred

from airflow_provider_kling import exceptions
from airflow_provider_kling._compat import AirflowFailException
from airflow_provider_kling.simulator import faults

if TYPE_CHECKING:
    from logs import Logs
    from task_runs import TaskRun

pytestmark = pytest.mark.kling_simulator(speed=1e6, short_side=90)
with_store = pytest.mark.needs_task_state_store


def _breaks(task_run: TaskRun, how: str) -> None:
    store = task_run.store
    if how == "can't be read":
        store.read_error = ConnectionError("api-server is gone")
    elif how == "can't be written":
        store.write_error = ConnectionError("api-server is gone")
    else:
        store.drops_writes = True


@with_store
@pytest.mark.parametrize("how", ["can't be read", "can't be written", "drops writes"])
def test_a_store_that_does_not_work_stops_the_task_before_the_post(task_run: TaskRun, how: str) -> None:
    _breaks(task_run, how)
    with pytest.raises(exceptions.LedgerUnavailable) as failure:
        task_run.start()
    assert task_run.simulator.submits == 0
    assert failure.value.bought == "no"
    assert not isinstance(failure.value, AirflowFailException), "a retry may find the store working"
    assert "Nothing was sent or paid" in str(failure.value)


@with_store
def test_a_store_that_breaks_after_the_post_does_not_cost_the_video(task_run: TaskRun, logs: Logs) -> None:
    task_run.simulator.inject(faults.Delay(0), on="submit")
    deferred = task_run.defer()
    task_run.store.write_error = ConnectionError("api-server is gone")
    assert task_run.resume(deferred)["status"] == "TASK_STATUS_SUCCEED"
    assert any("The task goes on" in line for line in logs.lines)


@with_store
def test_a_lost_id_is_carried_by_the_deferral(task_run: TaskRun) -> None:
    deferred = task_run.defer()
    task_run.store.rows.clear()
    assert task_run.resume(deferred)["task_id"] == task_run.ti.xcom["task_id"]
    assert task_run.simulator.submits == 1


RECORD: dict[str, Any] = {
    "v": 1,
    "phase": "submitted",
    "generation": 1,
    "fingerprint": "x",
    "max_tries": 2,
    "task_id": "abc",
    "submitted_at": 1.0,
    "manifest": None,
}
UNREADABLE = {
    "text": "submitted",
    "a list": [1],
    "nothing in it": {},
    "a newer version": {**RECORD, "v": 2},
    "a phase nobody knows": {**RECORD, "phase": "paused"},
    "no phase": {k: v for k, v in RECORD.items() if k != "phase"},
    "no fingerprint": {k: v for k, v in RECORD.items() if k != "fingerprint"},
    "generation no number": {**RECORD, "generation": "one"},
    "max_tries missing": {**RECORD, "max_tries": None},
    "submitted without id": {**RECORD, "task_id": None},
    "done without id": {**RECORD, "phase": "done", "task_id": ""},
    "submitted at no time": {**RECORD, "submitted_at": "noon"},
}


@with_store
@pytest.mark.parametrize("value", UNREADABLE.values(), ids=UNREADABLE)
def test_a_record_that_cannot_be_understood_never_means_nothing_bought(task_run: TaskRun, value: Any) -> None:
    task_run.store.rows["kling_render"] = json.dumps(value)
    with pytest.raises(exceptions.LedgerUnavailable, match="can't be understood") as failure:
        task_run.start()
    assert "delete it to start anew, which may buy again" in str(failure.value)
    assert task_run.simulator.requests == []


def test_without_a_store_it_works_and_each_attempt_buys(forgetful_run: TaskRun) -> None:
    first, second = forgetful_run.attempt(), forgetful_run.attempt()
    assert first["task_id"] != second["task_id"]
    assert first["submitted_at"] is not None
    assert forgetful_run.simulator.submits == 2


def test_without_a_store_a_task_with_retries_is_warned_once(forgetful_run: TaskRun, logs: Logs) -> None:
    forgetful_run.attempt(retries=2)
    assert [line for line in logs.warnings if "3.3" in line] == [
        "Before Airflow 3.3 a task can't remember what it bought: a retry may buy again."
    ]


def test_without_a_store_a_task_without_retries_is_not_warned(forgetful_run: TaskRun, logs: Logs) -> None:
    forgetful_run.attempt(retries=0)
    assert [line for line in logs.warnings if "3.3" in line] == []


@with_store
def test_with_a_store_there_is_no_such_warning(task_run: TaskRun, logs: Logs) -> None:
    task_run.attempt(retries=2)
    assert [line for line in logs.warnings if "3.3" in line] == []


def test_without_a_store_nothing_promises_that_a_retry_is_free(forgetful_run: TaskRun, tmp_path: Any) -> None:
    forgetful_run.simulator.inject(faults.Html(), on="download", times=None)
    with pytest.raises(exceptions.VideoUnavailable) as failure:
        forgetful_run.attempt(save_to=str(tmp_path / "fox.mp4"))
    assert "a retry or a clear buys a NEW render" in str(failure.value)
    assert "pays nothing" not in str(failure.value)


def test_without_a_store_the_task_id_in_xcom_is_what_remains(forgetful_run: TaskRun) -> None:
    with pytest.raises(TaskDeferred):
        forgetful_run.start()
    assert forgetful_run.ti.xcom == {"task_id": forgetful_run.simulator.accepted[0].task_id}
