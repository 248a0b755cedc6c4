"""An Airflow connection becomes a client."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from airflow_provider_kling import metrics
from airflow_provider_kling._compat import AirflowNotFoundException, must_block
from airflow_provider_kling.api.account import (
    DEFAULT_BASE_URL,
    DEFAULT_SUBMITS_PER_MINUTE,
    DEFAULT_TIMEOUT,
    Account,
    is_loopback,
)
from airflow_provider_kling.api.client import KlingClient
from airflow_provider_kling.api.errors import AuthenticationFailed, InvalidConnection, KlingError
from airflow_provider_kling.api.models import DEFAULT_MODEL, Render, RenderStatus, TextToVideo
from airflow_provider_kling.api.waiting import Verdict, Watch
from airflow_provider_kling.hooks.asking import Asker
from airflow_provider_kling.hooks.sharing import durations_of, shared_client
from airflow_provider_kling.hooks.telling import Teller

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from airflow_provider_kling.api.client import Transport
    from airflow_provider_kling.hooks.telling import Tell

log = logging.getLogger(__name__)

DEFAULT_REQUESTS_PER_SECOND = 10.0
"""Questions per second and process; the API documents no figure for Kling, sister models allow about 50 a minute."""
_HEARTBEAT = 180.0
_LAST_QUESTION = 15.0
"""Seconds that the last question may take when the deadline has come."""


class KlingHook(BaseHook):
    """Authenticated calls to the Highway API.

    :param kling_conn_id: Airflow connection of type `kling`; default `kling_default`
    :param transport: an httpx transport to send through, for tests; default: the network
    """

    conn_name_attr = "kling_conn_id"
    default_conn_name = "kling_default"
    conn_type = "kling"
    hook_name = "Kling (Highway API)"

    def __init__(self, kling_conn_id: str = default_conn_name, *, transport: Transport | None = None) -> None:
        super().__init__()
        self.kling_conn_id = kling_conn_id
        self._transport = transport

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """What the connection form shows (Airflow 3.1; later versions read the provider's metadata)."""
        from airflow_provider_kling.provider_info import UI_FIELD_BEHAVIOUR

        return {name.replace("-", "_"): value for name, value in UI_FIELD_BEHAVIOUR.items()}

    def account(self) -> Account:
        """Read the connection: base URL and key.

        :raises InvalidConnection: when it is missing or can't be used
        """
        try:
            connection = self.get_connection(self.kling_conn_id)
        except AirflowNotFoundException:
            raise self._missing() from None
        return self._account_of(connection)

    async def aaccount(self) -> Account:
        """The same for an event loop.

        :raises InvalidConnection: when it is missing or can't be used
        """
        if must_block():
            return self.account()
        try:
            connection = await self.aget_connection(self.kling_conn_id)
        except AirflowNotFoundException:
            raise self._missing() from None
        return self._account_of(connection)

    def get_conn(self) -> KlingClient:
        """A blocking client for the connection; use it in a `with` block.

        :raises InvalidConnection: when the connection can't be used
        """
        return KlingClient(self.account(), transport=self._transport)

    def submit(self, request: TextToVideo, *, model: str = DEFAULT_MODEL) -> str:
        """Buy a render with one POST that is never repeated.

        :param request: what to render
        :param model: model slug; default `kling-v3.0-4k-t2v`
        :returns: the task id
        :raises KlingError: one of the outcomes of `api.errors`; its `bought` says whether it was paid
        """
        with self.get_conn() as client:
            return client.submit(request, model=model)

    def get_render(self, task_id: str) -> Render:
        """Ask how a render stands; free.

        :param task_id: the id that submit returned
        :raises KlingError: when there is no usable answer; the render itself is untouched
        """
        with self.get_conn() as client:
            return client.get_render(task_id)

    async def aget_render(self, task_id: str) -> Render:
        """The same for an event loop, through a client that all callers of this loop and connection share.

        :param task_id: the id that submit returned
        :raises KlingError: when there is no usable answer; the render itself is untouched
        """
        async with shared_client(self.kling_conn_id, self.aaccount) as shared:
            return await shared.get_render(task_id)

    async def await_render(
        self,
        *,
        task_id: str,
        submitted_at: float,
        deadline: float,
        like: str | None = None,
        tell: Tell | None = None,
    ) -> Verdict:
        """Ask until the render is over or the deadline has passed: the one poll loop of this package.

        :param task_id: the id that submit returned
        :param submitted_at: epoch seconds of the submit
        :param deadline: epoch seconds at which waiting ends
        :param like: label of the render's kind, to learn from and teach its like; default None: nothing is known of it
        :param tell: told how the render stands, a few times; default None: nobody listens
        """
        durations = durations_of(like)
        watch = Watch(submitted_at=submitted_at, deadline=deadline, started_at=time.time(), durations=durations)
        logbook, teller = _Logbook(task_id, watch), Teller(tell)
        try:
            patience = max(0.0, deadline - time.time())
            async with Asker(self.kling_conn_id, self.aaccount, patience=patience) as asker:
                delay = watch.first_delay(time.time())
                while True:
                    await asyncio.sleep(min(asker.spaced(delay), max(0.0, deadline - time.time())))
                    # a turn in a long queue must not outlast the deadline
                    answer = await asker.ask(task_id, within=max(deadline - time.time(), _LAST_QUESTION))
                    now = time.time()
                    logbook.write(answer, now)
                    metrics.polled(answer if isinstance(answer, KlingError) else None)
                    if verdict := watch.see(answer, now):
                        metrics.render_over(verdict.outcome, seconds=now - submitted_at, like=like)
                        return verdict
                    if isinstance(answer, Render):
                        teller.hear(answer, expected=watch.expected_end(now), now=now)
                    delay = watch.next_delay(now)
        finally:
            durations.forget(watch)

    def test_connection(self) -> tuple[bool, str]:
        """Try the key by asking for a task that does not exist; free."""
        try:
            with self.get_conn() as client:
                client.check_key()
                return True, f"{client.account.base_url} accepts the key."
        except AuthenticationFailed as error:
            return False, f"The API refuses the key: {error.message}"
        except KlingError as error:
            return False, error.message

    def _missing(self) -> InvalidConnection:
        return InvalidConnection(
            f"Connection kling_conn_id={self.kling_conn_id!r} does not exist: create it in Admin > Connections, "
            f"type 'kling', with the API key as password."
        )

    def _account_of(self, connection: Connection) -> Account:
        try:
            extra = connection.extra_dejson
            extra = extra if isinstance(extra, dict) else {}
            return Account(
                api_key=connection.password or "",
                base_url=_base_url(connection),
                timeout=_number(extra, "timeout", DEFAULT_TIMEOUT),
                requests_per_second=_number(extra, "requests_per_second", DEFAULT_REQUESTS_PER_SECOND),
                submits_per_minute=_number(extra, "submits_per_minute", DEFAULT_SUBMITS_PER_MINUTE),
            )
        except InvalidConnection as error:
            raise InvalidConnection(f"Connection kling_conn_id={self.kling_conn_id!r} {error.message}") from None


def _base_url(connection: Connection) -> str:
    """Put together what a form, a URI or JSON may have spread over host, schema and port."""
    host = (connection.host or "").strip()
    if not host:
        return DEFAULT_BASE_URL
    scheme, mark, rest = host.rpartition("://")
    name, slash, path = rest.partition("/")
    bare = re.sub(r":\d*$", "", name)
    if not mark:
        by_schema = connection.schema if connection.schema in {"http", "https"} else None
        scheme = by_schema or ("http" if is_loopback(bare.strip("[]")) else "https")
    if connection.port and name == bare:
        name = f"{bare}:{connection.port}"
    return f"{scheme}://{name}{slash}{path}"


def _number(extra: dict[str, Any], name: str, default: float) -> float:
    value = extra.get(name)
    if value is None or value == "":
        return default
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidConnection(f"has {name}={value!r} in its extra: it must be a number above 0.") from None


class _Logbook:
    """A line when the status changes and one every few minutes, never one per question."""

    def __init__(self, task_id: str, watch: Watch) -> None:
        self._task_id, self._watch = task_id, watch
        self._standing: str | None = None
        self._written_at = 0.0

    def write(self, answer: Render | KlingError, now: float) -> None:
        """Log an answer if it is news.

        :param answer: what was answered
        :param now: epoch seconds
        """
        if isinstance(answer, Render):
            standing = answer.raw_status
            words = f"Render {self._task_id}: {standing}"
            if answer.status is RenderStatus.OTHER:
                words += " (a status this provider does not know: still waiting)"
        else:
            standing = type(answer).__name__
            words = f"Render {self._task_id}: {str(answer).rstrip('.')}; asking again"
        if standing == self._standing and now - self._written_at < _HEARTBEAT:
            return
        self._standing, self._written_at = standing, now
        percent = answer.progress_percent if isinstance(answer, Render) else None
        log.info(
            "%s%s, %.0f s after the submit, %.0f s left",
            words,
            f", {percent:.0f} %" if percent else "",
            now - self._watch.submitted_at,
            max(0.0, self._watch.deadline - now),
        )
