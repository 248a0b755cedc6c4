"""Many renders waited for at once, in a fresh process on a core of its own, which reports how it fared."""

from __future__ import annotations

import asyncio
import cProfile
import multiprocessing
import os
import pstats
import tempfile
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gauges import LagGauge, MemoryGauge, Plan, Planner
from pollers import POLLERS, Site

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from multiprocessing.connection import Connection
    from pathlib import Path

_AT_A_TIME = 50
_LONGEST_START = 180.0
_WARM_UP = 2.0


@dataclass(frozen=True)
class Crowd:
    """Who waits, and for how long.

    :param poller: a name in `POLLERS`
    :param renders: how many wait
    :param site: where they ask
    :param core: the CPU core to stay on
    :param seconds: how long to measure once all have asked; less when all renders end
    :param profile: a file for the profile of that time; default None
    """

    poller: str
    renders: int
    site: Site
    core: int
    seconds: float
    profile: Path | None = None


@dataclass
class Report:
    """What the process read off itself; times are of time.monotonic, spans in seconds, memory in bytes.

    :param began: when the first began to wait
    :param begin: when measuring began: all have been answered once, and one interval is over
    :param end: when measuring ended
    :param cpu: CPU time between `begin` and `end`, user and system
    :param idle_cpu: CPU time per second before anybody waited: what the gauges alone cost
    :param lags: of the event loop between `begin` and `end`, sorted
    :param start_lag: the longest before that
    :param memory: growth since the first began to wait
    :param plans: what the pollers had planned
    :param connects: when connections were opened
    :param ended: when each wait ended
    :param errors: what those said that broke
    """

    began: float
    begin: float
    end: float
    cpu: float
    idle_cpu: float
    lags: list[float]
    start_lag: float
    memory: int
    plans: list[Plan]
    connects: list[float]
    ended: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class Watched:
    """The process; use it in a `with` block.

    :param crowd: who waits in it
    """

    def __init__(self, crowd: Crowd) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, self._theirs = context.Pipe()
        self._process = context.Process(target=_watch, args=(crowd, self._theirs), daemon=True)

    def __enter__(self) -> Watched:
        """Returns when the first is about to wait."""
        self._process.start()
        self._theirs.close()
        self._pipe.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()

    def report(self) -> Report:
        """Wait for the end."""
        report: Report = self._pipe.recv()
        return report


def _watch(crowd: Crowd, pipe: Connection) -> None:
    os.sched_setaffinity(0, {crowd.core})
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]
    # Airflow logs at INFO as in a triggerer, so whoever logs every question pays for it, but nobody reads it here
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    with tempfile.TemporaryDirectory() as home:
        os.environ["AIRFLOW_HOME"] = home
        asyncio.run(_live(crowd, pipe))


async def _live(crowd: Crowd, pipe: Connection) -> None:
    planner, connects = Planner(), _noted_connects()
    async with POLLERS[crowd.poller](crowd.site, planner) as wait, LagGauge() as gauge:
        await _warm_up(wait)
        idle_cpu = await _idle_cpu()
        planner.plans.clear()
        connects.clear()
        memory, began, ended = MemoryGauge(), time.monotonic(), list[float]()
        pipe.send("about to wait")
        tasks = await _start(crowd, wait, ended)
        await _settle(crowd, planner, began)
        begin, cpu, profile = time.monotonic(), time.process_time(), cProfile.Profile()
        if crowd.profile:
            profile.enable()
        await asyncio.wait(tasks, timeout=crowd.seconds)
        profile.disable()
        end, cpu = time.monotonic(), time.process_time() - cpu
        report = Report(
            began=began,
            begin=begin,
            end=end,
            cpu=cpu,
            idle_cpu=idle_cpu,
            lags=gauge.between(begin, end),
            start_lag=gauge.between(began, begin)[-1],
            memory=memory.growth(),
            plans=planner.plans,
            connects=connects,
            ended=ended,
            errors=[repr(task.exception()) for task in tasks if task.done() and task.exception()],
        )
        if crowd.profile:
            _write(profile, crowd.profile)
        pipe.send(report)
        await asyncio.to_thread(pipe.recv)  # until killed: taking it all down is not measured


async def _warm_up(wait: Callable[[str], Awaitable[None]]) -> None:
    """Import and build what comes with the first question."""
    task = asyncio.ensure_future(wait(_task_id(0)))
    await asyncio.wait([task], timeout=_WARM_UP)
    task.cancel()
    await asyncio.wait([task])


async def _idle_cpu() -> float:
    began, cpu = time.monotonic(), time.process_time()
    await asyncio.sleep(_WARM_UP)
    return (time.process_time() - cpu) / (time.monotonic() - began)


async def _start(crowd: Crowd, wait: Callable[[str], Awaitable[None]], ended: list[float]) -> list[asyncio.Task[None]]:
    """Ours all at once, as a triggerer does that takes over; the others spread over an interval, not to ask in step."""
    tasks = []
    began, pause = time.monotonic(), 0.0 if crowd.poller == "ours" else crowd.site.interval / crowd.renders
    for number in range(1, crowd.renders + 1):
        task_id = _task_id(number)
        task = asyncio.ensure_future(wait(task_id))
        task.set_name(task_id)
        task.add_done_callback(lambda _: ended.append(time.monotonic()))
        tasks.append(task)
        if pause:
            await asyncio.sleep(max(0.0, began + number * pause - time.monotonic()))
        elif not number % _AT_A_TIME:
            await asyncio.sleep(0)
    return tasks


async def _settle(crowd: Crowd, planner: Planner, began: float) -> None:
    """Until all have been answered and have made a plan, and one interval is over at least."""
    while (now := time.monotonic()) < began + _LONGEST_START:
        if now >= began + crowd.site.interval and len({name for name, *_ in planner.plans}) >= crowd.renders:
            return
        await asyncio.sleep(0.5)


def _noted_connects() -> list[float]:
    """When this event loop opens a connection."""
    loop, times = asyncio.get_running_loop(), list[float]()
    connect = loop.sock_connect  # what every way of opening one comes down to

    def noted(*args: object, **kwargs: object) -> object:
        times.append(time.monotonic())
        return connect(*args, **kwargs)

    loop.sock_connect = noted
    return times


def _task_id(number: int) -> str:
    return f"{number:08d}-bb29-47d9-9327-77e70982bd43"


def _write(profile: cProfile.Profile, path: Path) -> None:
    with path.open("w") as file:
        stats = pstats.Stats(profile, stream=file)
        stats.sort_stats("tottime").print_stats(40)
        stats.sort_stats("cumtime").print_stats(60)
