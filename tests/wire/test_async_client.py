"""What the async client does beyond asking: many at once, on few connections, and leaving in good order."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from airflow_provider_kling.api.account import Account
from airflow_provider_kling.api.client import AsyncKlingClient, KlingClient
from airflow_provider_kling.api.errors import AuthenticationFailed
from airflow_provider_kling.api.models import RenderStatus, TextToVideo
from airflow_provider_kling.simulator import KlingSimulator, faults

pytestmark = pytest.mark.kling_simulator(render_seconds=1e6, speed=1, short_side=90)


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
