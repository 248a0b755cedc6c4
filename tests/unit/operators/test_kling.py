"""One attempt that goes well: order, deferral, manifest, and waiting on the worker instead."""

from __future__ import annotations

import hashlib
import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from task_runs import fired

from airflow_provider_kling import fetching
from airflow_provider_kling.api.client import KlingClient
from airflow_provider_kling.triggers.kling import KlingRenderTrigger

if TYPE_CHECKING:
    from pathlib import Path

    from logs import Logs
    from task_runs import TaskRun

pytestmark = pytest.mark.kling_simulator(speed=1e6, short_side=90)

MANIFEST = {
    "task_id",
    "status",
    "model",
    "prompt",
    "multi_prompt",
    "duration",
    "aspect_ratio",
    "sound",
    "video_url",
    "video_type",
    "video_url_expires_at",
    "submitted_at",
    "finished_at",
    "saved_to",
    "bytes",
    "sha256",
}
both_ways = pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "on the worker"])


@pytest.mark.needs_task_state_store
def test_intent_is_written_before_the_post_and_the_id_before_anything_else(task_run: TaskRun) -> None:
    deferred = task_run.defer()
    assert task_run.journal.entries == [("intent", 0), ("submitted", 1), ("xcom task_id", 1)]
    assert task_run.simulator.polls == 0
    task_run.resume(deferred)
    assert [entry for entry, _ in task_run.journal.entries[3:]] == ["rendered", "done"]
    assert task_run.simulator.submits == 1


@pytest.mark.needs_task_state_store
def test_the_record_never_expires(task_run: TaskRun) -> None:
    from airflow.sdk.execution_time.context import NEVER_EXPIRE

    task_run.attempt()
    assert task_run.store.retentions
    assert all(retention is NEVER_EXPIRE for retention in task_run.store.retentions)


def test_the_task_id_is_pushed_before_the_task_defers(task_run: TaskRun) -> None:
    deferred = task_run.defer()
    assert task_run.ti.xcom == {"task_id": task_run.simulator.accepted[0].task_id}
    assert isinstance(deferred.trigger, KlingRenderTrigger)
    assert deferred.trigger.kling_task_id == task_run.ti.xcom["task_id"]


@both_ways
def test_nothing_is_pushed_without_do_xcom_push(task_run: TaskRun, deferrable: bool) -> None:
    task_run.attempt(do_xcom_push=False, deferrable=deferrable)
    assert task_run.ti.xcom == {}


def test_the_trigger_carries_the_id_the_times_and_a_label_only(task_run: TaskRun) -> None:
    before = time.time()
    deferred = task_run.defer(timeout=timedelta(minutes=10), duration=7)
    path, arguments = deferred.trigger.serialize()
    assert path == "airflow_provider_kling.triggers.kling.KlingRenderTrigger"
    assert set(arguments) == {"kling_conn_id", "kling_task_id", "submitted_at", "deadline", "like"}
    assert json.loads(json.dumps(arguments)) == arguments
    assert arguments["kling_conn_id"] == "kling_default"
    assert arguments["like"] == "kling-v3.0-4k-t2v/7s"
    assert before <= arguments["submitted_at"] <= time.time()
    assert before + 600 <= arguments["deadline"] <= time.time() + 600
    assert deferred.method_name == "execute_complete"


def test_airflows_own_timeout_comes_after_ours(task_run: TaskRun) -> None:
    deferred = task_run.defer(timeout=600)
    assert isinstance(deferred.trigger, KlingRenderTrigger)
    assert isinstance(deferred.timeout, timedelta)
    assert time.time() + deferred.timeout.total_seconds() > deferred.trigger.deadline + 60


@both_ways
def test_the_manifest_has_exactly_the_promised_keys(task_run: TaskRun, deferrable: bool) -> None:
    begun = datetime.now(UTC).replace(microsecond=0)
    manifest = task_run.attempt(deferrable=deferrable, aspect_ratio="9:16", sound=True, duration=3)
    assert set(manifest) == MANIFEST
    accepted = task_run.simulator.accepted[0]
    expected = {
        "task_id": accepted.task_id,
        "status": "TASK_STATUS_SUCCEED",
        "model": "kling-v3.0-4k-t2v",
        "prompt": "A fox in the snow",
        "multi_prompt": None,
        "duration": 3,
        "aspect_ratio": "9:16",
        "sound": True,
        "video_type": "mp4",
        "finished_at": None,
        "saved_to": None,
        "bytes": None,
        "sha256": None,
    }
    assert {name: manifest[name] for name in expected} == expected
    assert manifest["video_url"].startswith(task_run.simulator.base_url)
    for name in ("submitted_at", "video_url_expires_at"):
        moment = datetime.fromisoformat(manifest[name])
        assert moment.utcoffset() == timedelta(0)
        assert moment >= begun


def test_the_manifest_fills_in_the_apis_defaults(task_run: TaskRun) -> None:
    manifest = task_run.attempt()
    assert (manifest["duration"], manifest["aspect_ratio"], manifest["sound"]) == (5, "16:9", False)
    assert task_run.simulator.accepted[0].body == {"prompt": "A fox in the snow"}


