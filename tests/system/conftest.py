"""One real Airflow for all tests of this folder, with the simulator as the only witness of what was bought."""

from __future__ import annotations

import json
import shutil
import time
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest
from datagrams import Datagrams
from runs import KEY, SCENARIOS, WRONG_KEY

from airflow_provider_kling.demo.local_airflow import LocalAirflow
from airflow_provider_kling.demo.rest import RestError
from airflow_provider_kling.simulator import KlingSimulator, faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
T = TypeVar("T")


@pytest.fixture(scope="session")
def simulator() -> Iterator[KlingSimulator]:
    """Renders in 12 s: Airflow fails a task that resumes before a busy scheduler has seen its worker end."""
    with KlingSimulator(api_key=KEY, render_seconds=240, speed=20, short_side=270, eta=True) as simulator:
        yield simulator


@pytest.fixture(scope="session")
def dags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our scenarios and the examples, side by side."""
    folder = tmp_path_factory.mktemp("dags")
    shutil.copy(HERE / "dags" / "scenarios.py", folder)
    shutil.copytree(HERE.parents[1] / "example_dags", folder / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the examples save what they would save to a bucket."""
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="session")
def statsd() -> Iterator[Datagrams]:
    """Where Airflow's processes send our metrics."""
    with Datagrams() as server:
        yield server


@pytest.fixture(scope="session")
def airflow(
    simulator: KlingSimulator, dags: Path, clips: Path, statsd: Datagrams, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalAirflow]:
    """A real Airflow that logs at DEBUG, so that whatever could leak does."""
    bad_key = json.loads(simulator.connection_json) | {"password": WRONG_KEY}
    env = {
        "AIRFLOW_CONN_KLING_DEFAULT": simulator.connection_json,
        "AIRFLOW_CONN_KLING_BAD_KEY": json.dumps(bad_key),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
        "KLING_EXAMPLES_FOLDER": clips.as_uri(),
        **statsd.environment,
    }
    home = tmp_path_factory.mktemp("airflow")
    with LocalAirflow(home=home, dags_folder=dags, env=env, parallelism=6) as airflow:
        airflow.post("pools", {"name": "kling_renders", "slots": 4, "include_deferred": True})
        yield airflow


@pytest.fixture(scope="session")
def scenarios(
    airflow: LocalAirflow, simulator: KlingSimulator, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Run ids by DAG id; all are under way when the first test looks."""
    simulator.inject(faults.Fail(reason="internal worker error"), on="render", times=1, prompt="fails_once")
    refused = faults.ErrorBody(status=400, reason="ILLEGAL_PROMPT", message="the prompt is illegal")
    simulator.inject(refused, on="submit", times=None, prompt="moderated_input")
    simulator.inject(
        faults.Fail(reason="Failure to pass the risk control system"),
        on="render",
        times=None,
        prompt="moderated_output",
    )
    for snail in ("times_out", "execution_times_out"):
        simulator.inject(faults.Never(), on="render", times=None, prompt=snail)
    simulator.inject(faults.RateLimited(retry_after=2), on="submit", times=2, prompt="rate_limited")
    down = faults.ErrorBody(status=503, reason="SERVICE_NOT_AVAILABLE", message="come back later")
    simulator.inject(down, on="submit", times=1, prompt="service_down")
    simulator.inject(faults.Drop(accept=True), on="submit", times=None, prompt="uncertain")
    simulator.inject(faults.Html(), on="download", times=3, prompt="not_saved")
    videos = tmp_path_factory.mktemp("videos") / "deep"
    runs = {}
    for dag_id in SCENARIOS:
        airflow.wait_for_dag(dag_id)
        _insist(lambda dag_id=dag_id: airflow.unpause(dag_id))  # type: ignore[misc]
        conf = {"save_to": str(videos / f"{dag_id}.mp4")}
        runs[dag_id] = _insist(lambda dag_id=dag_id, conf=conf: airflow.trigger(dag_id, conf))  # type: ignore[misc]
    return runs


def _insist(ask: Callable[[], T]) -> T:
    """On a crowded machine SQLite may be locked for too long; Airflow then says 500, and nothing was done."""
    for _ in range(5):
        try:
            return ask()
        except RestError as error:
            if error.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                raise
            time.sleep(2)
    return ask()
