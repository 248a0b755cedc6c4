"""One render: a prompt goes in, a 4K video lies in your storage."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from airflow_provider_kling.operators.kling import KlingTextToVideoOperator

with DAG(
    dag_id="kling_text_to_video",
    schedule=None,
    catchup=False,
    tags=["kling", "example"],
    params={
        "prompt": Param("A paper boat sails down a rainy street at dusk, slow tracking shot", type="string"),
        "duration": Param(5, type="integer", minimum=3, maximum=15),
        "aspect_ratio": Param("16:9", enum=["16:9", "9:16", "1:1"]),
        "sound": Param(False, type="boolean"),
        "save_to": Param("/tmp/kling/video.mp4", type="string", description="Local path, s3://, gs:// or abfs://"),  # noqa: S108
    },
):
    KlingTextToVideoOperator(
        task_id="render",
        prompt="{{ params.prompt }}",
        duration="{{ params.duration }}",
        aspect_ratio="{{ params.aspect_ratio }}",
        sound="{{ params.sound }}",
        save_to="{{ params.save_to }}",
    )
