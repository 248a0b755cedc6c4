"""Every example DAG runs as it stands, against the simulator."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from runs import Run

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_kling.demo.local_airflow import LocalAirflow
    from airflow_provider_kling.simulator import KlingSimulator

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(240)]

Finish = Callable[[str], Run]


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="module")
def finish(airflow: LocalAirflow, videos: Path) -> Finish:
    """Start all examples together; wait for one of them."""
    confs: dict[str, dict[str, object]] = {
        "kling_text_to_video": {"save_to": str(videos / "one.mp4"), "sound": True},
        "kling_campaign": {"folder": str(videos / "campaign"), "locales": ["de", "en"]},
        "kling_multi_shot": {"save_to": str(videos / "shots.mp4"), "product": "a tin robot"},
        "kling_submit_and_wait": {},
    }
    runs = {}
    for dag_id, conf in confs.items():
        airflow.wait_for_dag(dag_id)
        airflow.unpause(dag_id)
        runs[dag_id] = airflow.trigger(dag_id, conf)
    return lambda dag_id: Run(airflow, dag_id, runs[dag_id], airflow.wait_for_run(dag_id, runs[dag_id], timeout=200))


def test_one_render(finish: Finish, videos: Path) -> None:
    run = finish("kling_text_to_video")
    assert run.succeeded()
    assert (videos / "one.mp4").stat().st_size == run.xcom()["bytes"]
    assert run.xcom()["sound"] is True


def test_a_campaign_renders_every_locale_in_every_ratio(finish: Finish, videos: Path) -> None:
    run = finish("kling_campaign")
    assert run.succeeded()
    files = sorted((videos / "campaign").iterdir())
    assert {path.name for path in files} == {"de-16x9.mp4", "de-9x16.mp4", "en-16x9.mp4", "en-9x16.mp4"}
    assert run.xcom("report") == [str(path) for path in files]


def test_several_shots_with_sound(finish: Finish, simulator: KlingSimulator) -> None:
    run = finish("kling_multi_shot")
    assert run.succeeded()
    body = next(r.body for r in simulator.accepted if r.task_id == run.xcom()["task_id"])
    assert body["duration"] == 8
    assert body["sound"] is True
    assert all("a tin robot" in shot["prompt"] for shot in body["multi_prompt"])


def test_submit_in_one_task_and_wait_in_another(finish: Finish) -> None:
    run = finish("kling_submit_and_wait")
    assert run.succeeded()
    assert run.xcom("wait")["task_id"] == run.xcom("submit")
    assert "captions written" in run.xcom("publish")
