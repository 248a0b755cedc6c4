"""What we send and what comes back."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from airflow_provider_kling.api.answers import TASK_ID
from airflow_provider_kling.api.errors import InvalidRequest, PollFailed

DEFAULT_MODEL = "kling-v3.0-4k-t2v"
DEFAULT_SECONDS = 5
DEFAULT_ASPECT_RATIO = "16:9"
ASSUMED_LINK_TTL = 3600.0
"""Seconds a link lives when the answer does not say (the service's documented default)."""

_HEARSAY_MAX_SHOTS = 6
_HEARSAY_MAX_SHOT_PROMPT = 512

_RULES = {
    "prompt": "must be a text of 1 to 2500 characters that is not blank",
    "multi_prompt": 'must be a non-empty list of shots like {"prompt": "...", "duration": 3}',
    "multi_prompt.prompt": "must be a text of 1 to 2500 characters that is not blank",
    "multi_prompt.duration": "must be a whole number of seconds, at least 1",
    "negative_prompt": "must be a text of at most 2500 characters",
    "duration": "must be a whole number of seconds from 3 to 15, such as 5",
    "aspect_ratio": 'must be one of "16:9", "9:16", "1:1" (in YAML, put it in quotes)',
    "cfg_scale": "must be a number from 0 to 1, such as 0.5",
    "sound": "must be true or false",
}
"""What each field must be, in the words of an error message (source: the API page)."""


def check_model(model: Any) -> None:
    """Check a model's name, which becomes part of a URL.

    :param model: such as `kling-v3.0-4k-t2v`
    :raises InvalidRequest: when it is none
    """
    if not isinstance(model, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", model):
        raise InvalidRequest(f"model={model!r}: must be a model name such as {DEFAULT_MODEL}")


def check_task_id(task_id: Any) -> str:
    """Check the id of a render that a user gives, and drop the blanks around it.

    :param task_id: the id that a submit returned
    :raises InvalidRequest: when it can't be one
    """
    text = "" if task_id is None else str(task_id).strip()
    if text == "None" or not TASK_ID.fullmatch(text):
        raise InvalidRequest(f"kling_task_id={_shown(task_id)}: must be the id that a submit returned")
    return text


def _not_blank(value: Any) -> Any:
    if isinstance(value, str) and not value.strip():
        raise PydanticCustomError("blank", "blank")
    return value


def _encodable(value: str) -> str:
    """No lone surrogate travels as UTF-8, and PostgreSQL takes no NUL into an XCom: better told before the purchase."""
    value.encode()
    if "\0" in value:
        raise ValueError("NUL")
    return value


def _not_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticCustomError("bool", "bool")
    return value


def _from_text(value: Any) -> Any:
    """A rendered template is a string: read JSON (`| tojson`) or a Python literal (plain `{{ }}`)."""
    if not isinstance(value, str):
        return value
    for read in (json.loads, ast.literal_eval):
        try:
            return read(value)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            continue
    return value


Text = Annotated[str, Field(max_length=2500), AfterValidator(_encodable)]
Prompt = Annotated[Text, BeforeValidator(_not_blank)]


class Shot(BaseModel):
    """One shot of a multi-shot video.

    :param prompt: what this shot shows, 1 to 2500 characters
    :param duration: its length in whole seconds, at least 1
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: Prompt
    duration: Annotated[int, BeforeValidator(_not_bool), Field(ge=1)]


class TextToVideo(BaseModel):
    """A request for one video; every rule of the API page is checked before anything is sent.

    `None` leaves a field out of the body, so that the API's default holds. Numbers may come as strings (rendered
    templates do). Raises `pydantic.ValidationError`; use :meth:`parse` for messages with field, value and fix.

    :param prompt: what the video shows, 1 to 2500 characters; or `multi_prompt`, never both
    :param multi_prompt: shots; their lengths must add up to `duration`, which defaults to that sum
    :param negative_prompt: what to avoid, at most 2500 characters
    :param duration: length in whole seconds, 3 to 15; API default 5
    :param aspect_ratio: "16:9", "9:16" or "1:1"; API default "16:9"
    :param cfg_scale: 0 (freer) to 1 (closer to the prompt)
    :param sound: generate a sound track too (costs more); API default false
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: Prompt | None = None
    multi_prompt: Annotated[list[Shot], BeforeValidator(_from_text), Field(min_length=1)] | None = None
    negative_prompt: Text | None = None
    duration: Annotated[int, BeforeValidator(_not_bool), Field(ge=3, le=15)] | None = None
    aspect_ratio: Literal["16:9", "9:16", "1:1"] | None = None
    cfg_scale: Annotated[float, BeforeValidator(_not_bool), Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    sound: bool | None = None

    @model_validator(mode="after")
    def _shots_or_prompt(self) -> Self:
        if self.prompt is None and self.multi_prompt is None:
            raise _rule("prompt is missing: give prompt, or multi_prompt for several shots")
        if self.prompt is not None and self.multi_prompt is not None:
            raise _rule(
                f"prompt={_shown(self.prompt)} and multi_prompt ({len(self.multi_prompt)} shots) exclude each other: "
                "remove one of them"
            )
        if self.multi_prompt:
            total = sum(shot.duration for shot in self.multi_prompt)
            if self.duration not in {None, total}:
                raise _rule(
                    f"duration={self.duration}: the shots of multi_prompt add up to {total} seconds; "
                    "make them equal, or leave duration out"
                )
            if not 3 <= total <= 15:
                raise _rule(f"multi_prompt adds up to {total} seconds: all shots together must last 3 to 15")
        return self

    @classmethod
    def parse(cls, **fields: Any) -> Self:
        """Check and build a request.

        :param fields: the fields of this class
        :raises InvalidRequest: with one line per mistake: the field, the value and the fix
        """
        try:
            return cls(**fields)
        except ValidationError as error:
            raise InvalidRequest("\n".join(_explain(mistake) for mistake in error.errors())) from None

    @property
    def seconds(self) -> int:
        """Length of the video in seconds, with the API's default filled in."""
        shots = sum(shot.duration for shot in self.multi_prompt or ())
        return self.duration or shots or DEFAULT_SECONDS

    def body(self) -> dict[str, Any]:
        """The JSON body of the POST: only what was given, and the length when there are shots."""
        body = self.model_dump(exclude_none=True)
        if self.multi_prompt:
            body["duration"] = self.seconds
        return body

    def fingerprint(self, *, model: str, account: str) -> str:
        """A hash that is equal for equal purchases.

        :param model: model slug
        :param account: base URL the request goes to
        """
        defaults = {"duration": self.seconds, "aspect_ratio": DEFAULT_ASPECT_RATIO, "sound": False}
        canonical = json.dumps([defaults | self.body(), model, account], sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def cautions(self) -> list[str]:
        """Limits that other Kling services have and this API's page does not state: worth a warning."""
        shots = self.multi_prompt or []
        cautions = []
        if len(shots) > _HEARSAY_MAX_SHOTS:
            cautions.append(f"multi_prompt has {len(shots)} shots; other Kling services allow at most 6.")
        if any(len(shot.prompt) > _HEARSAY_MAX_SHOT_PROMPT for shot in shots):
            cautions.append("A shot's prompt is longer than 512 characters, the limit of other Kling services.")
        return cautions


def _rule(text: str) -> PydanticCustomError:
    return PydanticCustomError("rule", "{text}", {"text": text})


def _explain(error: Any) -> str:
    """One mistake as "field=value: what it must be"."""
    if error["type"] == "rule":
        return str(error["msg"])
    path = [str(part) for part in error["loc"]]
    if error["type"] == "extra_forbidden":
        known = ", ".join(Shot.model_fields if len(path) > 1 else TextToVideo.model_fields)
        return f"{'.'.join(path)}: the API has no such field; it has {known}"
    rule = _RULES.get(".".join(part for part in path if not part.isdigit()), error["msg"])
    if error["type"] == "missing":
        return f"{'.'.join(path)} is missing: {rule}"
    return f"{'.'.join(path)}={_shown(error['input'])}: {rule}"


def _shown(value: Any) -> str:
    text = repr(value)
    if isinstance(value, str) and len(value) > 80:
        return f"{value[:60]!r}... ({len(value)} characters)"
    return text if len(text) <= 200 else text[:200] + "..."


class RenderStatus(StrEnum):
    """Where a render stands; a status the API page does not know reads as OTHER and means "still waiting"."""

    QUEUED = "TASK_STATUS_QUEUED"
    PROCESSING = "TASK_STATUS_PROCESSING"
    SUCCEED = "TASK_STATUS_SUCCEED"
    FAILED = "TASK_STATUS_FAILED"
    OTHER = "OTHER"


class Render(BaseModel):
    """What the API says of a render.

    :param task_id: the id the API gave it
    :param status: where it stands
    :param raw_status: the status as it was written
    :param reason: why it failed, when it failed
    :param eta: seconds until it is ready, when the API says so
    :param progress_percent: 0 to 100; 0 on real finished tasks: to show, never to decide by
    :param video_url: signed link to the video, alive for about an hour
    :param video_type: such as "mp4"
    :param video_url_ttl: seconds the link lives, when the API says so
    :param finished_at: epoch seconds, when the API says so
    """

    model_config = ConfigDict(frozen=True)

    task_id: str
    status: RenderStatus
    raw_status: str = ""
    reason: str | None = None
    eta: float | None = None
    progress_percent: float | None = None
    video_url: str | None = Field(default=None, repr=False)
    video_type: str | None = None
    video_url_ttl: float | None = None
    finished_at: float | None = None

    @classmethod
    def read(cls, body: dict[str, Any], *, task_id: str) -> Self:
        """Read a task-result body, liberally: numbers may be strings, optional parts may be missing.

        :param body: the JSON object of the answer
        :param task_id: the render that was asked about
        :raises PollFailed: when there is no status in it, or it is about another task
        """
        task = _dict(body.get("task"))
        raw = _text(task.get("status"))
        if not raw:
            raise PollFailed(f"The answer about task {task_id} names no status.", task_id=task_id)
        named = task.get("task_id")
        if isinstance(named, str) and named.strip() not in {"", task_id}:
            raise PollFailed(f"The answer about task {task_id} is about another one.", task_id=task_id)
        video = next((v for v in map(_dict, _list(body.get("videos"))) if _text(v.get("video_url"))), {})
        times = _dict(_dict(body.get("extra")).get("debug_info"))
        finished_ms = _positive(times.get("complete_time_ms"))
        return cls(
            task_id=task_id,
            status=_status(raw),
            raw_status=raw,
            reason=_text(task.get("reason")),
            eta=_positive(task.get("eta")),
            progress_percent=_positive(task.get("progress_percent")),
            video_url=_text(video.get("video_url")),
            video_type=_text(video.get("video_type")),
            video_url_ttl=_positive(video.get("video_url_ttl")),
            finished_at=finished_ms / 1000 if finished_ms else None,
        )


def _status(raw: str) -> RenderStatus:
    name = raw.upper().removeprefix("TASK_STATUS_")
    return RenderStatus.__members__.get(name, RenderStatus.OTHER)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    return (str(value).strip() or None) if isinstance(value, str | int | float) else None


def _positive(value: Any) -> float | None:
    """A number above zero; the API writes 0 or "0" for "not known"."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if 0 < number < 1e15 else None
