"""Adopt a render that is paid for, by its id: wait for it, then save it. Nothing is bought.

The id stands in the log of the task that submitted it, in its XCom `task_id`, or in the account of the service.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param

from airflow_provider_kling.sensors.kling import KlingRenderSensor
from airflow_provider_kling.transfers.kling_to_object_storage import KlingToObjectStorageOperator

with DAG(
    dag_id="kling_rescue",
    schedule=None,
    catchup=False,
    tags=["kling", "example"],
    default_args={"retries": 3, "retry_delay": timedelta(seconds=30)},  # they buy nothing
    params={
        "kling_task_id": Param(type="string", minLength=1, description="The render's id at the API"),
        "save_to": Param("/tmp/kling/rescued.mp4", type="string", description="Local path, s3://, gs:// or abfs://"),  # noqa: S108
    },
):
    wait = KlingRenderSensor(task_id="wait", kling_task_id="{{ params.kling_task_id }}", timeout=3600)

    save = KlingToObjectStorageOperator(
        task_id="save",
        kling_task_id="{{ params.kling_task_id }}",
        path="{{ params.save_to }}",
        write_manifest=True,
    )

    wait >> save
