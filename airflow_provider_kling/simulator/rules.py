"""What the API page of Kling v3.0 text-to-video allows, checked to the letter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MODELS = frozenset({"kling-v3.0-4k-t2v", "kling-v3.0-pro-t2v", "kling-v3.0-std-t2v"})
ASPECT_RATIOS = {"16:9": (16, 9), "9:16": (9, 16), "1:1": (1, 1)}
MAX_CHARACTERS = 2500
MIN_SECONDS, MAX_SECONDS, DEFAULT_SECONDS = 3, 15, 5


class RefusedError(Exception):
    """The body breaks a rule; the message names the field."""


@dataclass(frozen=True)
class Order:
    """A request body that the service would accept, with its defaults filled in."""

    shots: tuple[tuple[str, int], ...]
    """Prompt and seconds of each shot; a plain prompt is one shot."""
    seconds: int
    aspect_ratio: str
    sound: bool

    @property
    def prompts(self) -> tuple[str, ...]:
        """The prompt of each shot."""
        return tuple(prompt for prompt, _ in self.shots)


def check(body: Mapping[str, Any]) -> Order:
    """Return the order that ``body`` places.

    :param body: the decoded JSON object.
    :raises RefusedError: if the API page forbids it.
    """
    for name in body:
        if name not in _FIELDS:
            raise RefusedError(f"{name}: unknown field")
    for name, rule in _FIELDS.items():
        if name in body:
            rule(name, body[name])
    if ("prompt" in body) == ("multi_prompt" in body):
        raise RefusedError("prompt: give exactly one of prompt and multi_prompt")
    shots = tuple((shot["prompt"], shot["duration"]) for shot in body.get("multi_prompt", ()))
    total = sum(seconds for _, seconds in shots)
    seconds = body.get("duration", total or DEFAULT_SECONDS)
    if shots and total != seconds:
        raise RefusedError(f"multi_prompt: the shots last {total} s, but duration is {seconds}")
    _check_duration("duration", seconds)
    return Order(
        shots=shots or ((body["prompt"], seconds),),
        seconds=seconds,
        aspect_ratio=body.get("aspect_ratio", "16:9"),
        sound=body.get("sound", False),
    )


def prompts_in(body: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return whatever prompts a body holds, be it right or wrong.

    :param body: the decoded JSON object, or None.
    """
    if body is None:
        return ()
    shots = body.get("multi_prompt")
    found = [body.get("prompt")]
    found += [shot.get("prompt") for shot in shots if isinstance(shot, dict)] if isinstance(shots, list) else []
    return tuple(prompt for prompt in found if isinstance(prompt, str))


def _check_text(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise RefusedError(f"{name}: must be a string")
    if len(value) > MAX_CHARACTERS:
        raise RefusedError(f"{name}: must not exceed {MAX_CHARACTERS} characters, has {len(value)}")


def _check_prompt(name: str, value: Any) -> None:
    _check_text(name, value)
    if not value.strip():
        raise RefusedError(f"{name}: must not be blank")


def _check_duration(name: str, value: Any) -> None:
    if type(value) is not int:
        raise RefusedError(f"{name}: must be an integer")
    if not MIN_SECONDS <= value <= MAX_SECONDS:
        raise RefusedError(f"{name}: must be {MIN_SECONDS} to {MAX_SECONDS} seconds, is {value}")


def _check_scale(name: str, value: Any) -> None:
    if type(value) not in (int, float):
        raise RefusedError(f"{name}: must be a number")
    if not 0 <= value <= 1:
        raise RefusedError(f"{name}: must be 0 to 1, is {value}")


def _check_ratio(name: str, value: Any) -> None:
    if not isinstance(value, str) or value not in ASPECT_RATIOS:
        raise RefusedError(f"{name}: must be one of {', '.join(ASPECT_RATIOS)}")


def _check_bool(name: str, value: Any) -> None:
    if type(value) is not bool:
        raise RefusedError(f"{name}: must be a boolean")


def _check_shots(name: str, value: Any) -> None:
    if not isinstance(value, list) or not value:
        raise RefusedError(f"{name}: must be a list of at least one shot")
    for position, shot in enumerate(value):
        label = f"{name}[{position}]"
        if not isinstance(shot, dict) or set(shot) != {"prompt", "duration"}:
            raise RefusedError(f"{label}: must be an object of exactly prompt and duration")
        _check_prompt(f"{label}.prompt", shot["prompt"])
        if type(shot["duration"]) is not int or shot["duration"] < 1:
            raise RefusedError(f"{label}.duration: must be an integer of at least 1")


_FIELDS: dict[str, Callable[[str, Any], None]] = {
    "sound": _check_bool,
    "prompt": _check_prompt,
    "duration": _check_duration,
    "cfg_scale": _check_scale,
    "aspect_ratio": _check_ratio,
    "multi_prompt": _check_shots,
    "negative_prompt": _check_text,
}
