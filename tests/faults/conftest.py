"""A real Airflow with two triggerers on a real PostgreSQL, in which all the events happen."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING

import killed_tasks  # noqa: F401  # their events
import lost_answers  # noqa: F401
import outages  # noqa: F401
import pytest
import second_thoughts  # noqa: F401
from case import Case, World
from events import EVENTS, HEAD, Event, Row
from postgres import PostgreSQL, find_binaries

from airflow_provider_kling.demo.local_airflow import LocalAirflow

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
AT_ONCE = 8
SETTINGS = {
    # Airflow notices its own losses sooner than it does by default, but not within an outage of a minute.
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "90",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
    "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the fault table: what really became of each event."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    lines = [value for report in reports for name, value in report.user_properties if name == "row"]
    if lines:
        terminalreporter.section("fault table")
        terminalreporter.write_line("\n".join([HEAD, *map(str, lines)]))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "event" in metafunc.fixturenames:
        wanted = [each for each in EVENTS if each.quick or metafunc.config.getoption("--all-events")]
        metafunc.parametrize("event", wanted, ids=[each.script.__name__ for each in wanted])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[World]:
    """Airflow and PostgreSQL; where there is none it is skipped, unless the whole table was asked for."""
    binaries = find_binaries()
    if binaries is None:
        (pytest.fail if pytestconfig.getoption("--all-events") else pytest.skip)(
            "no PostgreSQL here, or as root no user postgres (Debian, Ubuntu: apt install postgresql)"
        )
    env = {f"AIRFLOW__{name}": value for name, value in SETTINGS.items()}
    with (
        PostgreSQL(binaries) as postgres,
        LocalAirflow(
            home=tmp_path_factory.mktemp("airflow"),
            dags_folder=HERE / "dags",
            env=env,
            parallelism=AT_ONCE,
            database_url=postgres.url,
            triggerers=2,
        ) as airflow,
    ):
        yield World(airflow, postgres, tmp_path_factory.mktemp("videos"))


@pytest.fixture(scope="module")
def rows(world: World, request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Row]]]:
    """What becomes of each event; all that bear company are under way when the first test looks."""
    params = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    chosen = [each["event"] for each in params if isinstance(each.get("event"), Event)]
    for dag_id in ("attacked", "on_worker", "resubmitting", "reusing", "impatient", "unhurried", "mapped"):
        world.airflow.wait_for_dag(dag_id)
        world.airflow.unpause(dag_id)
    beside, crowd, alone = ThreadPoolExecutor(), ThreadPoolExecutor(AT_ONCE), ThreadPoolExecutor(1)
    pools = {"long": beside, "together": crowd, "alone": alone}
    together: list[Future[Row]] = []

    def play(event: Event) -> Row:
        if event.company == "alone":
            wait(together)
            world.mend()
        return Case(world, event).play()

    futures = {}
    for event in sorted(chosen, key=lambda each: each.company == "alone"):
        futures[event.script.__name__] = pools[event.company].submit(play, event)
        if event.company == "together":
            together.append(futures[event.script.__name__])
    yield futures
    world.over.set()
    for pool in pools.values():
        pool.shutdown(cancel_futures=True)
