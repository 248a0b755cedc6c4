"""The DAGs that the tests run in a real Airflow; each scenario's prompt tells the simulator how to behave."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param, task

from airflow_provider_kling.operators.kling import KlingTextToVideoOperator
from airflow_provider_kling.sensors.kling import KlingRenderSensor

RETRYING = {"retries": 3, "retry_delay": timedelta(seconds=1)}

with DAG(dag_id="ok", schedule=None, default_args=RETRYING):
    KlingTextToVideoOperator(
        task_id="render", prompt="ok: a quiet lake", duration="{{ 3 }}", save_to="{{ dag_run.conf.save_to }}"
    )

with DAG(dag_id="on_hold", schedule=None):
    KlingTextToVideoOperator(task_id="render", prompt="on_hold: a quiet lake")

with DAG(dag_id="on_worker", schedule=None):
    KlingTextToVideoOperator(task_id="render", prompt="on_worker: a quiet lake", deferrable=False)

with DAG(dag_id="no_xcom", schedule=None):
    KlingTextToVideoOperator(task_id="render", prompt="no_xcom: a quiet lake", do_xcom_push=False)

with DAG(dag_id="fails_once", schedule=None, default_args=RETRYING):
    KlingTextToVideoOperator(task_id="render", prompt="fails_once: a storm")

with DAG(dag_id="moderated_input", schedule=None, default_args=RETRYING):
    KlingTextToVideoOperator(task_id="render", prompt="moderated_input: something bad")

with DAG(dag_id="moderated_output", schedule=None, default_args=RETRYING):
    refused = KlingTextToVideoOperator(task_id="render", prompt="moderated_output: something bad")

    @task(trigger_rule="one_failed")
    def told() -> str:
        return "one failed"

    refused >> told()

with DAG(
    dag_id="times_out", schedule=None, default_args={"timeout": 6, "retries": 1, "retry_delay": timedelta(seconds=1)}
):
    KlingTextToVideoOperator(task_id="render", prompt="times_out: a snail")

with DAG(dag_id="execution_times_out", schedule=None):
    KlingTextToVideoOperator(
        task_id="render",
        prompt="execution_times_out: a snail",
        deferrable=False,
        execution_timeout=timedelta(seconds=4),
    )

with DAG(dag_id="rate_limited", schedule=None):
    KlingTextToVideoOperator(task_id="render", prompt="rate_limited: a crowd")

with DAG(dag_id="service_down", schedule=None):
    KlingTextToVideoOperator(task_id="render", prompt="service_down: a crowd")

with DAG(dag_id="uncertain", schedule=None, default_args=RETRYING):
    KlingTextToVideoOperator(task_id="render", prompt="uncertain: fog")

with DAG(dag_id="bad_input", schedule=None, default_args=RETRYING, params={"duration": Param("16")}):
    KlingTextToVideoOperator(task_id="render", prompt="bad_input: too long", duration="{{ params.duration }}")

with DAG(dag_id="bad_key", schedule=None, default_args={**RETRYING, "kling_conn_id": "kling_bad_key"}):
    KlingTextToVideoOperator(task_id="render", prompt="bad_key: nothing")

with DAG(dag_id="sensor_times_out", schedule=None):
    KlingRenderSensor(task_id="wait", kling_task_id="00000000-0000-0000-0000-000000000001", timeout=6, soft_fail=True)

with DAG(dag_id="not_saved", schedule=None):
    KlingTextToVideoOperator(task_id="render", prompt="not_saved: a door", save_to="{{ dag_run.conf.save_to }}")

with DAG(dag_id="same_target", schedule=None):
    KlingTextToVideoOperator.partial(
        task_id="render", save_to="{{ dag_run.conf.save_to }}", max_active_tis_per_dagrun=1
    ).expand(prompt=["same_target: one", "same_target: two"])

with DAG(dag_id="linked", schedule=None, default_args={"duration": 3, "kling_conn_id": "kling_in_database"}):
    KlingTextToVideoOperator.partial(task_id="mapped").expand(prompt=["linked: one", "linked: two"])
    KlingTextToVideoOperator(task_id="on_worker", prompt="linked: three", deferrable=False)

with DAG(dag_id="crowd", schedule=None, max_active_tasks=32, default_args=RETRYING):

    @task
    def prompts() -> list[str]:
        return [f"crowd: number {number}" for number in range(20)]

    KlingTextToVideoOperator.partial(task_id="render", duration=3).expand(prompt=prompts())

with DAG(dag_id="queue", schedule=None, max_active_tasks=32, default_args=RETRYING):
    KlingTextToVideoOperator.partial(task_id="render", duration=3, kling_conn_id="kling_limited").expand(
        prompt=[f"queue: number {number}" for number in range(20)]
    )
