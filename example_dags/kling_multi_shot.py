"""Several shots in one video, with sound: the shots' lengths add up to the video's."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from airflow_provider_kling.api.models import Shot
from airflow_provider_kling.operators.kling import KlingTextToVideoOperator

with DAG(
    dag_id="kling_multi_shot",
    schedule=None,
    catchup=False,
    tags=["kling", "example"],
    params={
        "product": Param("a brass pocket watch", type="string"),
        "save_to": Param("/tmp/kling/multi-shot.mp4", type="string"),  # noqa: S108
    },
):
    KlingTextToVideoOperator(
        task_id="render",
        multi_prompt=[
            Shot(prompt="Close-up of {{ params.product }} on dark velvet, light sweeps over it", duration=3),
            Shot(prompt="A hand picks up {{ params.product }}, soft click", duration=2),
            Shot(prompt="{{ params.product }} shines in the morning sun on a train platform", duration=3),
        ],
        negative_prompt="text, logos, watermark",
        aspect_ratio="16:9",
        sound=True,
        save_to="{{ params.save_to }}",
    )
