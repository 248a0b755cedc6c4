"""Keeps the HTTP library from logging our requests; everybody else's stay as they are.

httpx logs every request with its full URL at INFO: a line per poll, and signed links in the clear. httpcore logs
response headers at DEBUG, with the link in a redirect.
"""

from __future__ import annotations

import contextlib
import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ours: ContextVar[bool] = ContextVar("airflow_provider_kling_request", default=False)


def _not_ours(_: logging.LogRecord) -> bool:
    return not _ours.get()


for _name in ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.proxy", "httpcore.socks"):
    logging.getLogger(_name).addFilter(_not_ours)  # filters are not inherited, so each logger gets its own


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence the HTTP library's own log within this block and context."""
    token = _ours.set(True)
    try:
        yield
    finally:
        _ours.reset(token)
