"""One async client per event loop and connection, shared by all triggers of a triggerer process.

A client per trigger would cost a TLS context and a connection pool each; a thousand of them stall the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from airflow_provider_kling.api.client import AsyncKlingClient, ssl_context
from airflow_provider_kling.api.errors import RateLimited

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from airflow_provider_kling.api.account import Account
    from airflow_provider_kling.api.models import Render

_REFRESH_AT_MOST_EVERY = 5.0
_PAUSE_WHEN_LIMITED, _LONGEST_PAUSE = 5.0, 60.0


class SharedClient:
    """A client with a count of its users, a common pace, and a key that can change under it.

    :param client: the client
    :param read_account: reads the connection again
    """

    def __init__(self, client: AsyncKlingClient, read_account: Callable[[], Awaitable[Account]]) -> None:
        self._client = client
        self._read_account = read_account
        self._refreshing = asyncio.Lock()
        self._refreshed_at = 0.0
        self._turns = asyncio.Lock()
        self._next_turn = 0.0
        self.users = 0

    async def get_render(self, task_id: str) -> Render:
        """Ask how a render stands, in turn with all other users of this client.

        :param task_id: the render
        """
        await self._take_turn()
        try:
            return await self._client.get_render(task_id)
        except RateLimited as error:  # told to one, meant for all
            pause = min(error.retry_after or _PAUSE_WHEN_LIMITED, _LONGEST_PAUSE)
            self._next_turn = max(self._next_turn, time.monotonic() + pause)
            raise

    async def refresh(self) -> None:
        """Read the connection again, as its key may have been rotated; many users asking at once read it once."""
        async with self._refreshing:
            if time.monotonic() - self._refreshed_at < _REFRESH_AT_MOST_EVERY:
                return
            self._refreshed_at = time.monotonic()
            # an unusable connection keeps the old account: its refusals lead to the same verdict
            with contextlib.suppress(Exception):
                self._client.account = await self._read_account()

    async def close(self) -> None:
        """Close the client."""
        await self._client.close()

    async def _take_turn(self) -> None:
        rate = self._client.account.requests_per_second
        async with self._turns:  # one waits for its turn, all others for the lock: who gives up leaves no gap
            while (pause := self._next_turn - time.monotonic()) > 0:  # noqa: ASYNC110  # a 429 may move it meanwhile
                await asyncio.sleep(pause)
            self._next_turn = max(self._next_turn, time.monotonic()) + (1 / rate if rate else 0.0)


_shared: dict[tuple[int, str], SharedClient] = {}


@contextlib.asynccontextmanager
async def shared_client(key: str, read_account: Callable[[], Awaitable[Account]]) -> AsyncIterator[SharedClient]:
    """Borrow the client of this event loop and connection; the last user closes it.

    :param key: connection id
    :param read_account: reads the connection
    :raises InvalidConnection: when the connection can't be used
    """
    place = (id(asyncio.get_running_loop()), key)
    if place not in _shared:
        account = await read_account()
        await asyncio.to_thread(ssl_context)  # reading the CA bundle would block the loop
        if place not in _shared:  # another trigger may have been quicker while we waited
            _shared[place] = SharedClient(AsyncKlingClient(account), read_account)
    shared = _shared[place]
    shared.users += 1
    try:
        yield shared
    finally:
        shared.users -= 1
        if not shared.users and _shared.get(place) is shared:
            del _shared[place]
            await shared.close()
