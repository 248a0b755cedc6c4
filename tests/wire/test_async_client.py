"""What the async client does beyond asking: many at once, on few connections, and leaving in good order."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sockets import listening, read_request

from airflow_provider_kling.api import client as client_module
from airflow_provider_kling.api.account import Account
from airflow_provider_kling.api.client import AsyncKlingClient, KlingClient
from airflow_provider_kling.api.errors import AuthenticationFailed, PollFailed
from airflow_provider_kling.api.models import RenderStatus, TextToVideo
from airflow_provider_kling.simulator import KlingSimulator, faults

if TYPE_CHECKING:
    import socket

pytestmark = [pytest.mark.usefixtures("way"), pytest.mark.kling_simulator(render_seconds=1e6, speed=1, short_side=90)]


@pytest.fixture
def account(kling_simulator: KlingSimulator) -> Account:
    return Account(kling_simulator.api_key, base_url=kling_simulator.base_url, timeout=5)


@pytest.fixture
def task_ids(account: Account) -> list[str]:
    with KlingClient(account) as client:
        return [client.submit(TextToVideo(prompt=f"fox {number}")) for number in range(100)]


def test_it_can_not_buy() -> None:
    assert not hasattr(AsyncKlingClient, "submit")


async def test_a_hundred_questions_at_once_get_their_own_answers(
    account: Account, task_ids: list[str], kling_simulator: KlingSimulator
) -> None:
    kling_simulator.finish(task_ids[42])
    client = AsyncKlingClient(account)
    renders = await asyncio.gather(*(client.get_render(task_id) for task_id in task_ids))
    await client.close()
    assert [render.task_id for render in renders] == task_ids
    finished = [number for number, render in enumerate(renders) if render.status is RenderStatus.SUCCEED]
    assert finished == [42]
    assert {kling_simulator.polls_of(task_id) for task_id in task_ids} == {1}


async def test_one_slow_answer_does_not_hold_up_the_others(
    account: Account, task_ids: list[str], kling_simulator: KlingSimulator
) -> None:
    kling_simulator.inject(faults.Hang(30), on="poll", prompt="fox 99")
    client = AsyncKlingClient(account)
    slow = asyncio.create_task(client.get_render(task_ids[99]))
    await asyncio.to_thread(kling_simulator.wait_for, lambda it: it.polls_of(task_ids[99]), 5)
    assert (await client.get_render(task_ids[0])).status is RenderStatus.QUEUED
    assert not slow.done()
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow
    assert (await client.get_render(task_ids[0])).status is RenderStatus.QUEUED  # a cancelled question breaks nothing
    await client.close()


async def test_a_rotated_key_is_used_from_the_next_question_on(
    account: Account, task_ids: list[str], kling_simulator: KlingSimulator
) -> None:
    client = AsyncKlingClient(account)
    kling_simulator.api_key = "sk_rotated"
    with pytest.raises(AuthenticationFailed):
        await client.get_render(task_ids[0])
    client.account = replace(account, api_key="sk_rotated")
    assert (await client.get_render(task_ids[0])).status is RenderStatus.QUEUED
    await client.close()


async def test_a_restart_of_the_service_breaks_no_client(
    account: Account, task_ids: list[str], kling_simulator: KlingSimulator
) -> None:
    client = AsyncKlingClient(account)
    await client.get_render(task_ids[0])
    await asyncio.to_thread(kling_simulator.stop)
    kling_simulator.start()
    assert (await client.get_render(task_ids[0])).task_id == task_ids[0]
    await client.close()


async def test_a_crowd_shares_few_connections(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "MAX_CONNECTIONS", 4)
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        body = b'{"task": {"status": "TASK_STATUS_QUEUED"}}'
        with contextlib.suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        client = AsyncKlingClient(replace(account, base_url=f"http://127.0.0.1:{port}"))
        for _ in range(3):
            await asyncio.gather(*(client.get_render(f"task-{number}") for number in range(50)))
        await client.close()
    assert connections == 4


async def test_no_cookie_and_no_redirect_is_followed(account: Account) -> None:
    seen = []

    def answer(connection: socket.socket, _: int) -> None:
        while request := read_request(connection):
            seen.append(request)
            head = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
            connection.sendall(head)

    with listening(answer) as server:  # by name, as aiohttp keeps no cookies of bare addresses
        client = AsyncKlingClient(replace(account, base_url=f"http://localhost:{server.port}"))
        for _ in range(2):
            with pytest.raises(PollFailed, match="redirect"):
                await client.get_render("abc")
        await client.close()
    assert len(seen) == 2
    assert all(b"/v3/async/task-result?task_id=abc" in request for request in seen)
    assert not any(b"ookie" in request for request in seen)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhttps://x.example/v?sign=hush hush",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhttps://x.example/v?sign=hush hush\r\n",
        b"HTTP/1.1 200 OK\r\nLocation https://x.example/v?sign=hush hush\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nLocation sign=hush\r\n\r\n",
        b"<html>https://x.example/v?sign=hush hush\r\n\r\n",
    ],
)
async def test_what_no_http_is_is_not_repeated(account: Account, answer: bytes) -> None:
    def send(connection: socket.socket, _: int) -> None:
        read_request(connection)
        connection.sendall(answer)

    with listening(send) as server:
        client = AsyncKlingClient(replace(account, base_url=f"http://127.0.0.1:{server.port}"))
        with pytest.raises(PollFailed) as caught:
            await client.get_render("abc")
        await client.close()
    assert "hush" not in str(caught.value)
