"""Few connections for many questions: what `AsyncKlingClient` sends through."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from importlib.util import find_spec
from typing import TYPE_CHECKING

import httpx

from airflow_provider_kling.api.environment import proxy_for, ssl_context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_ONE_CONNECTION = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=30)


class Lanes:
    """A bounded number of connections, each a transport of its own, the last one used taken first.

    httpx's own pool looks at every connection for every request: with 32 of them that is a third of what a question
    costs. Lanes are opened as they are needed, so a small crowd has few.

    :param open_lane: makes a transport that holds one connection
    :param most: how many there are at most
    """

    def __init__(self, open_lane: Callable[[], httpx.AsyncBaseTransport], *, most: int) -> None:
        self._open_lane = open_lane
        self._turns = asyncio.Semaphore(most)
        self._idle: list[httpx.AsyncBaseTransport] = []
        self._all: list[httpx.AsyncBaseTransport] = []

    @contextlib.asynccontextmanager
    async def take(self) -> AsyncIterator[httpx.AsyncBaseTransport]:
        """Borrow a lane; waits while all are in use."""
        async with self._turns:
            lane = self._idle.pop() if self._idle else self._add()
            try:
                yield lane
            finally:
                self._idle.append(lane)

    def _add(self) -> httpx.AsyncBaseTransport:
        lane = self._open_lane()
        self._all.append(lane)
        return lane

    async def close(self) -> None:
        """Close all connections."""
        # at once, and none left open because another broke or we were cancelled
        await asyncio.gather(*(lane.aclose() for lane in self._all), return_exceptions=True)


def opener(base_url: str, *, most: int) -> Callable[[], httpx.AsyncBaseTransport]:
    """What makes the lanes to a host: a transport each, or, with the extra `fast`, one of aiohttp for all.

    aiohttp keeps its connections at no cost per request and parses in C: a question takes a third less CPU.

    :param base_url: where questions go; the environment's proxies apply
    :param most: how many connections there are at most
    """
    proxy = proxy_for(base_url)
    if find_spec("httpx_aiohttp") is None or (proxy and not proxy.startswith("http")):  # aiohttp knows no SOCKS
        open_lane = functools.partial(
            httpx.AsyncHTTPTransport, verify=ssl_context(), proxy=proxy, limits=_ONE_CONNECTION
        )
        open_lane()  # what can't be used is told now
        return open_lane
    from aiohttp import ClientSession, DummyCookieJar, TCPConnector
    from httpx_aiohttp import AiohttpTransport

    def session() -> ClientSession:
        connector = TCPConnector(limit=most, keepalive_timeout=30, ssl=ssl_context())
        return ClientSession(connector=connector, cookie_jar=DummyCookieJar())

    shared = AiohttpTransport(verify=ssl_context(), proxy=httpx.Proxy(proxy) if proxy else None, client=session)
    return lambda: shared
