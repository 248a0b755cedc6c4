"""Nobody waits: twenty renders under way at once, and no worker process that belongs to one of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]  # comes with Airflow
import pytest
from runs import Run

from airflow_provider_kling.demo.sessions import members

if TYPE_CHECKING:
    from airflow_provider_kling.demo.local_airflow import LocalAirflow
    from airflow_provider_kling.simulator import KlingSimulator

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(300)]


def task_processes(airflow: LocalAirflow) -> list[str]:
    """Command lines of the processes that run a task or supervise one."""
    pids = members([airflow.processes["scheduler"].pid])
    titles = [" ".join(psutil.Process(pid).cmdline()) for pid in pids if psutil.pid_exists(pid)]
    return [title for title in titles if "task" in title and "idle" not in title.lower()]


def test_twenty_renders_are_under_way_and_no_worker_is_held(airflow: LocalAirflow, simulator: KlingSimulator) -> None:
    airflow.wait_for_dag("crowd")
    airflow.unpause("crowd")
    simulator.hold()
    try:
        run_id = airflow.trigger("crowd")
        simulator.wait_for(lambda sim: len(of_crowd(sim)) == 20, timeout=150)
        wait_until_deferred(airflow, run_id, 20)
        assert task_processes(airflow) == []
    finally:
        simulator.release()
    assert Run(airflow, "crowd", run_id, airflow.wait_for_run("crowd", run_id, timeout=120)).succeeded()
    assert len(of_crowd(simulator)) == 20
    renders = [ti for ti in airflow.task_instances("crowd", run_id) if ti["task_id"] == "render"]
    assert [ti["state"] for ti in renders] == ["success"] * 20


def of_crowd(simulator: KlingSimulator) -> list[object]:
    return [render for render in simulator.accepted if render.body.get("prompt", "").startswith("crowd:")]


def wait_until_deferred(airflow: LocalAirflow, run_id: str, count: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        states = [ti["state"] for ti in airflow.task_instances("crowd", run_id) if ti["task_id"] == "render"]
        if states.count("deferred") == count:
            return
        assert time.monotonic() < deadline, states
        time.sleep(0.2)
