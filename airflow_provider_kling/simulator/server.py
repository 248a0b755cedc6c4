"""The simulator as its users see it."""

from __future__ import annotations

import json
import shlex
import signal
import threading
from typing import TYPE_CHECKING

from airflow_provider_kling.simulator.downloads import FilmStore
from airflow_provider_kling.simulator.limit import SubmitLimit
from airflow_provider_kling.simulator.service import Service
from airflow_provider_kling.simulator.studio import Studio
from airflow_provider_kling.simulator.wire import WireServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from airflow_provider_kling.simulator.faults import Fault
    from airflow_provider_kling.simulator.journal import Accepted, Request


class KlingSimulator:
    """A Highway API for Kling v3.0 text-to-video on this machine; a context manager.

    :param api_key: the key that callers must show; "sk_simulator" by default.
    :param host: address to listen on; "127.0.0.1" by default.
    :param port: port to listen on; 0, the default, takes a free one and keeps it over restarts.
    :param render_seconds: how long a render takes, in API seconds; 240 by default.
    :param speed: API seconds per wall second; 1 by default.
    :param short_side: pixels of the shorter side of 4K videos; 2160 by default. The std and pro models
        deliver at most 1080.
    :param link_ttl: how long a link is good, in wall seconds whatever the speed; 3600 by default.
    :param eta: whether to tell the remaining wall seconds; False, the default, says 0 as the real one does.
    :param submits_per_minute: how many submits it takes in 60 API seconds; those above are answered 429. None, the
        default, takes all.
    :param tell_retry_after: whether such a 429 carries ``Retry-After``, in wall seconds; False by default.
    :raises ValueError: if the limit would take none at all.
    """

    def __init__(
        self,
        *,
        api_key: str = "sk_simulator",
        host: str = "127.0.0.1",
        port: int = 0,
        render_seconds: float = 240.0,
        speed: float = 1.0,
        short_side: int = 2160,
        link_ttl: float = 3600.0,
        eta: bool = False,
        submits_per_minute: int | None = None,
        tell_retry_after: bool = False,
    ) -> None:
        self._host = host
        self._port = port
        self._studio = Studio(render_seconds=render_seconds, speed=speed)
        limit = None
        if submits_per_minute is not None:
            limit = SubmitLimit(submits_per_minute, speed=speed, tell=tell_retry_after)
        self._service = Service(
            api_key=api_key,
            studio=self._studio,
            films=FilmStore(short_side),
            link_ttl=link_ttl,
            eta=eta,
            limit=limit,
        )
        self._journal = self._service.journal
        self._server: WireServer | None = None
        self._thread: threading.Thread | None = None

    def __repr__(self) -> str:
        """Say where it listens, and never the key."""
        return f"<KlingSimulator {self.base_url if self._port else 'not started'}>"

    def __enter__(self) -> KlingSimulator:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def start(self) -> None:
        """Listen. After a ``stop()`` it goes on where it was, on the same port."""
        if self._server:
            return
        self._server = WireServer((self._host, self._port), self._service)
        self._port = self._server.server_port
        # A short poll interval, because stop() takes as long.
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="kling-simulator", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End all connections and stop listening. Renders go on."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        self._thread.join()
        self._server = self._thread = None

    @property
    def base_url(self) -> str:
        """The address to put into a connection's host."""
        if not self._port:
            raise RuntimeError("start the simulator first: only then does it have a port")
        return f"http://{self._host}:{self._port}"

    @property
    def api_key(self) -> str:
        """The key that callers must show. When set, the old one is refused at once."""
        return self._service.api_key

    @api_key.setter
    def api_key(self, api_key: str) -> None:
        self._service.api_key = api_key

    @property
    def link_ttl(self) -> float:
        """How long links given from now on are good, in wall seconds."""
        return self._service.link_ttl

    @link_ttl.setter
    def link_ttl(self, seconds: float) -> None:
        self._service.link_ttl = seconds

    @property
    def connection_json(self) -> str:
        """The value of ``AIRFLOW_CONN_KLING_DEFAULT``."""
        return json.dumps({"conn_type": "kling", "host": self.base_url, "password": self.api_key})

    def inject(
        self,
        fault: Fault,
        on: str = "submit",
        *,
        times: int | None = 1,
        prompt: str | None = None,
        after: int = 0,
    ) -> None:
        """Let the next requests of a kind go wrong.

        One request meets one fault at most, the one injected first.

        :param fault: one of ``airflow_provider_kling.simulator.faults``.
        :param on: "submit" (the default), "poll", "download" or "render".
        :param times: how many requests it strikes; 1 by default, None for ever.
        :param prompt: strike only renders with this text in one of their prompts; None, the default, any.
        :param after: how many such requests to let pass first; 0 by default.
        :raises ValueError: if the fault makes no sense there.
        """
        self._service.faults.add(fault, on=on, times=times, prompt=prompt, after=after)

    def clear_faults(self) -> None:
        """Behave again. Renders already under way keep their fate."""
        self._service.faults.clear()

    @property
    def requests(self) -> list[Request]:
        """Every request so far, but those to ``/simulator/``; noted just before the answer is sent."""
        return self._journal.requests()

    @property
    def accepted(self) -> list[Accepted]:
        """Every render really bought."""
        return self._journal.accepted()

    @property
    def billed_seconds(self) -> int:
        """The length of all renders bought, in seconds of video."""
        return sum(render.seconds for render in self.accepted)

    @property
    def submits(self) -> int:
        """How many POSTs for a render arrived, accepted or not."""
        return self._journal.count("submit")

    @property
    def polls(self) -> int:
        """How many questions about a task arrived."""
        return self._journal.count("poll")

    @property
    def downloads(self) -> int:
        """How many requests for a video arrived."""
        return self._journal.count("download")

    def polls_of(self, task_id: str) -> int:
        """Return how often this task was asked for.

        :param task_id: the task, be it unknown.
        """
        return self._journal.polls_of(task_id)

    def finish(self, task_id: str | None = None) -> None:
        """End renders now, so that nobody need wait.

        :param task_id: the render; None, the default, ends all.
        :raises KeyError: if there is no such render.
        """
        self._studio.finish(task_id)

    def hold(self) -> None:
        """Let no render end by time from now on; ``finish()`` still works."""
        self._studio.hold()

    def release(self) -> None:
        """Let time end renders again; the time since ``hold()`` counts."""
        self._studio.release()

    def wait_for(self, predicate: Callable[[KlingSimulator], object], timeout: float = 30) -> None:
        """Block until ``predicate(self)`` is true; it is looked at again on every request.

        :param predicate: what to wait for.
        :param timeout: wall seconds to wait at most; 30 by default.
        :raises TimeoutError: if it does not come true in time.
        """
        self._journal.wait_for(lambda: predicate(self), timeout)

    def reset(self) -> None:
        """Forget requests, accepted renders and faults. Renders under way go on."""
        self._journal.forget()
        self._service.faults.clear()


def run_forever(simulator: KlingSimulator) -> None:
    """Start the simulator, say how to reach it, and serve until SIGINT or SIGTERM.

    Call it in the main thread: only there can signals be caught.

    :param simulator: the simulator, not started yet.
    """
    over = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda *_: over.set())
    try:
        with simulator:
            print(f"Highway API simulator: {simulator.base_url}   key: {simulator.api_key}")
            print(f"export AIRFLOW_CONN_KLING_DEFAULT={shlex.quote(simulator.connection_json)}", flush=True)
            over.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
