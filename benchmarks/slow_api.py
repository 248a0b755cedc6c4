"""The Highway API's task-result call in a process of its own, with next to no CPU of its own, for measuring pollers.

It answers after a while, as a distant service does, notes when it was asked about which task, and can be told to
misbehave. The package's simulator is kinder to people, but a thousand questions would keep it busy too.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import os
import socket
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

PATH = "/v3/async/task-result"
Note = tuple[float, str]
"""When (time.monotonic, which all processes share) it was asked, and about which task."""


class Mood(StrEnum):
    """How the service behaves."""

    RENDERING = "rendering"
    FINISHED = "finished"
    LIMITED = "429"
    DEAD = "dead"


@dataclass(frozen=True)
class Manner:
    """How the service behaves, in full.

    :param mood: what it answers
    :param retry_after: seconds it asks for with a 429; default None: it does not say
    """

    mood: Mood
    retry_after: int | None = None

    def head_and_body(self) -> tuple[bytes, bytes]:
        """The answer; `%b` in the body is for the task's id, which is always as long."""
        if self.mood is Mood.LIMITED:
            words = {"code": 429, "reason": "RATE_LIMIT_EXCEEDED", "message": "too many requests", "metadata": {}}
            extra = "" if self.retry_after is None else f"Retry-After: {self.retry_after}\r\n"
            return _head("429 Too Many Requests", extra), json.dumps(words).encode()
        done = self.mood is Mood.FINISHED
        link = {"video_url": "https://videos.example/it.mp4?sign=0", "video_url_ttl": "3600", "video_type": "mp4"}
        task = {
            "task_id": "%b",
            "task_type": "TXT_TO_VIDEO",
            "status": "TASK_STATUS_SUCCEED" if done else "TASK_STATUS_PROCESSING",
            "reason": "",
            "eta": 0,
            "progress_percent": 0,
        }
        answer = {"extra": {}, "task": task, "images": [], "videos": [link] if done else [], "audios": []}
        return _head("200 OK", ""), json.dumps(answer).encode()


def _head(status: str, extra: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{extra}Content-Length: %d\r\n\r\n".encode()


class SlowApi:
    """Starts and commands the server; use it in a `with` block.

    :param reply: seconds until it answers
    :param core: the CPU core to stay on
    """

    def __init__(self, *, reply: float, core: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, reply, core), daemon=True)
        self.port = 0

    def behave(self, mood: Mood, *, retry_after: int | None = None) -> None:
        """From now on.

        :param mood: what to answer
        :param retry_after: seconds to ask for with a 429; default None: not to say
        """
        self._pipe.send(Manner(mood, retry_after))
        self._pipe.recv()

    def notes(self) -> list[Note]:
        """What was asked since this was last called."""
        self._pipe.send(None)
        notes: list[Note] = self._pipe.recv()
        return notes

    def __enter__(self) -> Self:
        self._process.start()
        self.port = self._pipe.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()


def _serve(pipe: Connection, reply: float, core: int) -> None:
    os.sched_setaffinity(0, {core})
    with contextlib.suppress(EOFError, KeyboardInterrupt):  # the measuring process is gone
        asyncio.run(_Server(pipe, reply).run())


class _Server:
    def __init__(self, pipe: Connection, reply: float) -> None:
        self._pipe = pipe
        self.reply = reply
        self.head, self.body = Manner(Mood.RENDERING).head_and_body()
        self.notes: list[tuple[float, bytes]] = []
        self.lines: set[asyncio.BaseTransport] = set()
        self._listening: asyncio.Server | None = None
        self._port = 0

    async def run(self) -> None:
        await self._listen()
        self._pipe.send(self._port)
        told = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._pipe.fileno(), told.set)
        while True:
            await told.wait()
            told.clear()
            while self._pipe.poll():
                await self._obey(self._pipe.recv())

    async def _obey(self, manner: Manner | None) -> None:
        if manner is None:
            notes, self.notes = self.notes, []
            self._pipe.send([(at, task_id.decode()) for at, task_id in notes])
            return
        if manner.mood is Mood.DEAD:
            self._hang_up()
        else:
            self.head, self.body = manner.head_and_body()
            await self._listen()
        self._pipe.send(True)

    async def _listen(self) -> None:
        if self._listening is None:
            listener = socket.create_server(("127.0.0.1", self._port), backlog=4096)
            self._port = listener.getsockname()[1]
            loop = asyncio.get_running_loop()
            self._listening = await loop.create_server(lambda: _Line(self), sock=listener, backlog=4096)

    def _hang_up(self) -> None:
        if self._listening:
            self._listening.close()
            self._listening = None
        for line in list(self.lines):
            line.abort()


class _Line(asyncio.Protocol):
    """One kept-alive connection; a question fits into what one read brings, or else the rest is waited for."""

    def __init__(self, server: _Server) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._server.lines.add(transport)

    def connection_lost(self, _: Exception | None) -> None:
        self._server.lines.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        data = self._unread + data
        if not data.endswith(b"\r\n\r\n"):
            self._unread = data
            return
        self._unread = b""
        task_id = data[: data.index(b" HTTP/")].rpartition(b"task_id=")[2]
        self._server.notes.append((time.monotonic(), task_id))
        self._loop.call_later(self._server.reply, self._answer, task_id)

    def _answer(self, task_id: bytes) -> None:
        body = self._server.body.replace(b"%b", task_id)
        self._transport.write(self._server.head % len(body) + body)
