"""One real Airflow on PostgreSQL, below a path prefix, whose renders all tests of this folder look at."""

from __future__ import annotations

import itertools
import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from guarded_airflow import GuardedAirflow
from postgres import PostgreSQL, find_binaries
from seeding import seed
from visits import Visits

from airflow_provider_kling.simulator import KlingSimulator, faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

HERE = Path(__file__).parent
KEY = "sk_this_key_reaches_no_browser_4713"
STORAGE_SECRET = "storage-secret-that-reaches-no-browser-4714"
STARTED = (
    "single", "archive", "hidden_campaign", "unsaved", "plain", "forged", "nasty", "fails", "moderated_input",
    "moderated_output", "uncertain", "spring_campaign",
)  # fmt: skip
SEEDED = 5000
DAY = 86_400


@pytest.fixture(scope="session")
def simulator(pytestconfig: pytest.Config) -> Iterator[KlingSimulator]:
    """Renders in 12 s: Airflow fails a task that resumes before a busy scheduler has seen its worker end.

    For pictures they are larger, and slow enough to be seen half done.
    """
    speed, short_side = (4, 1080) if pytestconfig.getoption("--pictures") else (20, 270)
    with KlingSimulator(api_key=KEY, render_seconds=240, speed=speed, short_side=short_side, eta=True) as simulator:
        yield simulator


@pytest.fixture(scope="session")
def videos() -> Iterator[Path]:
    """Where videos are saved, and played from; its name is short, as it is in the pictures."""
    with tempfile.TemporaryDirectory(prefix="videos-") as folder:
        yield Path(folder) / "spring"


@pytest.fixture(scope="session")
def database_url() -> Iterator[str]:
    """An empty PostgreSQL."""
    if (binaries := find_binaries()) is None:
        pytest.skip("no PostgreSQL here, or as root no user postgres (Debian, Ubuntu: apt install postgresql)")
    with PostgreSQL(binaries) as postgres:
        yield postgres.url


@pytest.fixture(scope="session")
def airflow(
    simulator: KlingSimulator, videos: Path, database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GuardedAirflow]:
    """Airflow, in which nothing has been rendered yet."""
    storage = {"conn_type": "aws", "login": "someone", "password": STORAGE_SECRET}
    airflow = GuardedAirflow(
        home=tmp_path_factory.mktemp("airflow"),
        dags_folder=HERE / "dags",
        env={
            "AIRFLOW_CONN_KLING_DEFAULT": simulator.connection_json,
            "AIRFLOW_CONN_STORAGE": json.dumps(storage),
            "AIRFLOW__KLING__PREVIEW_ROOTS": f"{videos.as_uri()}, s3://storage@bucket/videos",
            "KLING_VIDEOS": str(videos),
        },
        parallelism=4,
        database_url=database_url,
    )
    with airflow:
        yield airflow


@pytest.fixture(scope="session")
def untouched(airflow: GuardedAirflow) -> dict[str, Any]:
    """What the gallery is told where nothing has ever been rendered."""
    with airflow.browse() as browser:
        return {name: browser.get(f"api/{name}").raise_for_status().json() for name in ("renders", "totals")}


@pytest.fixture(scope="session")
def runs(
    airflow: GuardedAirflow, simulator: KlingSimulator, untouched: dict[str, Any], request: pytest.FixtureRequest
) -> dict[str, str]:
    """Run ids by DAG id; all are under way, or just the one of the smoke test when nothing else was asked for."""
    simulator.inject(faults.Fail(reason="internal worker error"), on="render", times=None, prompt="fails")
    moderated = faults.Fail(reason="Failure to pass the risk control system")
    for prompt in ("moderated_output", "take 17:"):
        simulator.inject(moderated, on="render", times=None, prompt=prompt)
    refused = faults.ErrorBody(status=400, reason="ILLEGAL_PROMPT", message="the prompt is illegal")
    simulator.inject(refused, on="submit", times=None, prompt="moderated_input")
    simulator.inject(faults.Drop(accept=True), on="submit", times=None, prompt="uncertain")
    smoke_only = all("smoke" in item.name for item in request.session.items)
    return {dag_id: airflow.start_run(dag_id) for dag_id in STARTED[: 1 if smoke_only else None]}


@pytest.fixture(scope="session")
def ended(airflow: GuardedAirflow, runs: dict[str, str]) -> Callable[[str], str]:
    """The id of a DAG's run, once it has ended."""

    def wait(dag_id: str) -> str:
        airflow.wait_for_run(dag_id, runs[dag_id], timeout=300)
        return runs[dag_id]

    return wait


@pytest.fixture(scope="session")
def archive(airflow: GuardedAirflow, database_url: str, ended: Callable[[str], str]) -> str:
    """A run with 5,000 renders that never were, all older than a day, beside its own; its id."""
    run_id = ended("archive")
    seed(database_url, "archive", run_id, "render", count=SEEDED, at=time.time() - 2 * DAY)
    return run_id


@pytest.fixture(scope="session")
def forge(airflow: GuardedAirflow, ended: Callable[[str], str]) -> Callable[[Any], dict[str, Any]]:
    """Push any value as the card of a task that renders nothing; returns which task instance that is."""
    run_id, numbers = ended("forged"), itertools.count()

    def push(card: Any) -> dict[str, Any]:
        path = f"dags/forged/dagRuns/{run_id}/taskInstances/forged/xcomEntries"
        number = next(numbers)
        airflow.post(path, {"key": "kling_render", "value": card, "map_index": number})
        return {"dag_id": "forged", "run_id": run_id, "task_id": "forged", "map_index": number}

    return push


@pytest.fixture
def visits(browser: Browser, airflow: GuardedAirflow, tmp_path: Path) -> Iterator[Visits]:
    """Windows of a browser."""
    visits = Visits(browser, airflow, tmp_path, [KEY, STORAGE_SECRET])
    yield visits
    visits.end()


@pytest.fixture(scope="session")
def service(simulator: KlingSimulator) -> str:
    """Where the service's own videos come from."""
    return f"{simulator.base_url}/"


@pytest.fixture
def page(visits: Visits) -> Page:
    """The admin's window."""
    return visits.begin()
