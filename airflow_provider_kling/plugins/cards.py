"""What a page may believe of a card: known fields of the right kind; whoever can write a DAG can push anything."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST = 10_000
"""Characters of a text; a prompt has at most 2,500, a signed link hardly more."""
_MOST_SHOTS = 15
"""A video of 15 seconds can't have more."""


def read_card(text: str | None) -> dict[str, Any] | None:
    """All fields of a card, None where they are missing or of no use; None when it is no card at all.

    :param text: the XCom as it lies in the database
    """
    value = read_json(text)
    if isinstance(value, str):  # some XCom backends push JSON as a text
        value = read_json(value)
    if not isinstance(value, dict):
        return None
    return {name: read(value.get(name)) for name, read in _FIELDS.items()}


def read_json(text: str | None) -> object:
    """What an XCom holds; None when it can't be read.

    :param text: the XCom as it lies in the database
    """
    try:
        return json.loads(text or "null")
    except (ValueError, RecursionError):
        return None


def read_text(value: object) -> str | None:
    """A text that can be sent as UTF-8, cut where it is absurdly long.

    :param value: anything
    """
    return value[:_LONGEST].encode(errors="replace").decode() if isinstance(value, str) else None


def _number(value: object) -> int | float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < 2**53 else None  # what JavaScript counts exactly; also: neither infinite nor NaN


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _shots(value: object) -> list[dict[str, Any]] | None:
    if not isinstance(value, list):
        return None
    shots = [shot for shot in value[:_MOST_SHOTS] if isinstance(shot, dict)]
    return [{"prompt": read_text(shot.get("prompt")), "duration": _number(shot.get("duration"))} for shot in shots]


_TEXTS = (
    "task_id", "status", "model", "prompt", "negative_prompt", "aspect_ratio", "video_url", "video_type",
    "video_url_expires_at", "submitted_at", "finished_at", "saved_to", "sha256", "expected_at", "rendering_at",
    "saved_at", "created_at", "updated_at", "failure", "bought", "kling_conn_id",
)  # fmt: skip
_NUMBERS = ("duration", "bytes", "cfg_scale", "percent", "elapsed")
_FIELDS: dict[str, Callable[[object], Any]] = {
    **dict.fromkeys(_TEXTS, read_text),
    **dict.fromkeys(_NUMBERS, _number),
    "sound": _flag,
    "multi_prompt": _shots,
}
