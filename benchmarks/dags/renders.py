"""The DAGs that the benchmarks with a real Airflow run; their conf says how many renders, and where videos go."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param, task

from airflow_provider_kling.operators.kling import KlingTextToVideoOperator

SETTINGS = {
    "schedule": None,
    "max_active_tasks": 1000,  # the executor's parallelism is the only limit
    "params": {"renders": Param(3, type="integer"), "folder": Param("/tmp/kling", type="string")},
    "default_args": {"retries": 2, "retry_delay": timedelta(seconds=10)},
}
VIDEO = {"duration": 3, "save_to": "{{ params.folder }}/{{ task.task_id }}-{{ ti.map_index }}.mp4"}


@task
def prompts(params: dict[str, int]) -> list[str]:
    """One for each render, with its map index as the last word."""
    return [f"A red kettle whistles in a sunlit kitchen, take {number}" for number in range(params["renders"])]


with DAG(dag_id="slots", **SETTINGS):
    planned = prompts()
    KlingTextToVideoOperator.partial(task_id="deferrable", **VIDEO).expand(prompt=planned)
    KlingTextToVideoOperator.partial(task_id="on_the_worker", deferrable=False, **VIDEO).expand(prompt=planned)

with DAG(dag_id="campaign", **SETTINGS):
    KlingTextToVideoOperator.partial(task_id="render", **VIDEO).expand(prompt=prompts())

with DAG(dag_id="one", **SETTINGS):
    KlingTextToVideoOperator(task_id="render", prompt="A red kettle whistles in a sunlit kitchen", **VIDEO)
