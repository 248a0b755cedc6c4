"""The wire: a sync and an async client made by one builder.

The POST is sent once, whatever happens: no retry, no redirect, and every failure is told apart as "never sent"
(`Unreachable`) or "perhaps bought" (`SubmitUncertain`). Nobody outside of `api` imports httpx.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING, Any, Self, cast
from urllib.parse import urlencode

import httpx

from airflow_provider_kling import __version__
from airflow_provider_kling.api.answers import Answer
from airflow_provider_kling.api.environment import may_use_proxy, ssl_context, usable_environment
from airflow_provider_kling.api.errors import (
    AuthenticationFailed,
    InvalidConnection,
    KlingError,
    PollFailed,
    SubmitUncertain,
    Unreachable,
    classify_poll,
    classify_submit,
)
from airflow_provider_kling.api.lanes import Lanes, opener
from airflow_provider_kling.api.models import DEFAULT_MODEL, Render, RenderStatus, TextToVideo, check_model
from airflow_provider_kling.api.quiet import quiet
from airflow_provider_kling.api.watchdog import watchdog

if TYPE_CHECKING:
    from airflow_provider_kling.api.account import Account

Transport = httpx.BaseTransport
_CONNECT_TIMEOUT = 10.0
_MAX_ANSWER_BYTES = 1 << 18
MAX_CONNECTIONS = 100
"""Of an async client; more questions at once wait for one."""
_MOST_QUESTIONS_KEPT = 5000
_LONGEST_WORDS = 300
_QUOTED = re.compile(r"""\b(bytearray\(|b\\?['"]).*""", re.DOTALL)
"""What the server sent, as parsers quote it: a piece of it may hold the end of a link or of a key."""
_NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
_PROBE_TASK_ID = "00000000-0000-0000-0000-000000000000"


class _Wire:
    """What both clients share: how a request looks and what an answer means."""

    def __init__(self, account: Account) -> None:
        self.account = account

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.account.base_url!r})"

    @property
    def account(self) -> Account:
        """Key, base URL and limits."""
        return self._account

    @account.setter
    def account(self, account: Account) -> None:
        # made once: a question differs from the next by its query alone
        self._headers = httpx.Headers(
            {
                "Authorization": f"Bearer {account.api_key}",
                "Content-Type": "application/json",
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "User-Agent": f"airflow-provider-kling/{__version__}",
            }
        )
        timeout = httpx.Timeout(account.timeout, connect=min(_CONNECT_TIMEOUT, account.timeout))
        self._extensions = {"timeout": timeout.as_dict()}
        try:
            self._async = httpx.URL(f"{account.base_url}/v3/async/")
            _ = self._async.host  # a host name that looks like punycode and is none
        except (httpx.InvalidURL, UnicodeError):
            raise InvalidConnection(f"has base URL {account.base_url!r}: it is no URL") from None
        self._task_result = self._async.join("task-result")
        self._account = account
        self._questions: dict[str, httpx.Request] = {}

    def _submit_request(self, request: TextToVideo, model: str) -> httpx.Request:
        check_model(model)
        return self._request("POST", self._async.join(model), json=request.body())

    def _poll_request(self, task_id: str) -> httpx.Request:
        """The question about a render; kept, as it will be asked a dozen times."""
        if found := self._questions.get(task_id):
            return found
        if len(self._questions) >= _MOST_QUESTIONS_KEPT:
            self._questions.clear()
        try:
            query = urlencode({"task_id": task_id}).encode()
        except UnicodeError:
            raise PollFailed(f"{task_id!r} is no id that the API could know.", task_id=task_id) from None
        question = self._request("GET", self._task_result.copy_with(query=query))
        return self._questions.setdefault(task_id, question)

    def _request(self, method: str, url: httpx.URL, **kwargs: Any) -> httpx.Request:
        return httpx.Request(method, url, headers=self._headers, extensions=self._extensions, **kwargs)

    def _read_submit(self, answer: Answer) -> str:
        error = classify_submit(answer)
        if error:
            raise error
        return str(answer.task_id)

    def _read_render(self, answer: Answer, task_id: str) -> Render:
        error = classify_poll(answer, task_id)
        if error:
            raise error
        render = Render.read(answer.json or {}, task_id=task_id)
        if render.reason is None and render.status is not RenderStatus.OTHER:  # no words of the service's in it
            return render
        reason, status = (answer.words(text) if text else text for text in (render.reason, render.raw_status))
        return render.model_copy(update={"reason": reason and reason[:500], "raw_status": status and status[:100]})

    def _answer(self, response: httpx.Response, body: bytearray) -> Answer:
        return Answer(response.status_code, bytes(body), dict(response.headers), secret=self.account.api_key)

    def _submit_broke(self, error: Exception) -> KlingError:
        what = self._words(error)
        if isinstance(error, _NEVER_SENT):
            return Unreachable(f"{self.account.base_url} can't be reached, the request was never sent ({what})")
        return SubmitUncertain(f"The submit was on its way when the exchange broke off ({what})")

    def _words(self, error: Exception) -> str:
        """What broke, in a line without what the server sent."""
        text = _QUOTED.sub("...", f"{type(error).__name__}: {error}")
        text = Answer(0, secret=self.account.api_key).words(text)
        return text if len(text) <= _LONGEST_WORDS else f"{text[:_LONGEST_WORDS]}..."

    def _poll_broke(self, error: Exception, task_id: str) -> KlingError:
        what = self._words(error)
        return PollFailed(f"Asking for task {task_id} got no answer ({what})", task_id=task_id)


class KlingClient(_Wire):
    """Blocking client, for workers.

    :param account: key, base URL and limits
    :param transport: an httpx transport to send through, for tests; default: the network, with the usual environment
        (HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE)
    """

    def __init__(self, account: Account, *, transport: httpx.BaseTransport | None = None) -> None:
        super().__init__(account)
        with usable_environment():
            trust_env = may_use_proxy(account.base_url)
            self._http = httpx.Client(verify=ssl_context(), transport=transport, trust_env=trust_env)

    def submit(self, request: TextToVideo, *, model: str = DEFAULT_MODEL) -> str:
        """Buy a render: one POST, never repeated.

        :param request: what to render
        :param model: model slug; default `kling-v3.0-4k-t2v`
        :returns: the task id
        :raises KlingError: one of the outcomes of `api.errors`; `bought` on it says whether it was paid
        """
        answer = self._exchange(self._submit_request(request, model))
        if isinstance(answer, Exception):  # whatever broke, after the send began it may have been bought
            raise self._submit_broke(answer)
        return self._read_submit(answer)

    def get_render(self, task_id: str) -> Render:
        """Ask how a render stands; free.

        :param task_id: the id that submit returned
        :raises PollFailed: when there was no usable answer; the render itself is untouched
        :raises AuthenticationFailed: when the key is not accepted
        :raises RateLimited: when the API asks for fewer questions
        """
        answer = self._exchange(self._poll_request(task_id))
        if isinstance(answer, Exception):
            raise self._poll_broke(answer, task_id)
        return self._read_render(answer, task_id)

    def check_key(self) -> None:
        """Ask for a task that does not exist: a bad key is refused, a good one is told "not found"; free.

        :raises AuthenticationFailed: when the key is not accepted
        :raises PollFailed: when the answer is not the service's
        """
        answer = self._exchange(self._poll_request(_PROBE_TASK_ID))
        if isinstance(answer, Exception):
            raise self._poll_broke(answer, _PROBE_TASK_ID)
        refusal = classify_poll(answer, _PROBE_TASK_ID)
        if isinstance(refusal, AuthenticationFailed) or (refusal and not answer.error):
            raise refusal

    def _exchange(self, request: httpx.Request) -> Answer | Exception:
        """The answer, or what broke; returned, so that no exception of ours drags the request and its key along."""
        try:
            with quiet(), watchdog(self._http, 2 * self.account.timeout):
                response = self._http.send(request, stream=True)
                with contextlib.closing(response):
                    body = bytearray()
                    for chunk in response.iter_bytes():
                        _take(body, chunk)
                return self._answer(response, body)
        except Exception as error:  # noqa: BLE001  # a worker must know of anything that breaks here
            return error

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncKlingClient(_Wire):
    """The same for an event loop; it only asks, so a trigger can't buy.

    It sends through bare transports: cookies, redirects and logins, which httpx's client adds, cost a fifth of a
    question and are not wanted here.

    :param account: key, base URL and limits; may be replaced while in use (a rotated key)
    :param transport: as for :class:`KlingClient`
    """

    def __init__(self, account: Account, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        super().__init__(account)
        with usable_environment():
            open_lane = (lambda: transport) if transport else opener(account.base_url, most=MAX_CONNECTIONS)
        self._lanes = Lanes(open_lane, most=MAX_CONNECTIONS)

    async def get_render(self, task_id: str) -> Render:
        """Ask how a render stands; see :meth:`KlingClient.get_render`.

        :param task_id: the id that submit returned
        """
        answer = await self._exchange(self._poll_request(task_id))
        if isinstance(answer, Exception):
            raise self._poll_broke(answer, task_id)
        return self._read_render(answer, task_id)

    async def _exchange(self, request: httpx.Request) -> Answer | Exception:
        try:
            async with self._lanes.take() as lane, asyncio.timeout(2 * self.account.timeout):
                with quiet():
                    response = await lane.handle_async_request(request)
                    stream = cast("httpx.AsyncByteStream", response.stream)  # never unpacked: that would block the loop
                    async with contextlib.aclosing(stream):
                        body = bytearray()
                        async for chunk in stream:
                            _take(body, chunk)
                    return self._answer(response, body)
        except Exception as error:  # noqa: BLE001  # a question that fails never fails a paid render
            return error

    async def close(self) -> None:
        """Close all connections."""
        await self._lanes.close()


def _take(body: bytearray, chunk: bytes) -> None:
    """Add a piece of an answer; an endless one ends here."""
    body += chunk
    if len(body) > _MAX_ANSWER_BYTES:
        raise httpx.ReadError("the answer is longer than any answer of this API")
