"""A statsd server that writes down what arrives, Airflow set up to send there, and clients that do not work."""

from __future__ import annotations

import contextlib
import importlib
import re
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from statsd import StatsClient  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

PREFIX = "airflow."


class Datagrams:
    """Listens on a port of this machine, from `with` on."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.received: list[tuple[int, str]] = []
        """The sender's port, which tells processes apart, and the line."""
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join(10)
        self._socket.close()

    def _listen(self) -> None:
        while datagram := self._socket.recvfrom(65536):
            data, (_, port) = datagram
            if not data:
                return
            with self._news:
                self.received += [(port, line.removeprefix(PREFIX)) for line in data.decode().splitlines()]
                self._news.notify_all()

    @property
    def environment(self) -> dict[str, str]:
        """What makes an Airflow send there, with tags, and nothing but our metrics."""
        settings = {
            "STATSD_ON": "True",
            "STATSD_HOST": "127.0.0.1",
            "STATSD_PORT": str(self.port),
            "STATSD_INFLUXDB_ENABLED": "True",
            "METRICS_ALLOW_LIST": "^kling",
        }
        return {f"AIRFLOW__METRICS__{name}": value for name, value in settings.items()}

    def lines(self) -> list[str]:
        """What has arrived, durations left out."""
        with self._news:
            return [re.sub(r":[\d.]+\|ms", ":*|ms", line) for _, line in self.received]

    def senders(self, start: str) -> set[int]:
        """Which processes have sent a metric.

        :param start: how its line starts
        """
        with self._news:
            return {port for port, line in self.received if line.startswith(start)}

    def wait_for(self, start: str, *, timeout: float = 20) -> str:
        """The first line that starts so.

        :param start: such as "kling.poll:"
        :param timeout: seconds until it fails
        """
        deadline = time.monotonic() + timeout
        with self._news:
            while True:
                for _, line in self.received:
                    if line.startswith(start):
                        return line
                assert self._news.wait(deadline - time.monotonic()), f"no {start} among {self.received}"


class BrokenClient(StatsClient):  # type: ignore[misc]
    """Raises whatever is to be sent."""

    tries = 0

    def _send(self, data: str) -> None:
        BrokenClient.tries += 1
        raise RuntimeError(f"no time for {data}")


class HangingClient(StatsClient):  # type: ignore[misc]
    """Waits for a name server that does not answer, until it is told to."""

    asked = threading.Event()
    answered = threading.Event()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.asked.set()
        self.answered.wait(20)
        super().__init__(*args, **kwargs)


@contextlib.contextmanager
def sending_to(server: Datagrams, *, package: str = "airflow.sdk", **settings: str) -> Iterator[None]:
    """Airflow's metrics set up in this process.

    :param server: where to
    :param package: whose copy: "airflow.sdk" as in a task's process, "airflow" as in the triggerer
    :param settings: more of the section `[metrics]`
    """
    more = {f"AIRFLOW__METRICS__{name.upper()}": value for name, value in settings.items()}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**server.environment, **more}.items():
            patch.setenv(name, value)
        _set_up(package)
        try:
            yield
        finally:
            patch.undo()
            _set_up(package)


def _set_up(package: str) -> None:
    """What Airflow does when it starts such a process."""
    try:
        stats: Any = importlib.import_module(f"{package}.observability.stats")
        utils: Any = importlib.import_module(f"{package}.observability.metrics.stats_utils")
    except ImportError:  # Airflow 3.1 has one copy for all
        from airflow.configuration import conf

        stats = importlib.import_module("airflow.stats").Stats
        stats.instance = None
        if conf.getboolean("metrics", "statsd_on"):
            type(stats).factory = importlib.import_module("airflow.metrics.statsd_logger").get_statsd_logger
        else:
            type(stats).factory = importlib.import_module("airflow.metrics.base_stats_logger").NoStatsLogger
        return
    if hasattr(stats, "initialize"):
        stats.initialize(factory=utils.get_stats_factory(), export_legacy_names=False)
    else:  # Airflow 3.2
        stats.Stats.initialize(factory=utils.get_stats_factory(stats.Stats))