def test_every_field_given_is_sent_as_the_api_wants_it(task_run: TaskRun) -> None:
    fields: dict[str, Any] = {
        "multi_prompt": [{"prompt": "one", "duration": 3}, {"prompt": "two", "duration": 4}],
        "negative_prompt": "blur",
        "aspect_ratio": "1:1",
        "cfg_scale": 0.25,
        "sound": False,
    }
    manifest = task_run.attempt(**fields)
    assert task_run.simulator.accepted[0].body == {**fields, "duration": 7}
    assert manifest["multi_prompt"] == fields["multi_prompt"]
    assert (manifest["prompt"], manifest["duration"]) == (None, 7)


def test_another_model_goes_to_its_own_address(task_run: TaskRun) -> None:
    manifest = task_run.attempt(model="kling-v3.0-std-t2v")
    assert task_run.simulator.accepted[0].model == manifest["model"] == "kling-v3.0-std-t2v"


@both_ways
def test_the_video_is_saved_whole_and_described(task_run: TaskRun, tmp_path: Path, deferrable: bool) -> None:
    target = tmp_path / "new folder" / "fox.mp4"
    manifest = task_run.attempt(save_to=str(target), deferrable=deferrable)
    video = target.read_bytes()
    assert video[4:8] == b"ftyp"
    assert manifest["saved_to"] == str(target)
    assert manifest["bytes"] == len(video)
    assert manifest["sha256"] == hashlib.sha256(video).hexdigest()
    assert [path.name for path in target.parent.iterdir()] == ["fox.mp4"]


def test_the_link_is_asked_for_when_the_task_resumes(task_run: TaskRun) -> None:
    deferred = task_run.defer()
    event = {"outcome": "succeeded", "task_id": task_run.ti.xcom["task_id"], "reason": None}
    task_run.simulator.finish()
    manifest = task_run.resume(deferred, event)
    assert task_run.simulator.polls == 1
    assert manifest["video_url"]


def test_waiting_on_the_worker_returns_what_deferring_returns(task_run: TaskRun, forgetful_run: TaskRun) -> None:
    deferred, waited = task_run.attempt(), forgetful_run.attempt(deferrable=False)
    changing = {"task_id", "video_url", "video_url_expires_at", "submitted_at"}
    assert {k: v for k, v in deferred.items() if k not in changing} == {
        k: v for k, v in waited.items() if k not in changing
    }


def test_a_template_that_renders_differently_by_now_does_not_cost_the_video(task_run: TaskRun) -> None:
    deferred = task_run.defer()
    manifest = task_run.resume(deferred, prompt="{{ now }}", duration="{{ x }}")
    assert manifest["status"] == "TASK_STATUS_SUCCEED"
    assert manifest["prompt"] is None


@pytest.mark.parametrize("event", [None, {}, {"outcome": "succeeded"}, {"outcome": "?", "task_id": "x"}, "succeeded"])
def test_an_event_of_something_else_is_not_believed(task_run: TaskRun, event: Any) -> None:
    with pytest.raises(ValueError, match="no event of KlingRenderTrigger"):
        task_run.operator().execute_complete(task_run.context(), event=event)
    assert task_run.simulator.polls == 0


def test_being_killed_while_waiting_on_the_worker_is_told_honestly(
    task_run: TaskRun, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = task_run.operator(deferrable=False)

    async def killed(_: KlingRenderTrigger, **__: object) -> None:
        operator.on_kill()
        raise KeyboardInterrupt

    monkeypatch.setattr(KlingRenderTrigger, "wait", killed)
    with pytest.raises(KeyboardInterrupt):
        operator.execute(task_run.context())
    (told,) = [line for line in logs.warnings if "Stopped" in line]
    assert task_run.ti.xcom["task_id"] in told
    assert "goes on and is paid" in told
    assert "no cancel" in told


def test_being_killed_with_nothing_bought_tells_nothing(task_run: TaskRun, logs: Logs) -> None:
    task_run.operator().on_kill()
    assert logs.lines == []


def test_being_killed_while_submitting_promises_nothing(
    task_run: TaskRun, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = task_run.operator()

    def killed(*_: object, **__: object) -> None:
        operator.on_kill()
        raise KeyboardInterrupt

    monkeypatch.setattr(KlingClient, "submit", killed)
    with pytest.raises(KeyboardInterrupt):
        operator.execute(task_run.context())
    (told,) = [line for line in logs.warnings if "Stopped" in line]
    assert "it is unknown whether it buys a render" in told
    assert "is paid" not in told


def test_being_killed_while_delivering_names_the_paid_render(
    task_run: TaskRun, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    deferred = task_run.defer()
    operator = task_run.operator()

    def killed(*_: object, **__: object) -> None:
        operator.on_kill()
        raise KeyboardInterrupt

    monkeypatch.setattr(fetching, "ask_for_link", killed)
    with pytest.raises(KeyboardInterrupt):
        operator.execute_complete(task_run.context(), event=fired(deferred.trigger))
    (told,) = [line for line in logs.warnings if "Stopped" in line]
    assert task_run.ti.xcom["task_id"] in told
