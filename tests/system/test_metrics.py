"""What leaves a real Airflow for a statsd server: from the task's process, and from the triggerer's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from runs import KEY, SCENARIOS, WRONG_KEY

if TYPE_CHECKING:
    from datagrams import Datagrams

    from airflow_provider_kling.demo.local_airflow import LocalAirflow
    from airflow_provider_kling.simulator import KlingSimulator

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(400)]

OF_MODEL = "model=kling-v3.0-4k-t2v"


def test_task_and_triggerer_both_send(airflow: LocalAirflow, scenarios: dict[str, str], statsd: Datagrams) -> None:
    assert airflow.wait_for_run("ok", scenarios["ok"]) == "success"
    for line in (
        f"kling.submit,{OF_MODEL},outcome=accepted:1|c",
        "kling.poll:1|c",
        f"kling.render.duration,{OF_MODEL},outcome=succeeded:",
        "kling.saved.bytes,scheme=file:",
        "kling.save.duration,scheme=file:",
    ):
        statsd.wait_for(line)
    triggerer = statsd.senders("kling.poll:") - statsd.senders("kling.submit")  # a task that waits itself sends both
    assert triggerer & statsd.senders("kling.render.duration")


def test_no_metric_holds_an_id_a_key_or_a_prompt(
    airflow: LocalAirflow, scenarios: dict[str, str], statsd: Datagrams, simulator: KlingSimulator
) -> None:
    for dag_id in SCENARIOS:
        airflow.wait_for_run(dag_id, scenarios[dag_id])
    ids = {render.task_id for render in simulator.accepted}
    text = "\n".join(statsd.lines())
    assert text
    assert not [secret for secret in {KEY, WRONG_KEY, "quiet lake", "127.0.0.1", *SCENARIOS, *ids} if secret in text]
