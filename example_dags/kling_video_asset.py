"""A render saved to S3, and a second DAG that Airflow starts when the video is there.

The operator gives the asset event what the next one needs to know: task_id, model, duration, bytes, sha256 and a hash
of the prompt.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, Asset, task

from airflow_provider_kling.operators.kling import KlingTextToVideoOperator

if TYPE_CHECKING:
    from airflow.sdk.execution_time.context import TriggeringAssetEventsAccessor

FOLDER = os.environ.get("KLING_EXAMPLES_FOLDER", "s3://marketing/kling")
CLIP = Asset(f"{FOLDER}/paper-boat.mp4")

with DAG(dag_id="kling_video_asset", schedule=None, catchup=False, tags=["kling", "example"]):
    KlingTextToVideoOperator(
        task_id="render",
        prompt="A paper boat sails down a rainy street at dusk, slow tracking shot",
        duration=5,
        save_to=CLIP.uri,
        storage_conn_id="aws_default",
        write_manifest=True,
        outlets=[CLIP],
    )

with DAG(dag_id="kling_video_published", schedule=[CLIP], catchup=False, tags=["kling", "example"]):

    @task
    def announce(triggering_asset_events: TriggeringAssetEventsAccessor) -> list[dict[str, Any]]:
        """Whatever comes next: a thumbnail, an upload to a channel, a message."""
        events = triggering_asset_events[CLIP]
        for event in events:
            print(f"{event.asset.uri}: {event.extra['duration']} s, {event.extra['bytes']} bytes")
        return [dict(event.extra) for event in events]

    announce()
