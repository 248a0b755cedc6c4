"""Four ways for a triggerer to wait for renders: ours, and what people use or write instead.

Each is an async context manager that sets up what is shared and yields a coroutine function: wait for one render.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slow_api import PATH

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from gauges import Planner

    Wait = Callable[[str], Awaitable[None]]

_KEY = "benchmark"
_HEADERS = {"Authorization": f"Bearer {_KEY}", "Content-Type": "application/json"}
_OVER = {"TASK_STATUS_SUCCEED", "TASK_STATUS_FAILED"}


@dataclass(frozen=True)
class Site:
    """Where and how to ask.

    :param port: of the API, on 127.0.0.1
    :param interval: seconds between the questions of those that can be told; ours decides for itself
    :param cap: requests per second, for ours; None: its default
    """

    port: int
    interval: float
    cap: float | None = None

    @property
    def host(self) -> str:
        """Base URL."""
        return f"http://127.0.0.1:{self.port}"

    def connect(self, conn_id: str, conn_type: str, **extra: Any) -> None:
        """Make a connection known to Airflow."""
        connection = {"conn_type": conn_type, "host": self.host, "password": _KEY, "extra": extra}
        os.environ[f"AIRFLOW_CONN_{conn_id.upper()}"] = json.dumps(connection)


@contextlib.asynccontextmanager
async def ours(site: Site, planner: Planner) -> AsyncIterator[Wait]:
    """The trigger of this package, for renders that are five minutes old."""
    from airflow_provider_kling.hooks import kling as home_of_the_loop
    from airflow_provider_kling.triggers.kling import KlingRenderTrigger

    site.connect("kling_default", "kling", **({} if site.cap is None else {"requests_per_second": site.cap}))

    async def wait(task_id: str) -> None:
        now = time.time()
        trigger = KlingRenderTrigger(
            kling_conn_id="kling_default",
            kling_task_id=task_id,
            submitted_at=now - 300,
            deadline=now + 86400,
            like="kling-v3.0-4k-t2v/5s",
        )
        async for _ in trigger.run():
            pass

    with planner.listening_to(home_of_the_loop):
        yield wait


@contextlib.asynccontextmanager
async def ours_without_fast(site: Site, planner: Planner) -> AsyncIterator[Wait]:
    """The same where the extra `fast` is not installed."""
    sys.modules["httpx_aiohttp"] = None  # type: ignore[assignment]  # nobody finds it any more
    async with ours(site, planner) as wait:
        yield wait


@contextlib.asynccontextmanager
async def http_event_trigger(site: Site, planner: Planner) -> AsyncIterator[Wait]:
    """`HttpEventTrigger` of apache-airflow-providers-http."""
    from airflow.providers.http.triggers import http as home_of_the_loop

    site.connect("http_default", "http")

    async def wait(task_id: str) -> None:
        trigger = home_of_the_loop.HttpEventTrigger(
            "not_yet.is_over",
            endpoint=PATH,
            headers=_HEADERS,
            data={"task_id": task_id},
            poll_interval=site.interval,
        )
        async for _ in trigger.run():
            pass

    with planner.listening_to(home_of_the_loop):
        yield wait


@contextlib.asynccontextmanager
async def aiohttp_loop(site: Site, planner: Planner) -> AsyncIterator[Wait]:
    """As little as will do, on one shared session: the practical limit."""
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=32)) as session:

        async def wait(task_id: str) -> None:
            while True:
                url, query = f"{site.host}{PATH}", {"task_id": task_id}
                async with session.get(url, params=query, headers=_HEADERS) as response:
                    answer = await response.json()
                if answer["task"]["status"] in _OVER:
                    return
                await planner.sleep(site.interval)

        yield wait


@contextlib.asynccontextmanager
async def httpx_each(site: Site, planner: Planner) -> AsyncIterator[Wait]:
    """As it is often written: an httpx client in every trigger."""
    import httpx

    async def wait(task_id: str) -> None:
        async with httpx.AsyncClient() as client:
            while True:
                response = await client.get(f"{site.host}{PATH}", params={"task_id": task_id}, headers=_HEADERS)
                if response.json()["task"]["status"] in _OVER:
                    return
                await planner.sleep(site.interval)

    yield wait


POLLERS = {
    "ours": ours,
    "ours without fast": ours_without_fast,
    "aiohttp loop": aiohttp_loop,
    "HttpEventTrigger": http_event_trigger,
    "httpx per trigger": httpx_each,
}
