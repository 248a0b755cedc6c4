"""What came in and what goes out, before it meets a socket."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Call:
    """One HTTP request as it arrived; header names are lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    raw: bytes = b""
    peer: str = "127.0.0.1"

    @cached_property
    def body(self) -> dict[str, Any] | None:
        """The JSON object in the body, or None when it holds anything else."""
        try:
            value = json.loads(self.raw, parse_constant=_no_such_number)
        except (ValueError, RecursionError):
            return None
        return value if isinstance(value, dict) else None

    @property
    def is_json(self) -> bool:
        """Whether the sender calls the body JSON."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


@dataclass(frozen=True)
class Answer:
    """One HTTP response, and how badly it is to be carried to the client."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    pause: float = 0.0
    """Wall seconds of silence before the first byte."""
    ending: Literal["answer", "close", "reset"] = "answer"
    """``close`` and ``reset`` send nothing and end the connection by FIN or RST."""
    framing: Literal["length", "chunked", "close"] = "length"
    """How the client learns where the body ends."""
    declared: int | None = None
    """The Content-Length to claim; None claims the true one."""
    cut_at: int | None = None
    """Close the connection after so many bytes of the body."""
    stall: tuple[int, float] | None = None
    """After so many bytes of the body, be silent for so many wall seconds, then go on."""
    drip: tuple[int, float] | None = None
    """So many bytes at a time, with so many wall seconds of silence after each."""
    endless: bool = False
    """Behind the body come zeros until the client goes; needs another framing than ``length``."""


Proper: TypeAlias = Callable[[], Answer]
"""Honours the request (it may buy a render) and returns the proper answer."""


def json_answer(value: Any, status: int = 200) -> Answer:
    """Return an answer in JSON.

    :param value: what it carries.
    :param status: the HTTP status; 200 by default.
    """
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(value).encode())


def text_answer(text: str, status: int = 200, content_type: str = "text/plain; charset=utf-8") -> Answer:
    """Return an answer in text.

    :param text: what it carries.
    :param status: the HTTP status; 200 by default.
    :param content_type: what kind of text; plain by default.
    """
    return Answer(status, {"Content-Type": content_type}, text.encode())


def error_answer(
    status: int, reason: str, message: str, *, code: int | None = None, metadata: dict[str, str] | None = None
) -> Answer:
    """Return the service's own flat error body.

    :param status: the HTTP status.
    :param reason: the upper-case token.
    :param message: the text.
    :param code: the ``code`` in the body; the HTTP status by default.
    :param metadata: details; none by default.
    """
    body = {
        "code": status if code is None else code,
        "reason": reason,
        "message": message,
        "metadata": metadata or {},
    }
    return json_answer(body, status)


def rate_limited(retry_after: float | str | None) -> Answer:
    """Return the answer to one request too many.

    :param retry_after: the value of ``Retry-After``; None sends none.
    """
    answer = error_answer(429, "RATE_LIMIT_EXCEEDED", "RPM limit exceeded")
    if retry_after is None:
        return answer
    return replace(answer, headers={**answer.headers, "Retry-After": str(retry_after)})


def task_not_found() -> Answer:
    """Return the answer to a question about a task that the service does not know."""
    return error_answer(404, "TASK_NOT_FOUND", "task not found")


def link_refused(message: str) -> Answer:
    """Return an object store's refusal of a link.

    :param message: why.
    """
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code><Message>{message}</Message></Error>'
    )
    return text_answer(body, 403, "application/xml")


def _no_such_number(token: str) -> None:
    raise ValueError(f"{token} is not JSON")
