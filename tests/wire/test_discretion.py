"""Keys and signed links stay out of messages and logs, at any level."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from sockets import closed_port

from airflow_provider_kling import fetching
from airflow_provider_kling.api.account import Account
from airflow_provider_kling.api.client import AsyncKlingClient, KlingClient
from airflow_provider_kling.api.errors import KlingError
from airflow_provider_kling.api.models import TextToVideo
from airflow_provider_kling.saving import save
from airflow_provider_kling.simulator import KlingSimulator, faults
from airflow_provider_kling.targets import Target

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = 'sk_hush/"0123456789\\'
"""With characters that JSON writes in more than one way."""
FOX = TextToVideo(prompt="a fox", duration=3)

pytestmark = pytest.mark.kling_simulator(api_key=KEY, render_seconds=1e6, speed=1, short_side=90)


@pytest.fixture
def account(kling_simulator: KlingSimulator) -> Account:
    return Account(KEY, base_url=kling_simulator.base_url, timeout=5)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """All that is logged by us and by the HTTP libraries."""
    for name in ("", "httpx", "httpcore", "airflow_provider_kling"):
        caplog.set_level(logging.DEBUG, logger=name)
    return caplog


def submit(account: Account) -> None:
    with KlingClient(account) as client:
        client.submit(FOX)


def ask(account: Account) -> None:
    with KlingClient(account) as client:
        client.get_render("t")


def check(account: Account) -> None:
    with KlingClient(account) as client:
        client.check_key()


def ask_async(account: Account) -> None:
    async def go() -> None:
        client = AsyncKlingClient(account)
        try:
            await client.get_render("t")
        finally:
            await client.close()

    asyncio.run(go())


def ask_plainly(account: Account) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "httpx_aiohttp", None)
        ask_async(account)


CALLS = [("submit", submit), ("poll", ask), ("poll", ask_async), ("poll", ask_plainly), ("poll", check)]
ECHO = f"Authorization: Bearer {KEY}"
ECHOES: dict[str, faults.Fault] = {
    "own body": faults.ErrorBody(403, "INVALID_API_KEY", ECHO),
    "own body, 200": faults.ErrorBody(200, "INVALID_API_KEY", ECHO, code=403),
    "escaped": faults.RawAnswer(
        401, json.dumps({"reason": "FAILED_TO_AUTH", "message": ECHO}).replace("/", r"\/").replace("u", r"\u0075")
    ),
    "foreign page": faults.RawAnswer(502, f"<html>{ECHO}</html>"),
    "cut in the middle": faults.RawAnswer(502, "x" * 155 + KEY),
    "redirect": faults.Redirect(f"https://elsewhere.invalid/?key={KEY}"),
    "header": faults.RawAnswer(503, "", {"X-Request-Id": KEY, "X-Echo": ECHO}),
    "broken header": faults.RawAnswer(200, "{}", {"Content-Length": KEY}),
}


def shown(error: BaseException | None) -> str:
    """All that a log could show of an exception and its causes."""
    text = ""
    while error:
        text += f"{error} {error!r} {error.args} {vars(error)}\n"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return text


@pytest.mark.parametrize("call", [pytest.param(call, id=call[1].__name__) for call in CALLS])
@pytest.mark.parametrize("echo", ECHOES)
def test_a_key_that_the_service_echoes_is_not_repeated(
    account: Account,
    kling_simulator: KlingSimulator,
    *,
    log: pytest.LogCaptureFixture,
    call: tuple[str, Callable[[Account], None]],
    echo: str,
) -> None:
    stage, run = call
    kling_simulator.inject(ECHOES[echo], on=stage)
    with pytest.raises(KlingError) as caught:
        run(account)
    told = shown(caught.value) + log.text + str([record.args for record in log.records])
    assert "hush" not in told
    assert "0123" not in told


@pytest.mark.parametrize("run", [submit, ask, ask_async, check])
@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}", "https://nothing.invalid"])
def test_nothing_is_given_away_when_nobody_is_there(
    log: pytest.LogCaptureFixture, run: Callable[[Account], None], url: str
) -> None:
    with pytest.raises(KlingError) as caught:
        run(Account(KEY, base_url=url.format(port=closed_port()), timeout=5))
    assert "hush" not in shown(caught.value) + log.text


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("fault", [None, faults.Torn(), faults.ExpiredLink(), faults.Redirect("/files/x?sign=1")])
def test_logs_of_a_whole_render_hold_neither_key_nor_signed_link(
    account: Account,
    kling_simulator: KlingSimulator,
    *,
    log: pytest.LogCaptureFixture,
    tmp_path: Path,
    fault: Any,
) -> None:
    if fault:
        kling_simulator.inject(fault, on="download")
    with KlingClient(account) as client:
        task_id = client.submit(FOX)
        kling_simulator.finish()
        save(lambda: client.get_render(task_id), Target(str(tmp_path / "fox.mp4")))
    told = log.text + str([record.args for record in log.records])
    assert "hush" not in told
    assert "sign" not in told
    assert "expires" not in told


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "_PAUSES", (0.0, 0.0, 0.0))


class TestForeignRequests:
    def test_they_are_still_logged(self, kling_simulator: KlingSimulator, log: pytest.LogCaptureFixture) -> None:
        httpx.get(kling_simulator.base_url)
        assert any(record.name == "httpx" and "HTTP Request: GET" in record.getMessage() for record in log.records)
        assert any(record.name.startswith("httpcore") for record in log.records)

    def test_they_are_still_logged_while_ours_are_on_the_way(
        self, account: Account, kling_simulator: KlingSimulator, log: pytest.LogCaptureFixture
    ) -> None:
        async def both() -> None:
            kling_simulator.inject(faults.Hang(30), on="poll")
            client = AsyncKlingClient(account)
            ours = asyncio.create_task(client.get_render("t"))
            await asyncio.to_thread(kling_simulator.wait_for, lambda it: it.polls == 1, 5)
            async with httpx.AsyncClient() as foreign:
                await foreign.get(kling_simulator.base_url)
            ours.cancel()
            await asyncio.gather(ours, return_exceptions=True)
            await client.close()

        asyncio.run(both())
        lines = [record.getMessage() for record in log.records if record.name == "httpx"]
        assert len(lines) == 1
        assert "task-result" not in lines[0]

    def test_they_are_logged_again_after_ours_failed(
        self, account: Account, kling_simulator: KlingSimulator, log: pytest.LogCaptureFixture
    ) -> None:
        kling_simulator.inject(faults.Drop(), on="poll")
        with pytest.raises(KlingError):
            ask(account)
        httpx.get(kling_simulator.base_url)
        assert len([record for record in log.records if record.name == "httpx"]) == 1
