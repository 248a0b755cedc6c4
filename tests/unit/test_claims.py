"""Two mapped tasks that would write the same object: the second one is told before it costs anything."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import create_autospec

import pytest
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from task_runs import FakeTaskInstance, TaskDeferred

from airflow_provider_kling import exceptions
from airflow_provider_kling.claims import claim
from airflow_provider_kling.targets import InvalidPath, Target

if TYPE_CHECKING:
    from pathlib import Path

    from logs import Logs
    from task_runs import TaskRun

TARGET = Target("s3://bucket/fox.mp4", "vault_conn")
pytestmark = pytest.mark.kling_simulator(speed=1e6, short_side=90)


def mapped(task_run: TaskRun, count: int) -> list[Any]:
    """Contexts of mapped tasks that see each other's XComs."""
    instances = [FakeTaskInstance(task_run.journal, map_index=index) for index in range(count)]
    for ti in instances:
        ti.siblings = [other for other in instances if other is not ti]
    return [{**task_run.context(), "ti": ti} for ti in instances]


def test_the_second_one_is_told_whom_it_would_replace(task_run: TaskRun) -> None:
    first, second, third = mapped(task_run, 3)
    claim(first, TARGET)
    claim(third, Target("s3://bucket/cat.mp4"))
    with pytest.raises(InvalidPath) as told:
        claim(second, Target("s3://bucket/fox.mp4"))
    assert str(told.value) == (
        "save_to='s3://bucket/fox.mp4': the mapped task 0 of this run writes there too, and one video would replace "
        "the other; put {{ task_instance.map_index }} or another part of its own into it"
    )


def test_all_of_many_but_the_first_are_told(task_run: TaskRun) -> None:
    first, *others = mapped(task_run, 4)
    claim(first, TARGET)
    for other in others:
        with pytest.raises(InvalidPath, match="mapped task 0 of this run"):
            claim(other, TARGET)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("{here}/fox.mp4", "file://{here}/fox.mp4"),
        ("{here}/fox.mp4", "{here}/sub/../fox.mp4"),
        ("{here}/fox.mp4", "{here}/link/fox.mp4"),
        ("s3://bucket/fox.mp4", "s3a://bucket/fox.mp4"),
        ("gs://bucket/fox.mp4", "GCS://bucket/fox.mp4"),
    ],
)
def test_two_spellings_of_one_place_are_one(task_run: TaskRun, tmp_path: Path, one: str, other: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    first, second = mapped(task_run, 2)
    claim(first, Target(one.format(here=tmp_path)))
    with pytest.raises(InvalidPath, match="mapped task 0"):
        claim(second, Target(other.format(here=tmp_path)))


def test_one_that_claims_again_in_a_retry_finds_only_itself(task_run: TaskRun) -> None:
    first, _ = mapped(task_run, 2)
    claim(first, TARGET)
    claim(first, TARGET)


@pytest.mark.parametrize("map_index", [-1, None])
def test_an_unmapped_task_never_asks(map_index: int | None) -> None:
    def asked(*_: object, **__: object) -> None:
        pytest.fail("it asked")

    ti = SimpleNamespace(map_index=map_index, task_id="render", xcom_push=asked, xcom_pull=asked)
    claim({"ti": ti}, TARGET)  # type: ignore[typeddict-item]


@pytest.mark.parametrize("question", ["xcom_push", "xcom_pull"])
def test_whoever_can_not_ask_goes_on(
    task_run: TaskRun, monkeypatch: pytest.MonkeyPatch, logs: Logs, question: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("API server is down")

    (context,) = mapped(task_run, 1)
    monkeypatch.setattr(context["ti"], question, refuse)
    claim(context, TARGET)
    assert "Could not ask whether another mapped task writes to s3://bucket/fox.mp4." in logs.text


@pytest.mark.parametrize("found", [[0, 1], [0, 1, None], [0], 0])
def test_airflows_own_task_instance_is_asked_in_words_that_it_knows(found: Any) -> None:
    ti = create_autospec(RuntimeTaskInstance, instance=True, map_index=1, task_id="render")
    ti.xcom_pull.return_value = found
    with pytest.raises(InvalidPath, match="mapped task 0"):
        claim({"ti": ti}, TARGET)
    pushed, pulled = ti.xcom_push.call_args.kwargs, ti.xcom_pull.call_args.kwargs
    assert pulled == {"task_ids": "render", "key": pushed["key"]}
    assert pushed["value"] == 1


def test_it_is_told_before_anything_is_bought(task_run: TaskRun, tmp_path: Path) -> None:
    first, second = mapped(task_run, 2)
    with pytest.raises(TaskDeferred):
        task_run.operator(save_to=str(tmp_path / "fox.mp4")).execute(first)
    assert task_run.simulator.submits == 1
    if "task_state_store" in second:
        task_run.store.clear()
    with pytest.raises(
        exceptions.InvalidTarget, match=r"mapped task 0 of this run .* Nothing was sent or paid"
    ) as told:
        task_run.operator(save_to=str(tmp_path / "fox.mp4")).execute(second)
    assert told.value.bought == "no"
    assert task_run.simulator.submits == 1
    with pytest.raises(TaskDeferred):
        task_run.operator(save_to=str(tmp_path / "cat.mp4")).execute(second)
    assert task_run.simulator.submits == 2
