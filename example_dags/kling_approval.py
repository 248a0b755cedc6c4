"""A cheap draft, a person who looks at it, and only then the 4K render.

The gate (Airflow 3.1+) shows what the render would cost. The seconds are what the service charges for; the price per
second is yours to fill in.
"""

from __future__ import annotations

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Param

from airflow_provider_kling.operators.kling import KlingTextToVideoOperator

with DAG(
    dag_id="kling_approval",
    schedule=None,
    catchup=False,
    tags=["kling", "example"],
    params={
        "prompt": Param("A fox crosses a frozen lake at sunrise, aerial shot", type="string"),
        "duration": Param(10, type="integer", minimum=3, maximum=15),
        "usd_per_second": Param(0.42, type="number", minimum=0),
        "save_to": Param("/tmp/kling/approved.mp4", type="string"),  # noqa: S108
    },
):
    draft = KlingTextToVideoOperator(
        task_id="draft", model="kling-v3.0-std-t2v", prompt="{{ params.prompt }}", duration=3
    )

    approve = ApprovalOperator(
        task_id="approve",
        subject="{{ params.duration }} s of 4K: render it?",
        body=(
            "Prompt: {{ params.prompt }}\n\n"
            "[The draft]({{ ti.xcom_pull(task_ids='draft', key='_link_KlingVideoLink') }})\n\n"
            "Approving buys **{{ params.duration }} s** of 4K video, about "
            "{{ '%.2f' | format(params.duration * params.usd_per_second) }} USD."
        ),
    )

    render = KlingTextToVideoOperator(
        task_id="render", prompt="{{ params.prompt }}", duration="{{ params.duration }}", save_to="{{ params.save_to }}"
    )

    draft >> approve >> render
