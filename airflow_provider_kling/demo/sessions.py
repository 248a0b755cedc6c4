"""Process sessions: everything a component has started, ended as a whole, whatever becomes of us.

Airflow puts tasks into process groups of their own, but never leaves the session it was started in.
Run as a program, this file is the guardian: it reads session ids from its standard input, and ends them
when that closes. It closes when the parent asks for it, and also when the parent is killed.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import psutil  # type: ignore[import-untyped]  # comes with Airflow

GRACE = 5.0
PATIENCE = 10.0  # after SIGKILL; what the system can't end by then, nobody can


def members(sids: Iterable[int]) -> list[int]:
    """Return the ids of the living processes of these sessions.

    :param sids: session ids; the id of a session is that of the process which opened it
    """
    wanted, found = set(sids), []
    for pid in psutil.pids():
        with suppress(OSError, psutil.Error):
            if os.getsid(pid) in wanted and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
    return found


def send(sids: Iterable[int], signum: int) -> None:
    """Send a signal to every process of these sessions.

    :param sids: session ids
    :param signum: the signal
    """
    for pid in members(sids):
        with suppress(ProcessLookupError):
            os.kill(pid, signum)


def end(sids: Iterable[int], *, grace: float = GRACE) -> None:
    """End every process of these sessions: SIGTERM, and SIGKILL to those which stay.

    :param sids: session ids
    :param grace: seconds between the two, default 5
    """
    sids = list(sids)
    if grace:
        send(sids, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while members(sids) and time.monotonic() < deadline + PATIENCE:
        if time.monotonic() >= deadline:
            send(sids, signal.SIGKILL)
        time.sleep(0.05)


class Guardian:
    """A helper process that ends sessions on demand, and when this process dies without a word."""

    def __init__(self) -> None:
        self._sids: list[int] = []
        with signals_held():
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, __file__], stdin=subprocess.PIPE, start_new_session=True
            )

    def spawn(self, command: list[str], *, env: dict[str, str], log: int, cwd: str) -> subprocess.Popen[bytes]:
        """Start a program in a session of its own, and watch over it.

        :param command: program and arguments
        :param env: its whole environment
        :param log: file descriptor for its output and errors
        :param cwd: its working directory
        """
        with signals_held():
            process = subprocess.Popen(  # noqa: S603
                command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
            self._sids.append(process.pid)
            assert self._process.stdin
            with suppress(BrokenPipeError):
                self._process.stdin.write(b"%d\n" % process.pid)
                self._process.stdin.flush()
        return process

    def end_all(self) -> None:
        """End all that was started, and the guardian itself; return when nothing is left."""
        with signals_held():
            assert self._process.stdin
            with suppress(BrokenPipeError):
                self._process.stdin.close()
            self._process.wait()
            end(self._sids, grace=0)  # nothing to do, unless somebody killed the guardian


@contextmanager
def signals_held() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back for a moment: a process born in between would be nobody's."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []

    def hold(signum: int, _: FrameType | None) -> None:
        held.append(signum)

    handlers = {signum: signal.signal(signum, hold) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for signum, handler in handlers.items():
            signal.signal(signum, handler)
        for number in held[:1]:
            signal.raise_signal(number)


if __name__ == "__main__":
    end([int(line) for line in sys.stdin])
