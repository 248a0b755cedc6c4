"""Every way in which the service, the network or the store may misbehave.

A fault takes the proper answer as a function, so it decides whether the request is honoured at all
(``accept``: the render is bought, the client just never learns of it) and what becomes of the answer.
"""

# ruff: noqa: D102 - RequestFault.answer says what each of them does

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias

from airflow_provider_kling.simulator.answers import (
    Answer,
    Proper,
    error_answer,
    rate_limited,
    task_not_found,
    text_answer,
)
from airflow_provider_kling.simulator.download_faults import (
    Both,
    Chunked,
    CutBehindHeader,
    Drip,
    Endless,
    ExpiredLink,
    Gzip,
    Html,
    NoLength,
    NoRanges,
    OtherHeaders,
    OtherVideo,
    Stall,
    Torn,
    WrongLength,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "BadGateway",
    "Both",
    "Chunked",
    "CutBehindHeader",
    "Delay",
    "Drip",
    "Drop",
    "Endless",
    "ErrorBody",
    "ExpiredLink",
    "Fail",
    "Garbage",
    "Gzip",
    "Hang",
    "Html",
    "MissingTtl",
    "Never",
    "NoLength",
    "NoLink",
    "NoRanges",
    "NotFound",
    "OtherHeaders",
    "OtherVideo",
    "RateLimited",
    "RawAnswer",
    "Redirect",
    "Stall",
    "Torn",
    "Ttl",
    "UnknownStatus",
    "WrongLength",
]

ANYWHERE = frozenset({"submit", "poll", "download"})
POLL = frozenset({"poll"})
RENDER = frozenset({"render"})


class RequestFault(Protocol):
    """A fault in the answer to one request."""

    stages: ClassVar[frozenset[str]]

    def answer(self, proper: Proper) -> Answer:
        """Return what the client gets instead of ``proper()``."""


@dataclass(frozen=True)
class Delay:
    """The proper answer, but late. The request is honoured at once.

    :param seconds: wall seconds of silence before it.
    """

    seconds: float
    stages: ClassVar[frozenset[str]] = ANYWHERE

    def answer(self, proper: Proper) -> Answer:
        return replace(proper(), pause=self.seconds)


@dataclass(frozen=True)
class RateLimited:
    """429 RATE_LIMIT_EXCEEDED.

    :param retry_after: ``Retry-After`` in seconds or as a ready header value, such as an HTTP date; None, the
        default, sends none.
    """

    retry_after: float | str | None = None
    stages: ClassVar[frozenset[str]] = ANYWHERE

    def answer(self, proper: Proper) -> Answer:
        return rate_limited(self.retry_after)


@dataclass(frozen=True)
class ErrorBody:
    """The service's own error body.

    :param status: the HTTP status, be it 200.
    :param reason: the upper-case token.
    :param message: the text; empty by default.
    :param metadata: details; none by default.
    :param code: the ``code`` in the body; the HTTP status by default.
    """

    status: int
    reason: str
    message: str = ""
    metadata: dict[str, str] | None = None
    code: int | None = None
    stages: ClassVar[frozenset[str]] = ANYWHERE

    def answer(self, proper: Proper) -> Answer:
        return error_answer(self.status, self.reason, self.message, code=self.code, metadata=self.metadata)


@dataclass(frozen=True)
class BadGateway:
    """The HTML page of a proxy.

    :param status: the HTTP status; 502 by default.
    :param accept: buy the render first; only on submit, False by default.
    """

    status: int = 502
    accept: bool = False
    stages: ClassVar[frozenset[str]] = ANYWHERE

    def answer(self, proper: Proper) -> Answer:
        if self.accept:
            proper()
        page = f"<html><head><title>{self.status} Bad Gateway</title></head><body>nginx</body></html>"
        return text_answer(page, self.status, "text/html")


@dataclass(frozen=True)
class Drop:
    """The connection is reset (RST) without an answer.

    :param accept: buy the render first; only on submit, False by default.
    :param read_request: read the body first; True by default. If not, the connection is reset while the
        client may still be sending.
    """

    accept: bool = False
    read_request: bool = True
    stages: ClassVar[frozenset[str]] = ANYWHERE

    def answer(self, proper: Proper) -> Answer:
        if self.accept:
            proper()
        return Answer(ending="reset")


