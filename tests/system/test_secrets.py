"""The key is nowhere: not in a log at DEBUG, not in the database, not in a file of the Airflow home."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
from runs import KEY, SCENARIOS, WRONG_KEY

if TYPE_CHECKING:
    from airflow_provider_kling.demo.local_airflow import LocalAirflow
    from airflow_provider_kling.simulator import KlingSimulator

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(400)]

NEEDLES = (KEY.encode(), WRONG_KEY.encode())


@pytest.fixture(autouse=True)
def _all_done(airflow: LocalAirflow, scenarios: dict[str, str]) -> None:
    for dag_id in SCENARIOS:
        airflow.wait_for_run(dag_id, scenarios[dag_id])


def test_no_file_of_the_airflow_home_holds_the_key(airflow: LocalAirflow) -> None:
    files = [path for path in airflow.home.rglob("*") if path.is_file()]
    assert len(files) > 20
    found = [str(path) for path in files if any(needle in path.read_bytes() for needle in NEEDLES)]
    assert found == []


def test_debug_logs_were_really_written(airflow: LocalAirflow) -> None:
    logs = b"".join(path.read_bytes() for path in airflow.home.glob("logs/dag_id=*/**/*.log*"))
    assert b'"debug"' in logs


def test_trigger_rows_hold_no_prompt_and_no_link(airflow: LocalAirflow, simulator: KlingSimulator) -> None:
    simulator.hold()
    try:
        before = len(simulator.accepted)
        airflow.unpause("on_hold")
        run_id = airflow.trigger("on_hold")
        simulator.wait_for(
            lambda sim: len(sim.accepted) > before and sim.polls_of(sim.accepted[-1].task_id), timeout=60
        )
        rows = trigger_rows(airflow)
        assert any(simulator.accepted[-1].task_id in row for row in rows)
        assert not any("quiet lake" in row or "/files/" in row or KEY in row for row in rows)
    finally:
        simulator.release()
    airflow.wait_for_run("on_hold", run_id)


def trigger_rows(airflow: LocalAirflow) -> list[str]:
    with sqlite3.connect(f"file:{airflow.home}/airflow.db?mode=ro", uri=True) as database:
        return [str(row) for row in database.execute("select * from trigger")]
