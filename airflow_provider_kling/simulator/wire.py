"""The socket side: reads calls, carries answers, and misbehaves down to the TCP segment."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from dataclasses import replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qsl, urlsplit

from airflow_provider_kling.simulator.answers import Answer, Call, text_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_kling.simulator.service import Service

MAX_BODY_DIGITS = 6
CHUNK = 1 << 18
SMALL = 1 << 16
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class WireServer(ThreadingHTTPServer):
    """A server of one service, whose connections can all be ended at once.

    :param address: host and port; port 0 takes a free one.
    :param service: who answers.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024

    def __init__(self, address: tuple[str, int], service: Service) -> None:
        self.service = service
        self.stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, Wire)

    def server_bind(self) -> None:
        """Bind without the name look-up of HTTPServer, which can take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def entered(self, connection: socket.socket) -> None:
        """Remember an open connection."""
        with self._lock:
            self._open.add(connection)
        if self.stopping.is_set():  # accepted just before the end
            self.hang_up()

    def left(self, connection: socket.socket) -> None:
        """Forget a connection that is about to close."""
        with self._lock:
            self._open.discard(connection)

    def hang_up(self) -> None:
        """End every connection and every pause."""
        self.stopping.set()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class Wire(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "KlingSimulator"
    sys_version = ""
    disable_nagle_algorithm = True  # or each answer waits 40 ms for a delayed ACK

    def setup(self) -> None:
        """Begin the connection."""
        super().setup()
        self._server = cast("WireServer", self.server)
        self._server.entered(self.connection)

    def finish(self) -> None:
        """End the connection; the other side may be gone already."""
        self._server.left(self.connection)
        with contextlib.suppress(ConnectionError):
            super().finish()

    def handle(self) -> None:
        """Answer until one side has enough."""
        with contextlib.suppress(ConnectionError):
            super().handle()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing: the journal remembers everything."""

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Serve every method alike; the base class looks for ``do_GET`` and the like."""
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def _serve(self) -> None:
        call = self._call()
        answer = self._server.service.respond_unread(call)
        if answer is None:
            answer = self._read_body(call)
        self._carry(answer)

    def _call(self) -> Call:
        url = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        headers.setdefault("host", f"{self._server.server_name}:{self._server.server_port}")
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        return Call(self.command, url.path, query, headers, peer=str(self.client_address[0]))

    def _read_body(self, call: Call) -> Answer:
        length = call.headers.get("content-length", "0")
        if "transfer-encoding" in call.headers or not length.isdecimal() or len(length) > MAX_BODY_DIGITS:
            self.close_connection = True  # what follows cannot be told from the next request
            return text_answer("Content-Length needed, of a moderate size", HTTPStatus.LENGTH_REQUIRED)
        raw = self.rfile.read(int(length))
        return self._server.service.respond(replace(call, raw=raw))

    def _carry(self, answer: Answer) -> None:
        self._server.stopping.wait(answer.pause)
        if answer.ending != "answer":
            self._hang_up(reset=answer.ending == "reset")
            return
        if answer.framing == "close" or answer.cut_at is not None:
            self.close_connection = True
        head = self._head(answer)
        body = b"" if self.command == "HEAD" else answer.body[: answer.cut_at]
        slow = answer.stall or answer.drip or answer.endless
        if len(body) <= SMALL and not slow and answer.framing != "chunked":
            self.connection.sendall(head + body)  # one segment
            return
        self.connection.sendall(head)
        for part in self._parts(answer, memoryview(body)):
            self.connection.sendall(part)
        if answer.framing == "chunked" and answer.cut_at is None and self.command != "HEAD":
            self.connection.sendall(b"0\r\n\r\n")

    def _parts(self, answer: Answer, body: memoryview) -> Iterator[bytes | memoryview]:
        stall_at, seconds = answer.stall or (len(body), 0.0)
        size, pause = answer.drip or (CHUNK, 0.0)
        for half in (body[:stall_at], body[stall_at:]):
            for start in range(0, len(half), size):
                part = half[start : start + size]
                yield b"%x\r\n%b\r\n" % (len(part), bytes(part)) if answer.framing == "chunked" else part
                self._server.stopping.wait(pause)
            self._server.stopping.wait(seconds)
            seconds = 0.0
        while answer.endless and self.command != "HEAD" and not self._server.stopping.is_set():
            yield b"%x\r\n%b\r\n" % (CHUNK, bytes(CHUNK)) if answer.framing == "chunked" else bytes(CHUNK)

    def _head(self, answer: Answer) -> bytes:
        headers = {"Server": self.server_version, "Date": self.date_time_string()}
        if answer.framing == "length":
            headers["Content-Length"] = str(len(answer.body) if answer.declared is None else answer.declared)
        elif answer.framing == "chunked":
            headers["Transfer-Encoding"] = "chunked"
        if self.close_connection:
            headers["Connection"] = "close"
        given = {name.lower() for name in answer.headers}
        headers = {name: value for name, value in headers.items() if name.lower() not in given}
        headers.update(answer.headers)
        lines = [f"HTTP/1.1 {answer.status} {self.responses.get(answer.status, ('-',))[0]}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")

    def _hang_up(self, *, reset: bool) -> None:
        self.close_connection = True
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            # Only the last reference closes, and a shutdown() before it would send a FIN instead.
            self.rfile.close()
            self.connection.close()
