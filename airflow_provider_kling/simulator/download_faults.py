"""The ways in which a download may go wrong; users find them in ``faults``."""

# ruff: noqa: D102 - RequestFault.answer says what each of them does

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from airflow_provider_kling.simulator.answers import Answer, Proper, link_refused, text_answer

DOWNLOAD = frozenset({"download"})


@dataclass(frozen=True)
class ExpiredLink:
    """403 with an object store's XML, as for a link past its time."""

    stages: ClassVar[frozenset[str]] = DOWNLOAD

    def answer(self, proper: Proper) -> Answer:
        return link_refused("Request has expired")


@dataclass(frozen=True)
class Torn:
    """The right Content-Length, but the connection is closed too early.

    :param fraction: how much of the body arrives, 0 to 1; 0.5 by default.
    """

    fraction: float = 0.5
    stages: ClassVar[frozenset[str]] = DOWNLOAD

    def answer(self, proper: Proper) -> Answer:
        answer = proper()
        return replace(answer, cut_at=int(len(answer.body) * self.fraction))


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


def _end_of_header(film: bytes) -> int:
    position = 0
    while position + 8 <= len(film):
        size, kind = int.from_bytes(film[position : position + 4]), film[position + 4 : position + 8]
        position += max(size, 8)
        if kind == b"moov":
            return position
    return len(film)
