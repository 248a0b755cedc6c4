"""Two mapped tasks that would write the same object: the second one is told before it costs anything."""

from __future__ import annotations

import hashlib
import logging
import os
from typing import TYPE_CHECKING

from airflow_provider_kling.targets import InvalidPath

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_kling.targets import Target

log = logging.getLogger(__name__)


def claim(context: Context, target: Target) -> None:
    """Claim a target among the mapped tasks of one task and run.

    The claim is an XCom whose key is made from the target, so that only tasks with the same target find each other.

    :param context: Airflow's task context
    :param target: where this task will write
    :raises InvalidPath: when another one has claimed it
    """
    ti = context["ti"]
    mine = ti.map_index
    if mine is None or mine < 0:
        return
    key = f"kling_target_{hashlib.sha256(_place(target).encode('utf-8', 'replace')).hexdigest()[:16]}"
    try:
        ti.xcom_push(key=key, value=mine)
        found = ti.xcom_pull(task_ids=ti.task_id, key=key)
    except Exception:  # whoever can't ask goes on: two equal targets are a rare mistake
        log.exception("Could not ask whether another mapped task writes to %s.", target.name)
        return
    others = sorted({*(found if isinstance(found, list) else [found])} - {mine, None})
    if others:
        raise InvalidPath(
            f"{target}: the mapped task {others[0]} of this run writes there too, and one video would replace the "
            "other; put {{ task_instance.map_index }} or another part of its own into it"
        )


def _place(target: Target) -> str:
    """One word for all spellings of a place."""
    if target.local:
        return os.path.realpath(target.local)
    scheme, _, rest = target.path.partition("://")
    same = {"s3a": "s3", "gcs": "gs", "abfss": "abfs"}
    return f"{same.get(scheme.lower(), scheme.lower())}://{rest}"
