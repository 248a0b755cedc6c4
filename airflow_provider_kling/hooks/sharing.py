"""What all that wait in one process share: a client per event loop and connection, its pace, and what renders taught.

A client per trigger would cost a TLS context and a connection pool each; a thousand of them stall the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from airflow_provider_kling.api.client import MAX_CONNECTIONS, AsyncKlingClient
from airflow_provider_kling.api.durations import Durations
from airflow_provider_kling.api.errors import RateLimited
from airflow_provider_kling.api.pacing import Pace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from airflow_provider_kling.api.account import Account
    from airflow_provider_kling.api.models import Render

_REFRESH_AT_MOST_EVERY = 5.0
_LONGEST_READ = 60.0
_KINDS = 256


class SharedClient:
    """A client with a common pace, and a key that can change under it.

    :param client: the client
    :param read_account: reads the connection again
    """

    def __init__(self, client: AsyncKlingClient, read_account: Callable[[], Awaitable[Account]]) -> None:
        self._client = client
        self._read_account = read_account
        self._refreshing = asyncio.Lock()
        self._refreshed_at = 0.0
        self._turns = asyncio.Lock()
        self._on_their_way = asyncio.Semaphore(MAX_CONNECTIONS)
        self.pace = Pace(client.account.requests_per_second)

    async def get_render(self, task_id: str) -> Render:
        """Ask how a render stands, in turn with all other users of this client.

        :param task_id: the render
        """
        async with self._on_their_way:  # who took a turn and then waited for a connection would leave in a burst
            await self._take_turn()
            try:
                render = await self._client.get_render(task_id)
            except RateLimited as error:
                self.pace.refused(time.monotonic(), error.retry_after)
                raise
        self.pace.answered()
        return render

    async def refresh(self) -> None:
        """Read the connection again, as its key may have been rotated; many users asking at once read it once."""
        async with self._refreshing:
            if time.monotonic() - self._refreshed_at < _REFRESH_AT_MOST_EVERY:
                return
            self._refreshed_at = time.monotonic()
            # an unusable connection keeps the old account: its refusals lead to the same verdict
            with contextlib.suppress(Exception):
                await self._use(await _read(self._read_account))

    async def close(self) -> None:
        """Close the client."""
        await self._client.close()

    async def _use(self, account: Account) -> None:
        self.pace.cap = account.requests_per_second
        if account.base_url == self._client.account.base_url:
            self._client.account = account
            return
        before, self._client = self._client, AsyncKlingClient(account)  # the way there may be another
        await before.close()

    async def _take_turn(self) -> None:
        async with self._turns:  # one waits for its turn, all others for the lock: who gives up leaves no gap
            while (pause := self.pace.wait(time.monotonic())) > 0:  # noqa: ASYNC110  # a 429 may move it meanwhile
                await asyncio.sleep(pause)
            self.pace.leave(time.monotonic())


class Place:
    """Where the users of one event loop and connection meet; :func:`meet` leads there.

    :param where: event loop and connection
    """

    def __init__(self, where: tuple[asyncio.AbstractEventLoop, str]) -> None:
        self._where = where
        self._users = 0
        self._opening = asyncio.Lock()
        self._opened: SharedClient | None = None
        self._failures = 0
        self._failure: Exception | None = None

    def enter(self) -> None:
        """One user more."""
        self._users += 1

    async def leave(self) -> None:
        """One user less; the last one closes the client."""
        self._users -= 1
        if not self._users:
            del _places[self._where]
            if self._opened:
                await self._opened.close()

    async def client(self, read_account: Callable[[], Awaitable[Account]]) -> SharedClient:
        """The client; of a crowd that starts together only the first one reads the connection.

        :param read_account: reads the connection
        :raises InvalidConnection: when it can't be used
        """
        if self._opened:
            return self._opened
        failures = self._failures
        async with self._opening:
            if self._failure and self._failures > failures:
                raise self._failure  # what came of it while we waited
            if self._opened is None:
                try:
                    account = await _read(read_account)
                    # in a thread, as reading the CA bundle would block the loop
                    client = await asyncio.to_thread(AsyncKlingClient, account)
                    self._opened = SharedClient(client, read_account)
                except Exception as error:
                    self._failures, self._failure = self._failures + 1, error
                    raise
            return self._opened


async def _read(read_account: Callable[[], Awaitable[Account]]) -> Account:
    """Read the connection; a backend that never answers must not hold up all that wait for it until their deadlines."""
    async with asyncio.timeout(_LONGEST_READ):
        return await read_account()


_places: dict[tuple[asyncio.AbstractEventLoop, str], Place] = {}
"""By the loop itself, not by its id: a loop that was left in disorder may be followed by one with the same id."""


def meet(key: str) -> Place:
    """The place of this event loop and a connection, with one user more; who comes must leave.

    :param key: connection id
    """
    where = (asyncio.get_running_loop(), key)
    place = _places.get(where) or _places.setdefault(where, Place(where))
    place.enter()
    return place


@contextlib.asynccontextmanager
async def shared_client(key: str, read_account: Callable[[], Awaitable[Account]]) -> AsyncIterator[SharedClient]:
    """Borrow the client of this event loop and connection.

    :param key: connection id
    :param read_account: reads the connection
    :raises InvalidConnection: when the connection can't be used
    """
    place = meet(key)
    try:
        yield await place.client(read_account)
    finally:
        await place.leave()


_learned: dict[str, Durations] = {}


def durations_of(like: str | None) -> Durations:
    """What this process has learned about renders of one kind.

    :param like: label of the kind; None for a render of which nothing is known, nor learned
    """
    if like is None:
        return Durations()
    found = _learned[like] = _learned.pop(like) if like in _learned else Durations()  # the one used last stands last
    if len(_learned) > _KINDS:
        del _learned[next(iter(_learned))]
    return found
