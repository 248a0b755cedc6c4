"""The JSON manifest that operators and sensors return: one shape for a render, wherever it comes from."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from airflow_provider_kling.api.models import ASSUMED_LINK_TTL, DEFAULT_ASPECT_RATIO

if TYPE_CHECKING:
    from airflow_provider_kling.api.models import Render, TextToVideo
    from airflow_provider_kling.saving import Saved


class Manifest(BaseModel):
    """What is known of a render; None for what is not, times as ISO-8601 in UTC.

    :param task_id: the render's id at the API
    :param status: as the API writes it
    :param model: model slug
    :param prompt: what the video shows; or `multi_prompt`
    :param multi_prompt: its shots
    :param duration: length in seconds
    :param aspect_ratio: such as "16:9"
    :param sound: whether a sound track was asked for
    :param video_url: signed link to the video
    :param video_type: such as "mp4"
    :param video_url_expires_at: when the link dies
    :param submitted_at: when it was bought
    :param finished_at: when it was finished
    :param saved_to: where the video was saved
    :param bytes: its size
    :param sha256: its digest
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    task_id: str | None = None
    status: str | None = None
    model: str | None = None
    prompt: str | None = None
    multi_prompt: list[dict[str, Any]] | None = None
    duration: int | None = None
    aspect_ratio: str | None = None
    sound: bool | None = None
    video_url: str | None = None
    video_type: str | None = None
    video_url_expires_at: str | None = None
    submitted_at: str | None = None
    finished_at: str | None = None
    saved_to: str | None = None
    bytes: int | None = None
    sha256: str | None = None


def build_manifest(
    render: Render,
    *,
    request: TextToVideo | None = None,
    model: str | None = None,
    submitted_at: float | None = None,
    saved: Saved | None = None,
) -> dict[str, Any]:
    """Describe a finished render.

    :param render: what the API says, with a link just asked for
    :param request: what was asked for, when this task asked for it
    :param model: model slug, when known
    :param submitted_at: epoch seconds of the submit, when known
    :param saved: where the video was saved, when it was
    """
    return Manifest(
        task_id=render.task_id,
        status=render.status.value,
        model=model,
        **(request_fields(request) if request else {}),
        **link_fields(render),
        submitted_at=iso(submitted_at),
        finished_at=iso(render.finished_at),
        saved_to=saved.path if saved else None,
        bytes=saved.size if saved else None,
        sha256=saved.sha256 if saved else None,
    ).model_dump()


def request_fields(request: TextToVideo) -> dict[str, Any]:
    """The part of a manifest that was asked for.

    :param request: what was asked for
    """
    wanted = request.model_dump()
    return {
        "prompt": wanted.get("prompt"),
        "multi_prompt": wanted.get("multi_prompt"),
        "duration": request.seconds,
        "aspect_ratio": request.aspect_ratio or DEFAULT_ASPECT_RATIO,
        "sound": bool(request.sound),
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
