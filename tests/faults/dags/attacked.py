"""One render in many variants; each run's conf says what it buys, where it goes and where its process dies."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import tripwire
from airflow.sdk import DAG

from airflow_provider_kling.operators.kling import KlingTextToVideoOperator

VARIANTS: dict[str, dict[str, Any]] = {
    "attacked": {},
    "on_worker": {"deferrable": False},
    "resubmitting": {"on_uncertain_submit": "resubmit"},
    "reusing": {"on_clear": "reuse"},
    "impatient": {"timeout": 8},
    "unhurried": {"retry_delay": timedelta(seconds=30)},
}
RETRYING = {"retries": 3, "retry_delay": timedelta(seconds=1)}
SHARED: dict[str, Any] = {
    "task_id": "render",
    "kling_conn_id": "{{ dag_run.conf.kling_conn_id }}",
    "pre_execute": tripwire.arm,
}
PROMPT = "{{ dag_run.conf.prompts[[ti.try_number, dag_run.conf.prompts | length] | min - 1] }}"
CROWD = 20

for dag_id, variant in VARIANTS.items():
    with DAG(dag_id, schedule=None, default_args=RETRYING, max_active_runs=64, max_active_tasks=64):
        KlingTextToVideoOperator(prompt=PROMPT, save_to="{{ dag_run.conf.save_to }}", **SHARED, **variant)

with DAG("mapped", schedule=None, default_args=RETRYING, max_active_tasks=64):
    KlingTextToVideoOperator.partial(
        save_to="{{ dag_run.conf.save_to }}.{{ task_instance.map_index }}", duration=3, **SHARED
    ).expand(prompt=[f"number {number}" for number in range(CROWD)])
