"""What onlookers are told: a few times in a render's life, and never at its cost."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from airflow_provider_kling.api.models import Render, RenderStatus
from airflow_provider_kling.hooks import telling
from airflow_provider_kling.hooks.telling import Teller

if TYPE_CHECKING:
    from collections.abc import Iterable

QUEUED, PROCESSING = RenderStatus.QUEUED, RenderStatus.PROCESSING


def answer(status: RenderStatus, percent: float | None = None) -> Render:
    return Render(task_id="t", status=status, raw_status=status.value, progress_percent=percent)


@pytest.fixture(autouse=True)
def _no_crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "_LEAST_APART", 0.0)


class Onlooker:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, float | None, float | None]] = []

    async def __call__(self, render: Render, expected: float | None, _: float) -> None:
        self.told.append((render.raw_status.removeprefix("TASK_STATUS_"), render.progress_percent, expected))

    async def hear(self, answers: Iterable[tuple[RenderStatus, float | None, float | None]]) -> None:
        """Answers a minute apart, each with a percentage and an expected end."""
        teller = Teller(self)
        for minute, (status, percent, expected) in enumerate(answers):
            teller.hear(answer(status, percent), expected=expected, now=60.0 * minute)
            await asyncio.sleep(0)


async def test_a_change_of_the_status_is_news() -> None:
    onlooker = Onlooker()
    await onlooker.hear([(QUEUED, None, None), (QUEUED, None, None), (PROCESSING, None, None), (PROCESSING, 1, None)])
    assert onlooker.told == [("QUEUED", None, None), ("PROCESSING", None, None)]


async def test_so_is_each_quarter() -> None:
    onlooker = Onlooker()
    await onlooker.hear([(PROCESSING, percent, None) for percent in range(0, 100, 5)])
    assert [percent for _, percent, _ in onlooker.told] == [0, 25, 50, 75]


async def test_a_percentage_that_goes_back_is_none() -> None:
    onlooker = Onlooker()
    await onlooker.hear([(PROCESSING, percent, None) for percent in (60, 30, 60)])
    assert [percent for _, percent, _ in onlooker.told] == [60]


async def test_so_is_an_expected_end_once_the_last_one_has_passed() -> None:
    onlooker = Onlooker()
    await onlooker.hear([(PROCESSING, None, end) for end in (None, 130.0, 131.0, 190.0, 191.0)])
    assert [end for *_, end in onlooker.told] == [None, 130.0, 190.0]


async def test_never_more_than_a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "_MOST", 3)
    onlooker = Onlooker()
    await onlooker.hear([(QUEUED, None, None), (PROCESSING, None, None)] * 20)
    assert len(onlooker.told) == 3


async def test_in_a_crowd_some_are_put_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "_LEAST_APART", 3600.0)
    monkeypatch.setattr(telling, "_told_at", [float("-inf")])
    first, second = Onlooker(), Onlooker()
    await first.hear([(QUEUED, None, None)])
    await second.hear([(QUEUED, None, None)])
    assert (len(first.told), len(second.told)) == (1, 0)
    monkeypatch.setattr(telling, "_LEAST_APART", 0.0)
    await second.hear([(QUEUED, None, None)])
    assert len(second.told) == 1


async def test_whoever_can_not_be_told_holds_nothing_up() -> None:
    async def break_off(*_: object) -> None:
        raise ConnectionError("Airflow is away")

    for tell in (break_off, None):
        Teller(tell).hear(answer(QUEUED), expected=None, now=0.0)
    await asyncio.gather(*telling._under_way)


async def test_messages_that_hang_leave_the_pool_of_threads_to_others() -> None:
    may_arrive, told = threading.Event(), []

    async def hang(render: Render, *_: object) -> None:
        told.append(render.task_id)
        await asyncio.to_thread(may_arrive.wait, 60)

    for _ in range(50):
        Teller(hang).hear(answer(QUEUED), expected=None, now=0.0)
        await asyncio.sleep(0)
    try:
        async with asyncio.timeout(30):  # looking up a host takes a thread of the same pool
            await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80)
    finally:
        may_arrive.set()
    await asyncio.gather(*telling._under_way)
    assert len(told) == 2
    Teller(hang).hear(answer(QUEUED), expected=None, now=60.0)
    await asyncio.gather(*telling._under_way)
    assert len(told) == 3, "it is told once the others are"


async def test_while_one_message_is_under_way_no_other_is_sent() -> None:
    may_arrive, told = asyncio.Event(), []

    async def slow(render: Render, *_: object) -> None:
        told.append(render.raw_status)
        await may_arrive.wait()

    teller = Teller(slow)
    for status in (QUEUED, PROCESSING):
        teller.hear(answer(status), expected=None, now=0.0)
        await asyncio.sleep(0)
    assert told == [QUEUED.value]
    may_arrive.set()
    await asyncio.gather(*telling._under_way)
    teller.hear(answer(PROCESSING), expected=None, now=60.0)
    await asyncio.gather(*telling._under_way)
    assert told == [QUEUED.value, PROCESSING.value], "it is told with the next answer"
