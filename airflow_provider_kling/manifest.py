"""The JSON manifest that operators and sensors return: one shape for a render, wherever it comes from."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_kling.api.models import ASSUMED_LINK_TTL, DEFAULT_ASPECT_RATIO

if TYPE_CHECKING:
    from airflow_provider_kling.api.models import Render, TextToVideo
    from airflow_provider_kling.saving import Saved


def build_manifest(
    render: Render,
    *,
    request: TextToVideo | None = None,
    model: str | None = None,
    submitted_at: float | None = None,
    saved: Saved | None = None,
) -> dict[str, Any]:
    """Describe a finished render; what is not known is None, times are ISO-8601 in UTC.

    :param render: what the API says, with a link just asked for
    :param request: what was asked for, when this task asked for it
    :param model: model slug, when known
    :param submitted_at: epoch seconds of the submit, when known
    :param saved: where the video was saved, when it was
    """
    wanted = request.model_dump() if request else {}
    return {
        "task_id": render.task_id,
        "status": render.status.value,
        "model": model,
        "prompt": wanted.get("prompt"),
        "multi_prompt": wanted.get("multi_prompt"),
        "duration": request.seconds if request else None,
        "aspect_ratio": (request.aspect_ratio or DEFAULT_ASPECT_RATIO) if request else None,
        "sound": bool(request.sound) if request else None,
        **link_fields(render),
        "submitted_at": iso(submitted_at),
        "finished_at": iso(render.finished_at),
        "saved_to": saved.path if saved else None,
        "bytes": saved.size if saved else None,
        "sha256": saved.sha256 if saved else None,
    }


NO_LINK: dict[str, Any] = {"video_url": None, "video_url_expires_at": None}


def link_fields(render: Render) -> dict[str, Any]:
    """The part of a manifest that dies within the hour.

    :param render: what the API says, with a link just asked for
    """
    expires = time.time() + (render.video_url_ttl or ASSUMED_LINK_TTL) if render.video_url else None
    return {
        "video_url": render.video_url,
        "video_type": render.video_type,
        "video_url_expires_at": iso(expires),
    }


def iso(seconds: float | None) -> str | None:
    """Epoch seconds as ISO-8601 in UTC, to the second; None when unknown or beyond all calendars.

    :param seconds: epoch seconds, or None
    """
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds else None
    except (ValueError, OverflowError, OSError):  # a paid render must not fail over an odd number in an answer
        return None
