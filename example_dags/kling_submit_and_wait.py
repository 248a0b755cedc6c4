"""Submit in one task, do other things, and wait for the render in another task with the sensor.

The submitting task has `retries=0`: a plain `@task` remembers nothing, so a retry would buy again. Where you can,
use KlingTextToVideoOperator, which does remember.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param, task

from airflow_provider_kling.sensors.kling import KlingRenderSensor

with DAG(
    dag_id="kling_submit_and_wait",
    schedule=None,
    catchup=False,
    tags=["kling", "example"],
    params={"prompt": Param("A lighthouse in fog, its beam sweeps over the sea", type="string")},
):

    @task(retries=0)
    def submit(params: dict[str, str]) -> str:
        """Buy a render and hand on its id."""
        from airflow_provider_kling.api.models import TextToVideo
        from airflow_provider_kling.hooks.kling import KlingHook

        return KlingHook().submit(TextToVideo(prompt=params["prompt"], duration=5))

    @task
    def meanwhile() -> str:
        """Whatever else is to be done."""
        return "captions written"

    wait = KlingRenderSensor(task_id="wait", kling_task_id=submit(), timeout=3600)

    @task
    def publish(manifest: dict[str, str], note: str) -> str:
        """The link lives for about an hour: fetch the video now."""
        return f"{note}; video of render {manifest['task_id']} is there until {manifest['video_url_expires_at']}"

    publish(wait.output, meanwhile())
