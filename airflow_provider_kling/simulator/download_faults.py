"""The ways in which a download may go wrong; users find them in ``faults``."""

# ruff: noqa: D102 - RequestFault.answer says what each of them does

from __future__ import annotations

import gzip
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Protocol

from airflow_provider_kling.simulator.answers import Answer, Proper, link_refused, text_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

DOWNLOAD = frozenset({"download"})


class DownloadFault(Protocol):
    """A fault in the answer to a request for a video."""

    stages: ClassVar[frozenset[str]]

    def answer(self, proper: Proper) -> Answer:
        """Return what the client gets instead of ``proper()``."""


@dataclass(frozen=True)
class ExpiredLink:
    """403 with an object store's XML, as for a link past its time."""

    stages: ClassVar[frozenset[str]] = DOWNLOAD

    def answer(self, proper: Proper) -> Answer:
        return link_refused("Request has expired")


@dataclass(frozen=True)
class Torn:
    """The right Content-Length, but the connection is closed too early.

    :param fraction: how much of the body arrives, 0 to 1; 0.5 by default. Of a part it is so much of the part.
    :param after: how many bytes of the body arrive; None, the default, leaves it to the fraction.
    """

    fraction: float = 0.5
    after: int | None = None
    stages: ClassVar[frozenset[str]] = DOWNLOAD

    def answer(self, proper: Proper) -> Answer:
        answer = proper()
        return replace(answer, cut_at=int(len(answer.body) * self.fraction) if self.after is None else self.after)


@dataclass(frozen=True)
class WrongLength:
    """A wrong Content-Length before the whole body; then the connection is closed.

    :param delta: bytes too many (or, if negative, too few) in the Content-Length.
    """

    delta: int
    stages: ClassVar[frozenset[str]] = DOWNLOAD

    def answer(self, proper: Proper) -> Answer:
        answer = proper()
        return replace(answer, declared=max(0, len(answer.body) + self.delta), cut_at=len(answer.body))


@dataclass(frozen=True)
class NoLength:
    """No Content-Length: the body ends where the connection does."""

    stages: ClassVar[frozenset[str]] = DOWNLOAD

    def answer(self, proper: Proper) -> Answer:
        return replace(proper(), framing="close")


@dataclass(frozen=True)
class Chunked:
    """The body in chunks, its length unknown beforehand."""

    stages: ClassVar[frozenset[str]] = DOWNLOAD

    def answer(self, proper: Proper) -> Answer:
        return replace(proper(), framing="chunked")


@dataclass(frozen=True)
class Html:
    """200 with a web page where the video should be."""

    stages: ClassVar[frozenset[str]] = DOWNLOAD

    def answer(self, proper: Proper) -> Answer:
        return text_answer("<!doctype html><html><body>Please sign in</body></html>", 200, "text/html")


@dataclass(frozen=True)
class CutBehindHeader:
    """A complete answer whose MP4 ends right behind its header: every box of the pictures is gone.

    A partial (206) answer is left as it is: it starts behind the header.
    """

    stages: ClassVar[frozenset[str]] = DOWNLOAD

    def answer(self, proper: Proper) -> Answer:
        answer = proper()
        return replace(answer, body=answer.body[: _end_of_header(answer.body)])


@dataclass(frozen=True)
class Stall:
    """Silence in the middle of the body, then the rest.

    :param fraction: how much of the body arrives before it, 0 to 1.
    :param seconds: wall seconds of silence.
    """

    fraction: float
    seconds: float
    stages: ClassVar[frozenset[str]] = DOWNLOAD

    def answer(self, proper: Proper) -> Answer:
        answer = proper()
        return replace(answer, stall=(int(len(answer.body) * self.fraction), self.seconds))


@dataclass(frozen=True)
class Drip:
    """The body drop by drop.

    :param size: bytes of each drop.
    :param seconds: wall seconds of silence after each.
    """

    size: int
    seconds: float
    stages: ClassVar[frozenset[str]] = DOWNLOAD

    def answer(self, proper: Proper) -> Answer:
        return replace(proper(), drip=(self.size, self.seconds))


@dataclass(frozen=True)
class Endless:
    """No Content-Length, and behind the video zeros for as long as the client takes them."""

    stages: ClassVar[frozenset[str]] = DOWNLOAD

    def answer(self, proper: Proper) -> Answer:
        return replace(proper(), framing="close", endless=True)


@dataclass(frozen=True)
class Gzip:
    """The body packed, though nobody asked for that; the ETag is the one of the plain bytes."""

    stages: ClassVar[frozenset[str]] = DOWNLOAD

    def answer(self, proper: Proper) -> Answer:
        answer = proper()
        headers = {**answer.headers, "Content-Encoding": "gzip"}
        return replace(answer, headers=headers, body=gzip.compress(answer.body, mtime=0))


@dataclass(frozen=True)
class NoRanges:
    """A host without Range requests: always the whole video, with 200."""

    stages: ClassVar[frozenset[str]] = DOWNLOAD
    overlooks: ClassVar[frozenset[str]] = frozenset({"range"})

    def answer(self, proper: Proper) -> Answer:
        answer = proper()
        return replace(answer, headers={n: v for n, v in answer.headers.items() if n != "Accept-Ranges"})


@dataclass(frozen=True)
class OtherVideo:
    """Another video under the same link, whole and with an ETag of its own, whatever part was asked for.

    It is the proper one with an empty box at its end, so it is as good an MP4.
    """

    stages: ClassVar[frozenset[str]] = DOWNLOAD
    overlooks: ClassVar[frozenset[str]] = frozenset({"range"})

    def answer(self, proper: Proper) -> Answer:
        answer = proper()
        if answer.status != 200:
            return answer
        return replace(answer, headers={**answer.headers, "ETag": '"another"'}, body=answer.body + b"\0\0\0\x08free")


@dataclass(frozen=True)
class OtherHeaders:
    """The proper answer with other headers.

    :param headers: by name; None takes one away.
    """

    headers: Mapping[str, str | None]
    stages: ClassVar[frozenset[str]] = DOWNLOAD

    def answer(self, proper: Proper) -> Answer:
        answer = proper()
        changed = {name.lower() for name in self.headers}
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in changed}
        return replace(answer, headers=kept | {n: v for n, v in self.headers.items() if v is not None})


@dataclass(frozen=True)
class Both:
    """Two faults of a download at once.

    :param first: bends the proper answer.
    :param then: bends what comes of that.
    """

    first: DownloadFault
    then: DownloadFault
    stages: ClassVar[frozenset[str]] = DOWNLOAD

    def __post_init__(self) -> None:
        for fault in (self.first, self.then):
            if "download" not in getattr(fault, "stages", ()):
                raise ValueError(f"{type(fault).__name__} makes no sense in Both")

    @property
    def overlooks(self) -> frozenset[str]:
        """Headers of the request that the host does not look at."""
        nothing: frozenset[str] = frozenset()
        return nothing.union(*(getattr(fault, "overlooks", nothing) for fault in (self.first, self.then)))

    def answer(self, proper: Proper) -> Answer:
        return self.then.answer(lambda: self.first.answer(proper))


def _end_of_header(film: bytes) -> int:
    position = 0
    while position + 8 <= len(film):
        size, kind = int.from_bytes(film[position : position + 4]), film[position + 4 : position + 8]
        position += max(size, 8)
        if kind == b"moov":
            return position
    return len(film)
