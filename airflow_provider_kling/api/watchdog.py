"""Bounds how long a blocking exchange may take, however slowly its bytes drip in."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def watchdog(http: httpx.Client, seconds: float) -> Iterator[None]:
    """Close a client that is still busy after so long: httpx's own time-outs start anew with every byte.

    :param http: the client
    :param seconds: until it is closed
    :raises httpx.ReadTimeout: when it was
    """
    bitten = threading.Event()

    def bite() -> None:
        bitten.set()
        http.close()

    timer = threading.Timer(seconds, bite)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception as error:
        if bitten.is_set():
            raise httpx.ReadTimeout(f"it drips in, and was not whole after {seconds:g} s") from error
        raise
    finally:
        timer.cancel()
