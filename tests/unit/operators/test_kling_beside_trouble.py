"""A paid render stays known and its messages stay true, whatever fails beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from task_runs import FakeTaskInstance

from airflow_provider_kling import exceptions
from airflow_provider_kling._compat import AirflowFailException
from airflow_provider_kling.simulator import faults

if TYPE_CHECKING:
    from pathlib import Path

    from logs import Logs
    from task_runs import TaskRun

pytestmark = [pytest.mark.kling_simulator(speed=1e6, short_side=90), pytest.mark.needs_task_state_store]


def test_a_target_that_breaks_after_the_purchase_says_that_it_is_paid_and_retries(
    task_run: TaskRun, tmp_path: Path
) -> None:
    folder = tmp_path / "videos"
    deferred = task_run.defer(save_to=str(folder / "fox.mp4"))
    folder.rmdir()
    folder.write_text("in the way")
    with pytest.raises(exceptions.VideoUnavailable, match="pays nothing"):
        task_run.resume(deferred, save_to=str(folder / "fox.mp4"))
    with pytest.raises(exceptions.VideoUnavailable, match=r"folder.*rendered and paid.*pays nothing") as failure:
        task_run.attempt(save_to=str(folder / "fox.mp4"))
    assert not isinstance(failure.value, AirflowFailException)
    assert "Nothing was sent" not in str(failure.value)
    folder.unlink()
    assert task_run.attempt(save_to=str(folder / "fox.mp4"))["bytes"]
    assert task_run.simulator.submits == 1


def test_an_id_that_can_not_be_recorded_is_not_called_unpaid(
    task_run: TaskRun, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = task_run.store.set
    writes: list[object] = []

    def set_once(key: str, value: object, **more: object) -> None:
        writes.append(value)
        if len(writes) > 1:
            raise OSError("gone")
        original(key, value, **more)

    monkeypatch.setattr(task_run.store, "set", set_once)
    manifest = task_run.attempt()
    assert manifest["task_id"] == task_run.simulator.accepted[0].task_id
    assert "could not be recorded" in logs.text
    assert f"Render {manifest['task_id']} is paid" in logs.text
    assert "Nothing was sent" not in logs.text


def _lose_the_id(task_run: TaskRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store takes the intent and drops what comes then, without a word: what Airflow 3.3 does."""
    original = task_run.store.set

    def set_intent_only(key: str, value: dict[str, object], **more: object) -> None:
        if value["phase"] == "intent":
            original(key, value, **more)

    monkeypatch.setattr(task_run.store, "set", set_intent_only)


def test_an_id_that_was_not_recorded_is_recorded_when_the_waiting_ends(
    task_run: TaskRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_run.simulator.inject(faults.UnknownStatus(), on="poll", times=None)
    with monkeypatch.context() as patch:
        _lose_the_id(task_run, patch)
        deferred = task_run.defer(timeout=0.3)
    assert task_run.phase == "intent"
    with pytest.raises(exceptions.RenderTimeout, match="goes on with the same render and pays nothing"):
        task_run.resume(deferred)
    task_run.simulator.clear_faults()
    assert task_run.attempt()["task_id"] == task_run.simulator.accepted[0].task_id
    assert task_run.simulator.submits == 1


@pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "on the worker"])
def test_an_id_that_can_never_be_recorded_is_not_called_remembered(
    task_run: TaskRun, monkeypatch: pytest.MonkeyPatch, *, deferrable: bool
) -> None:
    task_run.simulator.inject(faults.UnknownStatus(), on="poll", times=None)
    _lose_the_id(task_run, monkeypatch)
    with pytest.raises(exceptions.RenderTimeout, match="a retry stops without buying") as failure:
        task_run.attempt(timeout=0.3, deferrable=deferrable)
    assert f"Render {task_run.simulator.accepted[0].task_id}" in str(failure.value)
    with pytest.raises(exceptions.SubmitUncertain):
        task_run.attempt()
    assert task_run.simulator.submits == 1


def test_inputs_that_render_differently_by_now_do_not_describe_the_video(task_run: TaskRun) -> None:
    deferred = task_run.defer(prompt="A fox at 10:00", duration=7)
    manifest = task_run.resume(deferred, prompt="A fox at 10:04", duration=7)
    assert manifest["video_url"]
    assert (manifest["prompt"], manifest["duration"]) == (None, None)


def test_delivering_again_says_when_the_inputs_have_changed(task_run: TaskRun, logs: Logs) -> None:
    first = task_run.attempt(prompt="A fox")
    task_run.clear()
    assert task_run.attempt(prompt="A wolf", on_clear="reuse")["prompt"] == "A fox"
    assert f"The inputs have changed since render {first['task_id']} was delivered" in logs.text
    assert task_run.simulator.submits == 1


def test_an_xcom_that_can_not_be_pushed_fails_nothing(task_run: TaskRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no API server")

    monkeypatch.setattr(FakeTaskInstance, "xcom_push", refuse)
    assert task_run.attempt()["video_url"]
    assert task_run.simulator.submits == 1


def test_a_store_that_can_not_be_read_on_resume_does_not_hold_back_the_video(task_run: TaskRun) -> None:
    deferred = task_run.defer()
    task_run.store.read_error = OSError("gone")
    assert task_run.resume(deferred)["video_url"]


def test_a_model_that_is_none_leaves_no_phantom_purchase(task_run: TaskRun) -> None:
    operator = task_run.operator()
    operator.model = None  # type: ignore[assignment]
    with pytest.raises(exceptions.InvalidRequest, match="model=None"):
        operator.execute(task_run.context())
    assert task_run.store.record is None


def test_a_proxys_404_page_does_not_buy_a_finished_render_again(task_run: TaskRun, tmp_path: Path) -> None:
    task_run.simulator.inject(faults.Html(), on="download", times=None)
    with pytest.raises(exceptions.VideoUnavailable):
        task_run.attempt(save_to=str(tmp_path / "fox.mp4"))
    task_run.simulator.clear_faults()
    task_run.clear()
    task_run.simulator.inject(faults.RawAnswer(404, "<html>nginx</html>", {}), on="poll")
    assert task_run.attempt(save_to=str(tmp_path / "fox.mp4"))["bytes"]
    assert task_run.simulator.submits == 1


def test_the_record_holds_no_signed_link(task_run: TaskRun) -> None:
    manifest = task_run.attempt()
    assert manifest["video_url"]
    assert manifest["video_url"] not in str(task_run.store.record)
