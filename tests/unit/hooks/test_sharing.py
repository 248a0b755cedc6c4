"""One client per event loop and connection, one pace for all its users, and a key that may change."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from airflow_provider_kling.api import errors, pacing
from airflow_provider_kling.api.client import AsyncKlingClient
from airflow_provider_kling.api.models import TextToVideo
from airflow_provider_kling.api.waiting import Outcome
from airflow_provider_kling.hooks import kling, sharing
from airflow_provider_kling.hooks.asking import Asker
from airflow_provider_kling.hooks.kling import KlingHook
from airflow_provider_kling.hooks.sharing import shared_client
from airflow_provider_kling.simulator import KlingSimulator, faults

pytestmark = pytest.mark.kling_simulator(speed=1e6, short_side=90)
VARIABLE = "AIRFLOW_CONN_KLING_DEFAULT"


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """ "open" and "close" of every async client, in order."""
    events: list[str] = []
    opening, closing = AsyncKlingClient.__init__, AsyncKlingClient.close

    def init(self: AsyncKlingClient, *args: Any, **kwargs: Any) -> None:
        events.append("open")
        opening(self, *args, **kwargs)

    async def close(self: AsyncKlingClient) -> None:
        events.append("close")
        await closing(self)

    monkeypatch.setattr(AsyncKlingClient, "__init__", init)
    monkeypatch.setattr(AsyncKlingClient, "close", close)
    return events


def _bought() -> str:
    return KlingHook().submit(TextToVideo(prompt="a fox"))


async def _await(task_id: str, patience: float = 30) -> Any:
    now = time.time()
    return await KlingHook().await_render(task_id=task_id, submitted_at=now, deadline=now + patience)


def _use(simulator: KlingSimulator, monkeypatch: pytest.MonkeyPatch, **extra: Any) -> None:
    monkeypatch.setenv(VARIABLE, json.dumps({**json.loads(simulator.connection_json), "extra": extra}))


async def test_many_at_once_share_one_client_which_the_last_one_closes(
    kling_simulator: KlingSimulator, impatient: None, clients: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _use(kling_simulator, monkeypatch, requests_per_second=10_000)
    kling_simulator.hold()
    task_id = await asyncio.to_thread(_bought)
    crowd = asyncio.gather(*(_await(task_id) for _ in range(50)))
    await asyncio.to_thread(
        kling_simulator.wait_for, lambda _: [one._users for one in sharing._places.values()] == [50]
    )
    kling_simulator.finish()
    verdicts = await crowd
    assert {verdict.outcome for verdict in verdicts} == {Outcome.SUCCEEDED}
    assert clients == ["open", "close"]
    assert sharing._places == {}


async def test_one_question_alone_leaves_nothing_open(kling_simulator: KlingSimulator, clients: list[str]) -> None:
    task_id = await asyncio.to_thread(_bought)
    assert (await KlingHook().aget_render(task_id)).task_id == task_id
    assert clients == ["open", "close"]


async def test_two_connections_do_not_share(
    kling_simulator: KlingSimulator, clients: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", kling_simulator.connection_json)
    one, other = KlingHook(), KlingHook("other")
    async with shared_client("kling_default", one.aaccount) as a, shared_client("other", other.aaccount) as b:
        assert a is not b
        async with shared_client("other", other.aaccount) as c:
            assert c is b
        assert clients == ["open", "open"]
    assert clients == ["open", "open", "close", "close"]


def test_two_event_loops_do_not_share(kling_simulator: KlingSimulator, clients: list[str]) -> None:
    task_id = _bought()
    for _ in range(2):
        asyncio.run(KlingHook().aget_render(task_id))
    assert clients == ["open", "close", "open", "close"]


async def test_a_cancelled_wait_gives_its_client_back(
    kling_simulator: KlingSimulator, impatient: None, clients: list[str]
) -> None:
    kling_simulator.hold()
    task_id = await asyncio.to_thread(_bought)
    waiting = asyncio.create_task(_await(task_id))
    await asyncio.to_thread(kling_simulator.wait_for, lambda simulator: simulator.polls > 2)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert clients == ["open", "close"]
    assert sharing._places == {}


async def test_a_rotated_key_is_read_again_and_used_for_the_next_question(
    kling_simulator: KlingSimulator, impatient: None, clients: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kling_simulator.hold()
    task_id = await asyncio.to_thread(_bought)
    waiting = asyncio.create_task(_await(task_id))
    await asyncio.to_thread(kling_simulator.wait_for, lambda simulator: simulator.polls > 2)
    monkeypatch.setattr(sharing, "_REFRESH_AT_MOST_EVERY", 0.0)
    kling_simulator.api_key = "sk_rotated"
    monkeypatch.setenv(VARIABLE, kling_simulator.connection_json)
    kling_simulator.finish()
    assert (await waiting).outcome is Outcome.SUCCEEDED
    refused = [request for request in kling_simulator.requests if request.answered == 401]
    assert len(refused) <= 1, "one refusal at most, then the new key"
    assert clients == ["open", "close"]


async def test_a_key_that_stays_wrong_ends_the_wait(kling_simulator: KlingSimulator, impatient: None) -> None:
    task_id = await asyncio.to_thread(_bought)
    kling_simulator.api_key = "sk_rotated"
    verdict = await _await(task_id)
    assert verdict.outcome is Outcome.AUTHENTICATION_FAILED
    assert verdict.reason == "FAILED_TO_AUTH"
    assert kling_simulator.polls == 5


async def test_a_connection_that_vanishes_keeps_the_old_key(
    kling_simulator: KlingSimulator, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = await asyncio.to_thread(_bought)
    kling_simulator.inject(faults.ErrorBody(401, "FAILED_TO_AUTH"), on="poll", times=2)
    async with shared_client("kling_default", KlingHook().aaccount):
        monkeypatch.delenv(VARIABLE)
        assert (await _await(task_id)).outcome is Outcome.SUCCEEDED


async def test_a_missing_connection_is_asked_for_again_until_the_deadline(
    kling_simulator: KlingSimulator, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE)
    verdict = await _await("abc", patience=0.2)
    assert verdict.outcome is Outcome.TIMED_OUT
    assert "does not exist" in (verdict.reason or "")
    assert kling_simulator.requests == []


async def test_where_airflow_can_only_block_the_connection_is_read_blockingly(
    kling_simulator: KlingSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.execution_time import task_runner

    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", object(), raising=False)
    monkeypatch.setattr(KlingHook, "aget_connection", None)
    assert (await KlingHook().aaccount()).api_key == kling_simulator.api_key


async def test_a_crowd_that_is_refused_reads_the_connection_once(kling_simulator: KlingSimulator) -> None:
    reads = 0

    async def read() -> Any:
        nonlocal reads
        reads += 1
        await asyncio.sleep(0)
        return await KlingHook().aaccount()

    async with shared_client("kling_default", read) as shared:
        await asyncio.gather(*(shared.refresh() for _ in range(20)))
    assert reads == 2  # one to open, one for all


async def test_a_crowd_that_starts_together_reads_the_connection_once(
    kling_simulator: KlingSimulator, clients: list[str]
) -> None:
    reads = 0
    go = asyncio.Event()

    async def read() -> Any:
        nonlocal reads
        reads += 1
        await go.wait()
        return await KlingHook().aaccount()

    async def borrow() -> None:
        async with shared_client("kling_default", read):
            await asyncio.sleep(0)

    crowd = [asyncio.create_task(borrow()) for _ in range(500)]
    await asyncio.sleep(0)
    crowd[0].cancel()  # who reads for all gives up: the next one does
    go.set()
    await asyncio.gather(*crowd, return_exceptions=True)
    assert reads == 2
    assert clients.count("open") == clients.count("close")
    assert sharing._places == {}


async def test_a_connection_that_can_not_be_read_fails_the_whole_crowd_by_one_reading(clients: list[str]) -> None:
    reads = 0

    async def read() -> Any:
        nonlocal reads
        reads += 1
        await asyncio.sleep(0)
        raise errors.InvalidConnection("is missing")

    async def borrow() -> None:
        async with shared_client("kling_default", read):
            pytest.fail("opened what can't be")

    ends = await asyncio.gather(*(borrow() for _ in range(50)), return_exceptions=True)
    assert {type(end) for end in ends} == {errors.InvalidConnection}
    assert reads == 1
    assert sharing._places == {}


async def test_a_connection_that_moves_to_another_host_gets_another_client(
    kling_simulator: KlingSimulator, clients: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = await asyncio.to_thread(_bought)
    async with shared_client("kling_default", KlingHook().aaccount) as shared:
        with KlingSimulator(api_key="sk_elsewhere") as elsewhere:
            _use(elsewhere, monkeypatch, requests_per_second=3)
            await shared.refresh()
            with pytest.raises(errors.RenderNotFound):
                await shared.get_render(task_id)
            assert elsewhere.polls == 1
            assert shared.pace.cap == 3
    assert clients == ["open", "open", "close", "close"]


async def test_a_key_is_never_shown_to_the_host_that_a_connection_left(
    kling_simulator: KlingSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with shared_client("kling_default", KlingHook().aaccount) as shared:
        with KlingSimulator(api_key="sk_elsewhere") as elsewhere:
            _use(elsewhere, monkeypatch)
            await shared.refresh()
            with pytest.raises(errors.RenderNotFound):
                await shared.get_render("abc")
    assert kling_simulator.requests == []


def test_renders_of_one_kind_learn_from_each_other_and_others_do_not() -> None:
    assert sharing.durations_of("kling/5s") is sharing.durations_of("kling/5s")
    assert sharing.durations_of("kling/5s") is not sharing.durations_of("kling/15s")
    assert sharing.durations_of(None) is not sharing.durations_of(None)


def test_of_many_kinds_the_ones_used_last_are_remembered() -> None:
    first = sharing.durations_of("kling/0s")
    for number in range(sharing._KINDS * 2):
        sharing.durations_of(f"kling/{number}s")
        assert sharing.durations_of("kling/0s") is first
    assert len(sharing._learned) == sharing._KINDS


async def test_an_unusable_connection_opens_nothing(clients: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, json.dumps({"conn_type": "kling"}))
    with pytest.raises(errors.InvalidConnection):
        await KlingHook().aget_render("abc")
    assert clients == []
    assert sharing._places == {}


async def test_requests_per_second_is_a_common_pace(
    kling_simulator: KlingSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use(kling_simulator, monkeypatch, requests_per_second=40)
    task_id = await asyncio.to_thread(_bought)
    async with shared_client("kling_default", KlingHook().aaccount) as shared:
        begun = time.monotonic()
        await asyncio.gather(*(shared.get_render(task_id) for _ in range(9)))
        took = time.monotonic() - begun
    assert took >= 8 / 40
    assert kling_simulator.polls == 9


async def test_a_429_told_to_one_slows_all(kling_simulator: KlingSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    _use(kling_simulator, monkeypatch, requests_per_second=1000)
    task_id = _bought()
    monkeypatch.setattr(pacing, "_PAUSE", 0.5)
    async with shared_client("kling_default", KlingHook().aaccount) as shared:
        kling_simulator.inject(faults.RateLimited(), on="poll")
        with pytest.raises(errors.RateLimited):
            await shared.get_render(task_id)
        began = time.monotonic()
        await asyncio.gather(*(shared.get_render(task_id) for _ in range(5)))
        assert time.monotonic() - began >= 0.5


async def test_who_gives_up_waiting_leaves_no_gap(
    kling_simulator: KlingSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use(kling_simulator, monkeypatch, requests_per_second=20)
    task_id = _bought()
    async with shared_client("kling_default", KlingHook().aaccount) as shared:
        crowd = [asyncio.create_task(shared.get_render(task_id)) for _ in range(200)]
        await asyncio.sleep(0)
        for task in crowd:
            task.cancel()
        await asyncio.gather(*crowd, return_exceptions=True)
        began = time.monotonic()
        await shared.get_render(task_id)
        assert time.monotonic() - began < 5  # two hundred turns would take ten


async def _never() -> Any:
    await asyncio.Event().wait()


async def test_who_is_cancelled_while_the_connection_is_read_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KlingHook, "aaccount", lambda _: _never())
    crowd = [asyncio.create_task(_await("abc")) for _ in range(50)]
    await asyncio.sleep(0)
    assert [one._users for one in sharing._places.values()] == [50]
    for task in crowd:
        task.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)
    assert not sharing._places


@pytest.mark.timeout(20)
async def test_a_connection_that_can_not_be_read_for_ever_holds_up_nobody_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(KlingHook, "aaccount", lambda _: _never())
    monkeypatch.setattr(kling, "_LAST_QUESTION", 0.1)
    assert (await _await("abc", patience=0.1)).outcome is Outcome.TIMED_OUT


async def test_nobody_who_waits_for_a_connection_has_used_its_turn(
    kling_simulator: KlingSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use(kling_simulator, monkeypatch, requests_per_second=1e6)
    monkeypatch.setattr(sharing, "MAX_CONNECTIONS", 2)
    left: list[float] = []
    monkeypatch.setattr(pacing.Pace, "leave", lambda _, now: left.append(now))
    release = asyncio.Event()
    monkeypatch.setattr(AsyncKlingClient, "get_render", lambda *_: release.wait())
    async with shared_client("kling_default", KlingHook().aaccount) as shared:
        crowd = [asyncio.create_task(shared.get_render("abc")) for _ in range(10)]
        for _ in range(50):
            await asyncio.sleep(0)
        assert len(left) == 2
        release.set()
        await asyncio.gather(*crowd)


async def test_a_trouble_that_is_kept_holds_no_answer(kling_simulator: KlingSimulator) -> None:
    async with Asker("kling_default", KlingHook().aaccount, patience=5) as asker:
        trouble = await asker.ask("abc", within=5)
    assert isinstance(trouble, errors.RenderNotFound)
    assert trouble.__traceback__ is None
