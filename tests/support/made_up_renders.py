"""Renders as the API of the pages gives them, made up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from airflow_provider_kling.manifest import iso

PROMPTS = (
    "A paper boat sails down a rainy street at dusk, neon reflections on wet asphalt, slow tracking shot",
    "Macro shot of coffee poured into a glass cup, golden morning light, steam",
    "A lighthouse in a storm, waves breaking, drone flies a half circle",
    "Two foxes run through fresh snow, the camera keeps low beside them",
    "The new running shoe turns on a white pedestal, soft studio light, 360 degrees",
)
FORGED = '<img src=x onerror="window.__hacked=1"><script>window.__hacked=1</script>\u202e'
"""What must stay text."""


def ago(seconds: float) -> str:
    """So many seconds ago, as a card has it.

    :param seconds: negative ones are to come
    """
    return str(iso((datetime.now(UTC) - timedelta(seconds=seconds)).timestamp()))


def finished(number: int = 0, *, dag_id: str = "campaign", map_index: int = -1, **card: Any) -> dict[str, Any]:
    """A finished render whose video is saved and may be played.

    :param number: makes it another one; the higher, the older
    :param dag_id: its DAG
    :param map_index: its map index; default -1, not mapped
    :param card: fields of its card that differ
    """
    age = 90 + 60 * number
    name = f"clip_{number}"
    fields = {
        "task_id": f"0d1e8f3a-{number:04}-4c6e-9d0b-7a4f5a2c1b10",
        "status": "TASK_STATUS_SUCCEED",
        "model": "kling-v3.0-4k-t2v",
        "prompt": PROMPTS[number % len(PROMPTS)],
        "multi_prompt": None,
        "duration": (5, 8, 10, 3, 15)[number % 5],
        "aspect_ratio": ("16:9", "16:9", "9:16", "1:1")[number % 4],
        "sound": number % 2 == 0,
        "video_url": f"https://videos.example/{name}.mp4?sign=abc",
        "video_type": "mp4",
        "video_url_expires_at": ago(-3000),
        "submitted_at": ago(age + 80),
        "finished_at": ago(age),
        "saved_to": f"s3://aws_default@acme-campaigns/spring/{name}.mp4",
        "bytes": 48_213_777,
        "sha256": "9f" * 32,
        "percent": None,
        "elapsed": 80.0,
        "expected_at": None,
        "rendering_at": ago(age + 74),
        "saved_at": ago(age - 6),
        "created_at": ago(age + 80),
        "updated_at": ago(age - 6),
        "failure": None,
        "bought": "yes",
        "kling_conn_id": "kling_default",
    }
    return _render(number, dag_id, map_index, "finished", fields | card)


def running(number: int = 0, *, begun: float = 40, left: float = 60, **card: Any) -> dict[str, Any]:
    """A render under way.

    :param number: makes it another one
    :param begun: seconds since its submit
    :param left: seconds until it is expected to end
    :param card: fields of its card that differ
    """
    fields = {
        "status": "TASK_STATUS_PROCESSING",
        "video_url": None,
        "video_url_expires_at": None,
        "finished_at": None,
        "saved_to": None,
        "saved_at": None,
        "bytes": None,
        "sha256": None,
        "submitted_at": ago(begun),
        "created_at": ago(begun),
        "updated_at": ago(begun - 5),
        "rendering_at": ago(begun - 5),
        "expected_at": ago(-left),
    }
    return finished(number, **fields | card) | {"state": "rendering", "ti_state": "deferred", "preview": None}


def failed(number: int = 0, **card: Any) -> dict[str, Any]:
    """A render that moderation refused.

    :param number: makes it another one
    :param card: fields of its card that differ
    """
    failure = (
        "Render 0d1e8f3a was refused by moderation (risk control: the prompt may show a person of public life). "
        "The API does not say whether it is charged. It is not retried; a clear buys a new render."
    )
    fields = {"status": "TASK_STATUS_FAILED", "failure": failure, "saved_to": None, "saved_at": None, "video_url": None}
    return finished(number, **fields | card) | {"state": "failed", "ti_state": "failed", "preview": None}


def forged(number: int = 0) -> dict[str, Any]:
    """A card with a wrong type or an attack in every field; each number another one.

    :param number: which of them
    """
    values: list[Any] = [
        17, True, ["a", {"b": 1}], {"prompt": FORGED}, FORGED * 25, "javascript:window.__hacked=1", -1e308, "", [[]],
        "data:text/html,<script>window.__hacked=1</script>", "../../dags?x=1", "Z̸̨̛" * 300, "\u202eevil" * 20, "x" * 2500,
    ]  # fmt: skip
    card = {name: values[(number + place) % len(values)] for place, name in enumerate(finished()["card"])}
    return finished(number, dag_id=FORGED) | {"card": card, "preview": None, "why_no_preview": "outside"}


def without_preview(render: dict[str, Any], why: str) -> dict[str, Any]:
    """The same render where its saved video may not be played.

    :param render: it
    :param why: "off", "outside" or "not_saved"
    """
    return render | {"preview": None, "why_no_preview": why}


def _render(number: int, dag_id: str, map_index: int, state: str, card: dict[str, Any]) -> dict[str, Any]:
    ids = {
        "dag_id": dag_id,
        "run_id": f"manual__2026-11-{1 + number % 28:02}T10:00:00+00:00",
        "task_id": f"render_{number}" if map_index < 0 else "render",
        "map_index": map_index,
    }
    return {
        **ids,
        "dag_display_name": dag_id,
        "try_number": 1,
        "state": state,
        "ti_state": "success",
        "card": card,
        "preview": f"preview?{urlencode(ids)}",
        "why_no_preview": None,
        "video": f"video?{urlencode(ids)}",
    }