@dataclass(frozen=True)
class Hang:
    """No answer, then the connection is closed.

    :param seconds: wall seconds of silence.
    :param accept: buy the render first; only on submit, False by default.
    """

    seconds: float
    accept: bool = False
    stages: ClassVar[frozenset[str]] = ANYWHERE

    def answer(self, proper: Proper) -> Answer:
        if self.accept:
            proper()
        return Answer(ending="close", pause=self.seconds)


@dataclass(frozen=True)
class Garbage:
    """An answer with a good status that cannot be read as JSON.

    :param accept: buy the render first; only on submit, False by default.
    :param body: what it says instead; some HTML by default.
    :param status: the HTTP status; 200 by default.
    """

    accept: bool = False
    body: bytes | str = b"<html>what?</html>"
    status: int = 200
    stages: ClassVar[frozenset[str]] = ANYWHERE

    def answer(self, proper: Proper) -> Answer:
        if self.accept:
            proper()
        return Answer(self.status, {"Content-Type": "application/json"}, _octets(self.body))


@dataclass(frozen=True)
class RawAnswer:
    """Exactly this answer. Date, Server and Content-Length are added unless given.

    :param status: the HTTP status.
    :param body: the body; empty by default.
    :param headers: the headers; none by default.
    """

    status: int
    body: bytes | str = b""
    headers: dict[str, str] = field(default_factory=dict)
    stages: ClassVar[frozenset[str]] = ANYWHERE

    def answer(self, proper: Proper) -> Answer:
        return Answer(self.status, self.headers, _octets(self.body))


@dataclass(frozen=True)
class Redirect:
    """A redirect.

    :param location: where to.
    :param status: the HTTP status; 302 by default.
    """

    location: str
    status: int = 302
    stages: ClassVar[frozenset[str]] = ANYWHERE

    def answer(self, proper: Proper) -> Answer:
        return Answer(self.status, {"Location": self.location})


@dataclass(frozen=True)
class NotFound:
    """404 TASK_NOT_FOUND, although the task exists."""

    stages: ClassVar[frozenset[str]] = POLL

    def answer(self, proper: Proper) -> Answer:
        return task_not_found()


@dataclass(frozen=True)
class UnknownStatus:
    """A status that no document knows, and no video.

    :param status: that status; "TASK_STATUS_ARCHIVING" by default.
    """

    status: str = "TASK_STATUS_ARCHIVING"
    stages: ClassVar[frozenset[str]] = POLL

    def answer(self, proper: Proper) -> Answer:
        def alter(result: dict[str, Any]) -> None:
            result["task"]["status"] = self.status
            result["videos"] = []

        return _altered(proper(), alter)


@dataclass(frozen=True)
class NoLink:
    """SUCCEED without a video. Only questions about finished renders count."""

    stages: ClassVar[frozenset[str]] = POLL
    finished_only: ClassVar[bool] = True

    def answer(self, proper: Proper) -> Answer:
        return _altered(proper(), lambda result: result.update(videos=[]))


@dataclass(frozen=True)
class Ttl:
    """The link with another ``video_url_ttl``. Only questions about finished renders count.

    :param value: what it says, in seconds, such as "0".
    """

    value: str | int | None
    stages: ClassVar[frozenset[str]] = POLL
    finished_only: ClassVar[bool] = True

    def answer(self, proper: Proper) -> Answer:
        return _altered(proper(), lambda result: [v.update(video_url_ttl=self.value) for v in result["videos"]])


@dataclass(frozen=True)
class MissingTtl:
    """The link without ``video_url_ttl``. Only questions about finished renders count."""

    stages: ClassVar[frozenset[str]] = POLL
    finished_only: ClassVar[bool] = True

    def answer(self, proper: Proper) -> Answer:
        return _altered(proper(), lambda result: [v.pop("video_url_ttl", None) for v in result["videos"]])


@dataclass(frozen=True)
class Fail:
    """The render ends FAILED, after its usual time. It was bought all the same.

    :param reason: what the task then gives as its reason.
    """

    reason: str
    stages: ClassVar[frozenset[str]] = RENDER


@dataclass(frozen=True)
class Never:
    """The render never ends, not even by ``finish()``."""

    stages: ClassVar[frozenset[str]] = RENDER


RenderFault: TypeAlias = Fail | Never
Fault: TypeAlias = RequestFault | RenderFault


def _octets(body: bytes | str) -> bytes:
    return body.encode() if isinstance(body, str) else body


def _altered(answer: Answer, alter: Callable[[dict[str, Any]], object]) -> Answer:
    result = json.loads(answer.body)
    if "task" not in result:  # an error body: nothing to alter
        return answer
    alter(result)
    return replace(answer, body=json.dumps(result).encode())
