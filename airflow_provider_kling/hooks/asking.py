"""One who waits for a render, among all that wait by the same connection."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Self

from airflow_provider_kling.api.errors import AuthenticationFailed, KlingError, PollFailed
from airflow_provider_kling.hooks.sharing import meet

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from airflow_provider_kling.api.account import Account
    from airflow_provider_kling.api.models import Render
    from airflow_provider_kling.api.pacing import Seat
    from airflow_provider_kling.hooks.sharing import Place, SharedClient


class Asker:
    """Asks through the shared client, and takes its seat as soon as the connection can be used; a context manager.

    There are thousands of them, so they hold as few objects as can be: each costs every collection of garbage time.

    :param key: connection id
    :param read_account: reads the connection
    :param patience: seconds that coming in may take; then the first question reads the connection
    """

    def __init__(self, key: str, read_account: Callable[[], Awaitable[Account]], *, patience: float) -> None:
        self._key = key
        self._read_account = read_account
        self._patience = patience
        self._place: Place | None = None
        self._shared: SharedClient | None = None
        self._seat: Seat | None = None

    async def __aenter__(self) -> Self:
        self._place = meet(self._key)
        try:
            with contextlib.suppress(Exception):  # it will be told when it is asked
                async with asyncio.timeout(self._patience):
                    await self._join()
        except BaseException:  # cancelled: who has not come in is not led out
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._seat:
            self._seat.want(0.0)
        if self._place:
            with contextlib.suppress(Exception):  # what breaks while closing is no trouble of the render's
                await self._place.leave()

    def spaced(self, delay: float) -> float:
        """A delay, stretched while all together want to ask more than they may.

        :param delay: seconds
        """
        return self._seat.stretched(delay) if self._seat else delay

    async def ask(self, task_id: str, *, within: float) -> Render | KlingError:
        """How a render stands, or why that can't be told; never raises, as no trouble ever fails a paid render.

        :param task_id: the render
        :param within: seconds that it may take, the turn in the queue included
        """
        try:
            async with asyncio.timeout(within):
                shared = self._shared or await self._join()
                try:
                    return await shared.get_render(task_id)
                except AuthenticationFailed as refusal:
                    await shared.refresh()
                    return refusal.with_traceback(None)
        except KlingError as error:
            return error.with_traceback(None)  # its frames hold the whole answer, for as long as the error is held
        except Exception as error:  # noqa: BLE001  # Airflow's own trouble too
            return PollFailed(f"Could not be asked about ({type(error).__name__})", task_id=task_id)

    async def _join(self) -> SharedClient:
        assert self._place, "used outside of its block"
        self._shared = await self._place.client(self._read_account)
        self._seat = self._shared.pace.seat()
        return self._shared
