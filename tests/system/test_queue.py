"""Twenty mapped renders before an API that takes fewer at a time: all are bought once, in order, with few starts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from runs import KEY, Run

from airflow_provider_kling.simulator import KlingSimulator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_kling.demo.local_airflow import LocalAirflow

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(300)]

TASKS = 20


@pytest.fixture
def limited(airflow: LocalAirflow) -> Iterator[KlingSimulator]:
    """An API that takes six submits in any ten seconds; the connection says less, as starts are not punctual."""
    options = {"render_seconds": 72, "submits_per_minute": 6, "tell_retry_after": True}
    with KlingSimulator(api_key=KEY, speed=6, short_side=90, **options) as simulator:  # type: ignore[arg-type]
        url = urlsplit(simulator.base_url)
        connection = {
            "connection_id": "kling_limited",
            "conn_type": "kling",
            "host": f"http://{url.hostname}",
            "port": url.port,
            "password": KEY,
            "extra": json.dumps({"submits_per_minute": 30}),
        }
        airflow.post("connections", connection)
        yield simulator


def test_those_refused_line_up_and_buy_in_order_with_few_starts(airflow: LocalAirflow, limited: KlingSimulator) -> None:
    airflow.wait_for_dag("queue")
    airflow.unpause("queue")
    run_id = airflow.trigger("queue")
    assert Run(airflow, "queue", run_id, airflow.wait_for_run("queue", run_id, timeout=200)).succeeded()

    tasks = airflow.task_instances("queue", run_id)
    assert [(ti["state"], ti["try_number"]) for ti in tasks] == [("success", 1)] * TASKS
    bought = [number_of(render.body) for render in limited.accepted]
    assert sorted(bought) == list(range(TASKS)), "once each"

    submits = [request for request in limited.requests if request.method == "POST"]
    refused = {number_of(request.body or {}) for request in submits if request.answered == 429}
    assert refused, "the limit was never met"
    line = [number for number in bought if number in refused]
    out_of_place = [abs(place - sorted(line).index(number)) for place, number in enumerate(line)]
    assert sum(out_of_place) <= 3 * len(line), line
    assert len(submits) <= TASKS + len(refused) + TASKS // 4, "nearly all get in when their turn has come"


def number_of(body: dict[str, str]) -> int:
    return int(body["prompt"].split()[-1])
