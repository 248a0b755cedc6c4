"""The card: what the pages in Airflow's UI show, written a few times, never decided by."""

from __future__ import annotations

import inspect
import json
import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.execution_time import xcom
from hypothesis import given
from hypothesis import strategies as st
from task_runs import FakeTaskInstance, TaskDeferred, fired

from airflow_provider_kling import card
from airflow_provider_kling.api.models import Render, RenderStatus
from airflow_provider_kling.card import Card, Display, is_over, progress, tell, updated
from airflow_provider_kling.exceptions import ContentRejected, RenderFailed, RenderTimeout, SubmitUncertain
from airflow_provider_kling.hooks.kling import KlingHook
from airflow_provider_kling.manifest import Manifest
from airflow_provider_kling.sensors.kling import KlingRenderSensor
from airflow_provider_kling.simulator import faults
from airflow_provider_kling.transfers.kling_to_object_storage import KlingToObjectStorageOperator

if TYPE_CHECKING:
    from pathlib import Path

    from task_runs import TaskRun

    from airflow_provider_kling.simulator import KlingSimulator

NOW = 1_750_000_000.0
AT_NOW = "2025-06-15T15:06:40+00:00"
QUICK = pytest.mark.kling_simulator(speed=1e6, short_side=90)


def a_render(status: RenderStatus = RenderStatus.PROCESSING, **fields: Any) -> Render:
    return Render(**{"task_id": "t", "status": status, "raw_status": status.value, **fields})


def test_it_has_the_shape_of_the_manifest_and_a_little_more() -> None:
    assert list(Card.model_fields)[: len(Manifest.model_fields)] == list(Manifest.model_fields)
    assert set(Card.model_fields) - set(Manifest.model_fields) == {
        "negative_prompt", "cfg_scale", "percent", "elapsed", "expected_at", "rendering_at", "saved_at", "created_at",
        "updated_at", "failure", "bought", "kling_conn_id",
    }  # fmt: skip


class TestUpdated:
    def test_news_are_merged_and_dated(self) -> None:
        begun = updated({"task_id": "t"}, NOW, status="SUBMITTED", submitted_at=AT_NOW)
        later = updated(begun, NOW + 90.04, **progress(a_render(percent=1), NOW + 200))
        assert (
            later
            == Card(
                task_id="t",
                status="TASK_STATUS_PROCESSING",
                submitted_at=AT_NOW,
                created_at=AT_NOW,
                rendering_at="2025-06-15T15:08:10+00:00",
                updated_at="2025-06-15T15:08:10+00:00",
                expected_at="2025-06-15T15:10:00+00:00",
                elapsed=90.0,
            ).model_dump()
        )

    def test_since_when_it_renders_stays(self) -> None:
        first = updated({}, NOW, status="TASK_STATUS_PROCESSING")
        assert updated(first, NOW + 60, status="TASK_STATUS_PROCESSING")["rendering_at"] == AT_NOW

    def test_one_that_was_never_bought_is_dated_by_its_beginning(self) -> None:
        first = updated({}, NOW, status="WAITING")
        assert updated(first, NOW + 60, failure="it failed")["created_at"] == AT_NOW

    def test_one_that_waited_is_dated_by_its_purchase(self) -> None:
        first = updated({}, NOW - 600, status="WAITING")
        assert updated(first, NOW, submitted_at=AT_NOW)["created_at"] == AT_NOW

    @given(st.dictionaries(st.sampled_from(list(Card.model_fields)), st.none() | st.text() | st.integers()))
    def test_whatever_it_takes_is_json(self, fields: dict[str, Any]) -> None:
        try:
            made = updated(fields, NOW)
        except ValueError:
            return
        assert json.loads(json.dumps(made)) == made


@pytest.mark.parametrize(
    ("fields", "over"),
    [
        ({"status": "SUBMITTED"}, False),
        ({"status": "TASK_STATUS_PROCESSING"}, False),
        ({"status": "TASK_STATUS_SUCCEED"}, True),
        ({"status": "TASK_STATUS_FAILED"}, True),
        ({"status": "TASK_STATUS_PROCESSING", "failure": "timed out"}, True),
        ({"status": "?", "saved_at": AT_NOW}, True),
    ],
)
def test_an_end_is_an_end(fields: dict[str, Any], *, over: bool) -> None:
    assert is_over(fields) is over


