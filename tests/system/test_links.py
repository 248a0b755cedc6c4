"""The link "Video" on the task's page, in a real Airflow: it works while the render goes on and however it ends."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx
import pytest
from runs import SCENARIOS

from airflow_provider_kling.demo import sessions
from airflow_provider_kling.links import VideoAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_kling.demo.local_airflow import LocalAirflow
    from airflow_provider_kling.simulator import KlingSimulator

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(400)]

LINKED = {("mapped", 0), ("mapped", 1), ("on_worker", -1)}


@pytest.fixture(scope="module")
def browser(airflow: LocalAirflow) -> Iterator[httpx.Client]:
    """A browser whose user has signed in."""
    token = httpx.get(f"{airflow.base_url}/auth/token", trust_env=False).raise_for_status().json()["access_token"]
    with httpx.Client(cookies={"_token": token}, trust_env=False, timeout=60) as browser:
        yield browser


@pytest.fixture(scope="module")
def link_of(airflow: LocalAirflow, scenarios: dict[str, str]) -> Callable[[str], str]:
    """The link of a finished scenario."""
    for dag_id in SCENARIOS:
        airflow.wait_for_run(dag_id, scenarios[dag_id])

    def link(dag_id: str) -> str:
        task_id = "wait" if dag_id == "sensor_times_out" else "render"
        return str(_link(airflow, dag_id, scenarios[dag_id], task_id))

    return link


@pytest.fixture(scope="module")
def locked_server(airflow: LocalAirflow) -> Iterator[str]:
    """A second API server of this Airflow, in which not everybody is admin."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "airflow", "api-server", "--port", str(port)],
        env=airflow.env | {"AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False"},
        cwd=airflow.home,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 90
        while True:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"http://127.0.0.1:{port}/api/v2/version", trust_env=False)
                break
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        sessions.end([process.pid])
        process.wait()


@pytest.fixture(scope="module")
def linked_run(airflow: LocalAirflow, simulator: KlingSimulator, link_of: Callable[[str], str]) -> str:
    """A run whose connection is in the database."""
    connection = json.loads(simulator.connection_json)
    airflow.post("connections", {"connection_id": "kling_in_database", **connection})
    airflow.wait_for_dag("linked")
    airflow.unpause("linked")
    return airflow.trigger("linked")


def _link(airflow: LocalAirflow, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> str | None:
    """What Airflow's UI puts behind the button."""
    path = f"dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances/{task_id}/links"
    link: str | None = airflow.get(path, map_index=map_index)["extra_links"]["Video"]
    return link


def _render_id(link: str) -> str:
    address = VideoAddress.read(link)
    assert address, link
    return address.render_id


def _leads_to_a_video(browser: httpx.Client, link: str) -> bool:
    answer = browser.get(link)
    assert answer.status_code == 303, answer.text
    assert answer.headers["cache-control"] == "no-store"
    # the signed link goes elsewhere: without our session
    return b"ftyp" in httpx.get(answer.headers["location"], trust_env=False).raise_for_status().content[:16]


@pytest.mark.parametrize("dag_id", ["ok", "on_worker", "no_xcom", "fails_once", "not_saved"])
def test_a_render_that_was_finished_leads_to_its_video(
    airflow: LocalAirflow, scenarios: dict[str, str], link_of: Callable[[str], str], browser: httpx.Client, dag_id: str
) -> None:
    assert airflow.run_state(dag_id, scenarios[dag_id]) == ("failed" if dag_id == "not_saved" else "success")
    assert _leads_to_a_video(browser, link_of(dag_id))


@pytest.mark.parametrize("dag_id", ["times_out", "execution_times_out", "sensor_times_out"])
def test_a_task_that_was_stopped_still_leads_to_its_render(
    link_of: Callable[[str], str], browser: httpx.Client, dag_id: str
) -> None:
    known = dag_id != "sensor_times_out"
    answer = browser.get(link_of(dag_id))
    assert answer.status_code == (200 if known else 404)
    assert ("being rendered" if known else "does not know this render") in answer.text


def test_the_link_is_asked_for_anew_once_it_has_died(
    link_of: Callable[[str], str], browser: httpx.Client, simulator: KlingSimulator
) -> None:
    first, second = (browser.get(link_of("ok")).headers["location"] for _ in range(2))
    assert first.partition("?")[0] == second.partition("?")[0]
    assert simulator.polls_of(_render_id(link_of("ok"))) >= 2


def test_a_failed_render_says_why(link_of: Callable[[str], str], browser: httpx.Client) -> None:
    answer = browser.get(link_of("moderated_output"))
    assert answer.status_code == 404
    assert "Failure to pass the risk control system" in answer.text
    assert "Change the prompt" in answer.text


def test_a_task_that_bought_nothing_has_no_link(link_of: Callable[[str], str]) -> None:
    assert link_of("moderated_input") == str(None)


@pytest.mark.parametrize("token", [None, "made.up.token"])
def test_without_a_session_there_is_nothing_to_see(
    airflow: LocalAirflow,
    locked_server: str,
    link_of: Callable[[str], str],
    browser: httpx.Client,
    simulator: KlingSimulator,
    *,
    token: str | None,
) -> None:
    before = simulator.polls
    link = link_of("ok").replace(airflow.base_url, locked_server)
    answer = httpx.get(link, trust_env=False, cookies={"_token": token} if token else {})
    assert answer.status_code == (403 if token else 401)
    assert "location" not in answer.headers
    assert _render_id(link) not in answer.text
    assert simulator.polls == before
    assert _leads_to_a_video(browser, link)


def test_a_link_changed_by_hand_leads_nowhere(
    link_of: Callable[[str], str], browser: httpx.Client, simulator: KlingSimulator
) -> None:
    mine, other = link_of("ok"), link_of("not_saved")
    before = simulator.polls
    answer = browser.get(mine.replace(_render_id(mine), _render_id(other)))
    assert answer.status_code == 404
    assert browser.get(mine.replace("kling_default", "kling_bad_key")).status_code == 404
    assert simulator.polls == before


def test_it_is_there_while_the_render_goes_on_and_leads_on_to_the_video(
    airflow: LocalAirflow, simulator: KlingSimulator, linked_run: str, browser: httpx.Client
) -> None:
    """On a worker it is there before the run on the worker has ended, so a killed one leaves it behind."""
    simulator.hold()
    try:
        deadline = time.monotonic() + 90
        while (states := _states(airflow, linked_run)) != {"mapped": {"deferred"}, "on_worker": {"running"}} or not all(
            _link(airflow, "linked", linked_run, *which) for which in LINKED
        ):
            assert time.monotonic() < deadline, states
            time.sleep(0.5)
        links = {_link(airflow, "linked", linked_run, *which) or "" for which in LINKED}
        for link in links:
            answer = browser.get(link)
            assert answer.status_code == 200
            assert "being rendered" in answer.text
            assert 'http-equiv="refresh"' in answer.text
        assert _states(airflow, linked_run) == states
    finally:
        simulator.release()
    assert len(links) == len(LINKED)
    assert airflow.wait_for_run("linked", linked_run) == "success"
    assert {_link(airflow, "linked", linked_run, *which) for which in LINKED} == links
    assert all(_leads_to_a_video(browser, link) for link in links)


def _states(airflow: LocalAirflow, run_id: str) -> dict[str, set[str]]:
    states: dict[str, set[str]] = {}
    for ti in airflow.task_instances("linked", run_id):
        states.setdefault(ti["task_id"], set()).add(ti["state"])
    return states
