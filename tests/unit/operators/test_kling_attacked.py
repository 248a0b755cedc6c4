"""What an attack on "paid once" found: a store that fails at the worst moment, and messages that spoke too soon."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from task_runs import RECORD, TaskRun, fired

from airflow_provider_kling import exceptions
from airflow_provider_kling._compat import AirflowFailException, AirflowRescheduleException
from airflow_provider_kling.simulator import faults

if TYPE_CHECKING:
    from pathlib import Path

    from logs import Logs

pytestmark = [pytest.mark.kling_simulator(speed=1e6, short_side=90), pytest.mark.needs_task_state_store]
NEVER = faults.UnknownStatus()


def _read_fails_once(task_run: TaskRun, monkeypatch: pytest.MonkeyPatch, *, at: int = 1) -> None:
    original, reads = task_run.store.get, iter(range(1, 1000))

    def get(key: str, default: Any = None) -> Any:
        if next(reads) == at:
            raise OSError("hiccup")
        return original(key, default)

    monkeypatch.setattr(task_run.store, "get", get)


@pytest.mark.parametrize("trouble", ["hiccup", "deleted"])
def test_a_record_that_can_not_be_had_on_resume_is_not_replaced_by_a_worse_one(
    task_run: TaskRun, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    task_run.simulator.inject(NEVER, on="poll", times=None)
    deferred = task_run.defer(timeout=0.3)
    before, event = task_run.store.record, fired(deferred.trigger)
    if trouble == "deleted":
        task_run.store.clear()
    else:
        _read_fails_once(task_run, monkeypatch)
    with pytest.raises(exceptions.RenderTimeout, match="pays nothing"):
        task_run.resume(deferred, event)
    assert task_run.store.record == before
    task_run.simulator.clear_faults()
    assert task_run.attempt()["video_url"]
    assert task_run.simulator.submits == 1


@pytest.mark.parametrize("change", [{"v": 2}, {"phase": "paused"}], ids=str)
def test_a_record_of_a_newer_version_is_never_overwritten(task_run: TaskRun, change: dict[str, Any]) -> None:
    task_run.simulator.inject(NEVER, on="poll", times=None)
    deferred = task_run.defer(timeout=0.3)
    event = fired(deferred.trigger)
    task_run.store.change(**change)
    newer = task_run.store.record
    with pytest.raises(exceptions.RenderTimeout, match="a retry stops without buying"):
        task_run.resume(deferred, event)
    assert task_run.store.record == newer
    with pytest.raises(exceptions.LedgerUnavailable):
        task_run.attempt()
    assert task_run.simulator.submits == 1


def test_a_deferral_of_an_older_version_goes_on(task_run: TaskRun) -> None:
    deferred = task_run.defer()
    task_run.store.clear()
    deferred.kwargs = {"submitted_at": 1.0}
    assert task_run.resume(deferred)["video_url"]
    assert task_run.simulator.submits == 1


def test_moderation_is_remembered_when_the_api_has_forgotten_the_render(task_run: TaskRun) -> None:
    task_run.simulator.inject(faults.Fail("risk control: sensitive content"), on="render", times=None)
    task_run.crash("after", "failed")
    task_run.simulator.inject(faults.NotFound(), on="poll", times=None)
    for _ in range(2):
        with pytest.raises(exceptions.ContentRejected, match="a clear buys a new render") as failure:
            task_run.attempt()
        assert isinstance(failure.value, AirflowFailException)
    assert task_run.simulator.submits == 1


@pytest.mark.parametrize("mistake", [{"duration": "99"}, {"save_to": "/proc/no/such/place.mp4"}], ids=str)
def test_an_unanswered_submit_is_told_before_any_mistake(task_run: TaskRun, mistake: dict[str, Any]) -> None:
    task_run.simulator.inject(faults.Drop(accept=True))
    with pytest.raises(exceptions.SubmitUncertain):
        task_run.attempt()
    operator = task_run.operator()
    for name, value in mistake.items():
        setattr(operator, name, value)
    with pytest.raises(exceptions.SubmitUncertain):
        operator.execute(task_run.context())
    task_run.clear()
    with pytest.raises(exceptions.KlingException, match="an earlier submit of this task is unanswered"):
        operator.execute(task_run.context())
    assert task_run.simulator.submits == 1


def test_a_mistake_after_a_clear_that_would_buy_anew_is_a_mistake(task_run: TaskRun) -> None:
    task_run.attempt()
    operator = task_run.operator()
    operator.duration = "99"
    with pytest.raises(exceptions.VideoUnavailable, match="was delivered before"):
        operator.execute(task_run.context())
    task_run.clear()
    with pytest.raises(exceptions.InvalidRequest, match="Nothing was sent or paid"):
        operator.execute(task_run.context())


def test_an_intent_that_can_not_be_verified_is_taken_back(task_run: TaskRun, monkeypatch: pytest.MonkeyPatch) -> None:
    _read_fails_once(task_run, monkeypatch, at=2)
    with pytest.raises(exceptions.LedgerUnavailable, match="a retry tries again"):
        task_run.start()
    assert task_run.store.record is None
    assert task_run.attempt()["video_url"]
    assert task_run.simulator.submits == 1


@pytest.mark.parametrize("fault", [faults.RateLimited(), faults.ErrorBody(402, "NOT_ENOUGH_BALANCE")], ids=str)
def test_an_intent_that_stays_is_told(task_run: TaskRun, monkeypatch: pytest.MonkeyPatch, fault: Any) -> None:
    task_run.simulator.inject(fault)
    monkeypatch.setattr(task_run.store, "delete", lambda _: None)  # dropped without a word
    with pytest.raises(exceptions.LedgerUnavailable, match="the intent could not be taken back"):
        task_run.start()
    with pytest.raises(exceptions.SubmitUncertain):
        task_run.start()
    assert task_run.simulator.accepted == []


def test_an_intent_is_taken_back_with_patience(task_run: TaskRun, monkeypatch: pytest.MonkeyPatch) -> None:
    task_run.simulator.inject(faults.RateLimited())
    original, tries = task_run.store.delete, iter([OSError("down"), None])

    def delete(key: str) -> None:
        if error := next(tries):
            raise error
        original(key)

    monkeypatch.setattr(task_run.store, "delete", delete)
    with pytest.raises(AirflowRescheduleException):
        task_run.start()
    assert RECORD not in task_run.store.rows


def test_a_retry_describes_the_render_it_delivers_not_the_one_it_would_buy(
    task_run: TaskRun, tmp_path: Path, logs: Logs
) -> None:
    task_run.simulator.inject(faults.ExpiredLink(), on="download", times=None)
    with pytest.raises(exceptions.VideoUnavailable):
        task_run.attempt(prompt="A fox", save_to=str(tmp_path / "fox.mp4"))
    task_run.simulator.clear_faults()
    manifest = task_run.attempt(prompt="A wolf", save_to=str(tmp_path / "fox.mp4"))
    assert (manifest["bytes"] > 0, manifest["prompt"]) == (True, None)
    assert "The inputs have changed since it was rendered" in logs.text
    assert task_run.simulator.submits == 1


@pytest.mark.parametrize("why", ["Trigger timeout", "Trigger failure"])
def test_a_trigger_that_never_reports_does_not_hide_the_render(task_run: TaskRun, why: str) -> None:
    task_run.defer()
    with pytest.raises(exceptions.RenderTimeout, match="pays nothing") as failure:
        task_run.operator().resume_execution("__fail__", {"error": why}, task_run.context())
    assert failure.value.task_id == task_run.ti.xcom["task_id"]


def test_a_saved_video_that_is_gone_and_can_not_be_fetched_says_what_a_clear_does(
    task_run: TaskRun, tmp_path: Path
) -> None:
    target = tmp_path / "fox.mp4"
    task_run.crash("after", "done", save_to=str(target))
    target.unlink()
    task_run.simulator.inject(faults.ExpiredLink(), on="download", times=None)
    with pytest.raises(exceptions.VideoUnavailable, match="a clear buys a new render, as on_clear='render'"):
        task_run.attempt(save_to=str(target))


@pytest.mark.parametrize("task_id", ["a\nb", "x" * 201, "\x1b[31m", "a\x00b"], ids=repr)
def test_what_is_no_id_is_no_answer(task_run: TaskRun, logs: Logs, task_id: str) -> None:
    task_run.simulator.inject(faults.RawAnswer(200, json.dumps({"task_id": task_id})))
    with pytest.raises(exceptions.SubmitUncertain):
        task_run.start()
    assert task_run.phase == "intent"


def test_an_environment_that_can_not_be_used_is_told_before_anything_is_sent(
    task_run: TaskRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks9://user:secret@127.0.0.1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    elsewhere = {"conn_type": "kling", "password": "sk_key", "host": "https://127.0.0.2.example"}
    monkeypatch.setenv("AIRFLOW_CONN_KLING_DEFAULT", json.dumps(elsewhere))
    with pytest.raises(exceptions.InvalidConnection, match="proxy or certificate settings") as failure:
        task_run.start()
    assert "secret" not in str(failure.value)
    assert task_run.store.record is None
