"""Every example DAG runs as it stands, against the simulator."""

from __future__ import annotations

import hashlib
import json
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

import pytest
from runs import Run

from airflow_provider_kling.demo.rest import RestError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_kling.demo.local_airflow import LocalAirflow
    from airflow_provider_kling.simulator import KlingSimulator

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(240)]


class Finish(Protocol):
    """Wait for an example's run; something may be done before."""

    def __call__(self, dag_id: str, before: Callable[[str], None] | None = None) -> Run: ...


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
        "kling_video_asset": {},
        "kling_approval": {"save_to": str(videos / "approved.mp4"), "duration": 4},
    }
    airflow.wait_for_dag("kling_video_published")
    airflow.unpause("kling_video_published")
    runs = {}
    for dag_id, conf in confs.items():
        airflow.wait_for_dag(dag_id)
        airflow.unpause(dag_id)
        runs[dag_id] = airflow.trigger(dag_id, conf)

    def wait(dag_id: str, before: Callable[[str], None] | None = None) -> Run:
        if before:
            before(runs[dag_id])
        return Run(airflow, dag_id, runs[dag_id], airflow.wait_for_run(dag_id, runs[dag_id], timeout=200))

    return wait


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


def test_the_asset_event_starts_the_second_dag_whose_task_reads_the_extra(
    finish: Finish, airflow: LocalAirflow, clips: Path
) -> None:
    run = finish("kling_video_asset")
    assert run.succeeded()
    manifest = run.xcom()
    (started,) = airflow.get("dags/kling_video_published/dagRuns")["dag_runs"]
    assert started["run_type"] == "asset_triggered"
    run_id = started["dag_run_id"]
    published = Run(
        airflow, "kling_video_published", run_id, airflow.wait_for_run("kling_video_published", run_id, timeout=100)
    )
    assert published.succeeded()
    (extra,) = published.xcom("announce")
    assert extra == {name: manifest[name] for name in ("task_id", "model", "duration", "bytes", "sha256")} | {
        "prompt_sha256": hashlib.sha256(manifest["prompt"].encode()).hexdigest()
    }
    video = (clips / "paper-boat.mp4").read_bytes()
    assert hashlib.sha256(video).hexdigest() == extra["sha256"]
    beside = json.loads((clips / "paper-boat.mp4.json").read_text())
    assert beside == manifest | {"video_url": None, "video_url_expires_at": None}


def test_only_what_a_person_has_approved_is_rendered_in_4k(
    airflow: LocalAirflow, finish: Finish, videos: Path, simulator: KlingSimulator
) -> None:
    gate = "dags/kling_approval/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails"
    run = finish("kling_approval", before=lambda run_id: _approve(airflow, gate.format(run_id=run_id)))
    assert run.succeeded()
    models = {r.body["duration"]: r.model for r in simulator.accepted if "aerial shot" in r.body.get("prompt", "")}
    assert models == {3: "kling-v3.0-std-t2v", 4: "kling-v3.0-4k-t2v"}
    assert (videos / "approved.mp4").stat().st_size == run.xcom("render")["bytes"]


def test_a_render_is_adopted_by_its_id(airflow: LocalAirflow, finish: Finish, videos: Path) -> None:
    paid = finish("kling_submit_and_wait").xcom("submit")
    airflow.wait_for_dag("kling_rescue")
    airflow.unpause("kling_rescue")
    run_id = airflow.trigger("kling_rescue", {"kling_task_id": paid, "save_to": str(videos / "rescued.mp4")})
    run = Run(airflow, "kling_rescue", run_id, airflow.wait_for_run("kling_rescue", run_id, timeout=100))
    assert run.succeeded()
    manifest = run.xcom("save")
    assert manifest["task_id"] == paid
    assert hashlib.sha256((videos / "rescued.mp4").read_bytes()).hexdigest() == manifest["sha256"]
    assert json.loads((videos / "rescued.mp4.json").read_text())["task_id"] == paid


def _approve(airflow: LocalAirflow, gate: str) -> None:
    """What a person does on the page of required actions, once the question is there."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            asked = airflow.get(gate)
            break
        except RestError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            time.sleep(1)
    assert "4 s of 4K" in asked["subject"]
    assert "**4 s** of 4K video, about 1.68 USD" in asked["body"]
    airflow.patch(gate, {"chosen_options": ["Approve"]})
