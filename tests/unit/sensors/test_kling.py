"""The sensor waits for a render bought elsewhere, and buys nothing, whatever happens."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.bases.operator import TRIGGER_FAIL_REPR, TriggerFailureReason
from task_runs import AirflowSkipException, TaskDeferred, fired

from airflow_provider_kling import exceptions
from airflow_provider_kling._compat import AirflowFailException, AirflowSensorTimeout
from airflow_provider_kling.api import waiting
from airflow_provider_kling.api.models import TextToVideo
from airflow_provider_kling.hooks.kling import KlingHook
from airflow_provider_kling.sensors.kling import KlingRenderSensor
from airflow_provider_kling.simulator import faults
from airflow_provider_kling.triggers.kling import KlingRenderTrigger

if TYPE_CHECKING:
    from logs import Logs
    from task_runs import TaskRun

pytestmark = pytest.mark.kling_simulator(speed=1e6, short_side=90)
both_ways = pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "poking"])


@pytest.fixture
def task_id(task_run: TaskRun) -> str:
    """A render that was bought elsewhere."""
    return KlingHook().submit(TextToVideo(prompt="a fox"))


def _sensor(task_id: str, **arguments: Any) -> KlingRenderSensor:
    return KlingRenderSensor(**{"task_id": "wait", "kling_task_id": task_id, "poke_interval": 0.01, **arguments})


def _run(task_run: TaskRun, task_id: str, **arguments: Any) -> Any:
    """A whole attempt of the sensor, deferral or not."""
    try:
        return _sensor(task_id, **arguments).execute(task_run.context())
    except TaskDeferred as deferred:
        event = fired(deferred.trigger)
        return _sensor(task_id, **arguments).resume_execution(
            deferred.method_name, {**(deferred.kwargs or {}), "event": event}, task_run.context()
        )


@both_ways
def test_it_returns_the_manifest_of_a_finished_render(task_run: TaskRun, task_id: str, deferrable: bool) -> None:
    manifest = _run(task_run, task_id, deferrable=deferrable)
    assert json.loads(json.dumps(manifest)) == manifest
    assert manifest["task_id"] == task_id
    assert manifest["status"] == "TASK_STATUS_SUCCEED"
    assert manifest["video_url"].startswith(task_run.simulator.base_url)
    assert manifest["video_url_expires_at"]
    for unknown in ("model", "prompt", "duration", "aspect_ratio", "sound", "submitted_at", "saved_to", "sha256"):
        assert manifest[unknown] is None
    assert task_run.simulator.submits == 1  # the one that bought it elsewhere


def test_deferring_hands_over_the_id_and_the_times_only(task_run: TaskRun, task_id: str) -> None:
    task_run.simulator.inject(faults.UnknownStatus("TASK_STATUS_PROCESSING"), on="poll", times=None)
    before = time.time()
    with pytest.raises(TaskDeferred) as deferral:
        _sensor(f" {task_id} ", timeout=60).execute(task_run.context())
    assert isinstance(deferral.value.trigger, KlingRenderTrigger)
    arguments = deferral.value.trigger.serialize()[1]
    assert set(arguments) == {"kling_conn_id", "kling_task_id", "submitted_at", "deadline", "like"}
    assert arguments["kling_task_id"] == task_id
    assert before + 60 <= arguments["deadline"] <= time.time() + 60
    assert isinstance(deferral.value.timeout, timedelta)
    assert deferral.value.timeout.total_seconds() > 120
    assert task_run.simulator.polls == 1


def test_what_is_finished_already_is_not_waited_for(task_run: TaskRun, task_id: str) -> None:
    assert _sensor(task_id).execute(task_run.context())["task_id"] == task_id


def test_an_id_that_nobody_knows_is_told_at_once(task_run: TaskRun, logs: Logs) -> None:
    with pytest.raises(TaskDeferred):
        _sensor("00000000-0000-0000-0000-000000000001").execute(task_run.context())
    assert "Look whether the id is one of this account" in logs.text


@pytest.mark.parametrize("blank", ["", "  ", None, "None"])
@both_ways
def test_a_blank_id_is_refused_at_once(task_run: TaskRun, blank: Any, deferrable: bool) -> None:
    with pytest.raises(exceptions.InvalidRequest, match="must be the id that a submit returned") as failure:
        _run(task_run, blank, deferrable=deferrable)
    assert isinstance(failure.value, AirflowFailException)
    assert task_run.simulator.requests == []


def test_the_id_is_a_template(task_run: TaskRun, task_id: str) -> None:
    sensor = _sensor("{{ who }}", kling_conn_id="{{ conn }}")
    context: Any = {**task_run.context(), "who": task_id, "conn": "kling_default"}
    sensor.render_template_fields(context)
    assert (sensor.kling_task_id, sensor.kling_conn_id) == (task_id, "kling_default")


@both_ways
def test_a_missing_connection_fails_at_once(
    task_run: TaskRun, monkeypatch: pytest.MonkeyPatch, deferrable: bool
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_KLING_DEFAULT")
    with pytest.raises(exceptions.InvalidConnection, match="does not exist"):
        _run(task_run, "abc", deferrable=deferrable)


@both_ways
def test_it_waits_until_the_render_is_over(task_run: TaskRun, task_id: str, deferrable: bool) -> None:
    task_run.simulator.inject(faults.UnknownStatus(), on="poll", times=3)
    task_run.simulator.inject(faults.BadGateway(), on="poll", times=2)
    task_run.simulator.inject(faults.NoLink(), on="poll", times=2)
    assert _run(task_run, task_id, deferrable=deferrable)["video_url"]


def test_rescheduling_pokes_once_per_turn(task_run: TaskRun, task_id: str) -> None:
    from airflow_provider_kling._compat import AirflowRescheduleException

    task_run.simulator.inject(faults.UnknownStatus(), on="poll")
    arguments: dict[str, Any] = {"deferrable": False, "mode": "reschedule"}
    with pytest.raises(AirflowRescheduleException):
        _run(task_run, task_id, **arguments)
    assert _run(task_run, task_id, **arguments)["task_id"] == task_id


@both_ways
def test_its_timeout_is_airflows_sensor_timeout(task_run: TaskRun, task_id: str, deferrable: bool) -> None:
    task_run.simulator.inject(faults.UnknownStatus(), on="poll", times=None)
    with pytest.raises(AirflowSensorTimeout):
        _run(task_run, task_id, deferrable=deferrable, timeout=0.2)


@both_ways
def test_soft_fail_turns_its_timeout_into_a_skip(task_run: TaskRun, task_id: str, deferrable: bool) -> None:
    task_run.simulator.inject(faults.UnknownStatus(), on="poll", times=None)
    with pytest.raises(AirflowSkipException):
        _run(task_run, task_id, deferrable=deferrable, timeout=0.2, soft_fail=True)


def test_airflows_own_timeout_is_a_sensor_timeout_too(task_run: TaskRun, task_id: str) -> None:
    with pytest.raises(AirflowSensorTimeout):
        _sensor(task_id).resume_execution(
            TRIGGER_FAIL_REPR, {"error": TriggerFailureReason.TRIGGER_TIMEOUT}, task_run.context()
        )


TROUBLE = {
    "failed": (faults.Fail("out of memory"), "render", "RenderFailed", False),
    "moderated": (faults.Fail("content policy"), "render", "ContentRejected", True),
    "key refused": (faults.ErrorBody(401, "FAILED_TO_AUTH"), "poll", "AuthenticationLost", False),
}
troubles = pytest.mark.parametrize(("fault", "on", "kind", "fails_for_good"), TROUBLE.values(), ids=TROUBLE)


@troubles
@both_ways
def test_a_render_without_a_video_fails_without_a_word_of_buying(
    task_run: TaskRun, *, fault: Any, on: str, kind: str, fails_for_good: bool, deferrable: bool
) -> None:
    if on == "render":
        task_run.simulator.inject(fault, on=on)
    bought = KlingHook().submit(TextToVideo(prompt="a fox"))
    if on == "poll":
        task_run.simulator.inject(fault, on=on, times=None)
    with pytest.raises(exceptions.KlingException) as failure:
        _run(task_run, bought, deferrable=deferrable)
    assert type(failure.value) is getattr(exceptions, kind)
    assert isinstance(failure.value, AirflowFailException) is fails_for_good
    assert failure.value.task_id == bought
    assert "This task buys nothing: a retry or a clear asks again." in str(failure.value)
    assert "buys a new" not in str(failure.value)
    assert "pays nothing" not in str(failure.value)
    assert task_run.simulator.submits == 1


@troubles
def test_soft_fail_skips_when_deferred(
    task_run: TaskRun, *, fault: Any, on: str, kind: str, fails_for_good: bool
) -> None:
    task_run.simulator.inject(fault, on=on, times=None)
    bought = KlingHook().submit(TextToVideo(prompt="a fox"))
    with pytest.raises(AirflowSkipException):
        _run(task_run, bought, soft_fail=True)


def test_a_render_nobody_knows_is_lost_in_the_end(task_run: TaskRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "LOST_AFTER", 0.05)
    with pytest.raises(exceptions.RenderLost, match="This task buys nothing"):
        _run(task_run, "nobody-knows-me")


@both_ways
def test_a_link_that_does_not_come_is_not_delivered(task_run: TaskRun, task_id: str, deferrable: bool) -> None:
    task_run.simulator.inject(faults.NoLink(), on="poll", times=None)
    kind = exceptions.VideoUnavailable if deferrable else AirflowSensorTimeout
    with pytest.raises(kind):
        _run(task_run, task_id, deferrable=deferrable, timeout=0.3)
    assert task_run.simulator.submits == 1