@QUICK
@pytest.mark.usefixtures("impatient")
class TestTheOperatorsCard:
    def test_it_is_shown_at_the_submit_and_at_the_end(self, task_run: TaskRun, tmp_path: Path) -> None:
        wish = {"duration": 8, "sound": True, "negative_prompt": "people", "cfg_scale": 0.7}
        manifest = task_run.attempt(save_to=str(tmp_path / "fox.mp4"), **wish)
        bought, finished, done = task_run.ti.cards
        assert (bought["status"], bought["task_id"], bought["bought"]) == ("SUBMITTED", manifest["task_id"], "yes")
        assert (bought["prompt"], bought["duration"], bought["sound"]) == ("A fox in the snow", 8, True)
        assert (bought["negative_prompt"], bought["cfg_scale"]) == ("people", 0.7)
        assert bought["kling_conn_id"] == "kling_default"
        assert bought["saved_to"] is bought["saved_at"] is None
        assert finished["status"] == "TASK_STATUS_SUCCEED"
        assert finished["finished_at"]
        assert {name: done[name] for name in manifest if name != "finished_at"} == {
            name: value for name, value in manifest.items() if name != "finished_at"
        }
        assert done["saved_at"]
        assert done["finished_at"]
        assert done["created_at"] == bought["submitted_at"]

    def test_shots_are_in_it(self, task_run: TaskRun) -> None:
        task_run.attempt(multi_prompt=[{"prompt": "a", "duration": 2}, {"prompt": "b", "duration": 3}])
        assert task_run.ti.cards[0]["multi_prompt"] == [{"prompt": "a", "duration": 2}, {"prompt": "b", "duration": 3}]
        assert task_run.ti.cards[0]["prompt"] is None

    def test_waiting_on_the_worker_it_moves_too(self, kling_simulator: KlingSimulator, task_run: TaskRun) -> None:
        kling_simulator.inject(faults.UnknownStatus("TASK_STATUS_DREAMING"), on="poll", times=1)
        task_run.attempt(deferrable=False)
        assert "TASK_STATUS_DREAMING" in [shown["status"] for shown in task_run.ti.cards]

    def test_a_refused_prompt_is_told_with_what_to_do(self, kling_simulator: KlingSimulator, task_run: TaskRun) -> None:
        kling_simulator.inject(faults.ErrorBody(400, "ILLEGAL_PROMPT"))
        with pytest.raises(ContentRejected) as failure:
            task_run.attempt()
        shown = task_run.ti.cards[-1]
        assert (shown["status"], shown["bought"], shown["task_id"]) == ("NOT_BOUGHT", "no", None)
        assert shown["failure"] == str(failure.value)
        assert "change the prompt" in shown["failure"]
        assert shown["prompt"] == "A fox in the snow"

    def test_a_lost_answer_is_uncertain(self, kling_simulator: KlingSimulator, task_run: TaskRun) -> None:
        kling_simulator.inject(faults.Drop(accept=True))
        with pytest.raises(SubmitUncertain):
            task_run.attempt()
        assert (task_run.ti.cards[-1]["status"], task_run.ti.cards[-1]["bought"]) == ("UNCERTAIN", "perhaps")

    def test_a_failed_render_says_why(self, kling_simulator: KlingSimulator, task_run: TaskRun) -> None:
        kling_simulator.inject(faults.Fail("out of memory"), on="render")
        with pytest.raises(RenderFailed):
            task_run.attempt()
        shown = task_run.ti.cards[-1]
        assert shown["status"] == "TASK_STATUS_FAILED"
        assert "out of memory" in shown["failure"]
        assert shown["task_id"] == kling_simulator.accepted[0].task_id

    def test_after_a_timeout_it_still_renders(self, kling_simulator: KlingSimulator, task_run: TaskRun) -> None:
        kling_simulator.hold()
        with pytest.raises(RenderTimeout):
            task_run.attempt(timeout=0.3, deferrable=False)
        shown = task_run.ti.cards[-1]
        assert shown["status"] != "TASK_STATUS_FAILED"
        assert "may still finish" in shown["failure"]

    def test_standing_in_line_is_told(self, kling_simulator: KlingSimulator, task_run: TaskRun) -> None:
        kling_simulator.inject(faults.RateLimited())
        with pytest.raises(Exception, match=r".*") as aside:
            task_run.attempt()
        assert "Reschedule" in type(aside.value).__name__
        assert task_run.ti.cards[-1]["status"] == "WAITING"
        assert task_run.ti.cards[-1]["failure"] is None

    def test_delivered_again_it_is_whole_again(self, task_run: TaskRun, tmp_path: Path) -> None:
        arguments = {"save_to": str(tmp_path / "fox.mp4"), "on_clear": "reuse"}
        task_run.attempt(**arguments)
        before = len(task_run.ti.cards)
        task_run.clear()
        task_run.attempt(**arguments)
        assert task_run.ti.cards[-1]["saved_to"] == arguments["save_to"]
        assert len(task_run.ti.cards) > before

    def test_without_xcoms_there_is_none(self, task_run: TaskRun) -> None:
        task_run.attempt(do_xcom_push=False)
        assert task_run.ti.cards == []

    def test_no_render_fails_of_it(
        self, task_run: TaskRun, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        push = FakeTaskInstance.xcom_push

        def refuse(ti: FakeTaskInstance, key: str, value: Any) -> None:
            if key == card.KEY:
                raise ConnectionError("Airflow is away")
            push(ti, key, value)

        monkeypatch.setattr(FakeTaskInstance, "xcom_push", refuse)
        with caplog.at_level(logging.WARNING):
            assert task_run.attempt()["status"] == "TASK_STATUS_SUCCEED"
        assert "Could not push the XCom kling_render (ConnectionError); the task goes on." in caplog.messages

    @pytest.mark.parametrize("forged", ["a string", {"percent": "much"}, ["a list"], {"status": {"a": "dict"}}])
    def test_what_others_wrote_there_does_no_harm(self, task_run: TaskRun, forged: Any) -> None:
        deferred = task_run.defer()
        task_run.ti.cards.append(forged)
        manifest = task_run.resume(deferred)
        assert task_run.ti.cards[-1]["task_id"] == manifest["task_id"]


@QUICK
@pytest.mark.usefixtures("impatient")
def test_sensor_and_transfer_show_theirs(kling_simulator: KlingSimulator, task_run: TaskRun, tmp_path: Path) -> None:
    task_id = task_run.attempt()["task_id"]
    ti = task_run.ti = FakeTaskInstance(task_run.journal)
    sensor = KlingRenderSensor(task_id="wait", kling_task_id=task_id)
    ti.task_id = "wait"
    try:
        sensor.execute(task_run.context())
    except TaskDeferred as deferred:
        sensor.execute_complete(task_run.context(), fired(deferred.trigger))
    assert [shown["status"] for shown in ti.cards] == ["SUBMITTED", "TASK_STATUS_SUCCEED"]
    assert ti.cards[-1]["video_url"]
    ti.cards.clear()
    path = str(tmp_path / "fox.mp4")
    KlingToObjectStorageOperator(task_id="wait", kling_task_id=task_id, path=path).execute(task_run.context())
    assert (ti.cards[-1]["saved_to"], ti.cards[-1]["task_id"]) == (path, task_id)
    assert ti.cards[-1]["saved_at"]


class FakeXCom:
    """Airflow's `XCom`, as the triggerer uses it."""

    stored: Any = None
    written = 0

    @classmethod
    def get_one(cls, *, key: str, dag_id: str, task_id: str, run_id: str, map_index: int) -> Any:
        assert (key, dag_id, task_id, run_id, map_index) == ("kling_render", "films", "render", "test", -1)
        return cls.stored

    @classmethod
    def set(cls, *, key: str, value: Any, dag_id: str, task_id: str, run_id: str, map_index: int) -> None:
        cls.get_one(key=key, dag_id=dag_id, task_id=task_id, run_id=run_id, map_index=map_index)
        cls.stored, cls.written = json.loads(json.dumps(value)), cls.written + 1


class TestFromTheTriggerer:
    TI = SimpleNamespace(dag_id="films", run_id="test", task_id="render", map_index=-1)

    @pytest.fixture
    def stored(self, monkeypatch: pytest.MonkeyPatch) -> type[FakeXCom]:
        fresh = type("Fresh", (FakeXCom,), {})
        monkeypatch.setattr(xcom, "XCom", fresh)
        monkeypatch.setattr(card, "time", SimpleNamespace(time=lambda: NOW + 6))
        return fresh

    async def test_it_shows_how_the_render_stands(self, stored: type[FakeXCom]) -> None:
        stored.stored = updated({"task_id": "t", "prompt": "a fox"}, NOW, status="SUBMITTED")
        await tell(self.TI, a_render(progress_percent=30), NOW + 60, NOW + 5)
        assert (stored.stored["prompt"], stored.stored["percent"]) == ("a fox", 30)
        assert stored.stored["status"] == "TASK_STATUS_PROCESSING"
        assert stored.stored["expected_at"] == "2025-06-15T15:07:40+00:00"
        assert stored.stored["rendering_at"] == "2025-06-15T15:06:45+00:00", "when it was seen, not when it was written"

    @pytest.mark.parametrize(
        "there",
        [
            None,
            "a string",
            {"task_id": "another"},
            {"task_id": "t", "failure": "it failed"},
            {"task_id": "t", "status": "TASK_STATUS_SUCCEED"},
        ],
    )
    async def test_it_overwrites_no_end_and_no_other_render(self, stored: type[FakeXCom], there: Any) -> None:
        stored.stored = there
        await tell(self.TI, a_render(), None, NOW)
        assert stored.written == 0

    async def test_one_that_stood_still_between_looking_and_writing_writes_nothing(
        self, stored: type[FakeXCom], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stored.stored = updated({"task_id": "t"}, NOW, status="SUBMITTED")
        look = stored.get_one

        def stop(**where: Any) -> Any:
            monkeypatch.setattr(card, "time", SimpleNamespace(time=lambda: NOW + 120))
            return look(**where)

        monkeypatch.setattr(stored, "get_one", stop)
        await tell(self.TI, a_render(), None, NOW)
        assert stored.written == 0, "the task may have told its end meanwhile"


def test_a_display_says_nothing_of_other_troubles(task_run: TaskRun) -> None:
    with pytest.raises(KeyError), Display(task_run.operator(), task_run.context()):
        raise KeyError
    assert task_run.ti.cards == []


def test_the_hook_needs_nobody_to_tell() -> None:
    assert inspect.signature(KlingHook.await_render).parameters["tell"].default is None
