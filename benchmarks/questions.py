"""How often must a render be asked for, to notice its end as soon as with a question every 15 s?

    python benchmarks/questions.py simulate [--renders 500] [--rounds 20]
    python benchmarks/questions.py live [--renders 60] [--speed 20]

`simulate` plays the schedule of our trigger over lognormal render times (sigma 0.35) in made-up time. `live` plays it
against the simulator, over HTTP and in real time, in which renders run faster.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import json
import logging
import math
import os
import random
import statistics
import time
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from airflow_provider_kling.api.durations import BASE, Durations
from airflow_provider_kling.api.models import Render, RenderStatus, TextToVideo
from airflow_provider_kling.api.waiting import Watch
from airflow_provider_kling.hooks import kling as home_of_the_loop
from airflow_provider_kling.hooks.kling import KlingHook
from airflow_provider_kling.simulator import KlingSimulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIGMA = 0.35
MEDIANS = (60, 240, 900)
PER_MINUTE = 30
DONE = {"status": RenderStatus.SUCCEED, "video_url": "https://videos.invalid/1.mp4"}


@dataclass(frozen=True)
class Tally:
    """What a number of renders took.

    :param questions: per render
    :param delay: seconds from a render's end to the question that saw it, on average
    """

    questions: float
    delay: float


def render_times(median: float, count: int, rng: random.Random) -> list[float]:
    return [median * rng.lognormvariate(0, SIGMA) for _ in range(count)]


def fixed(times: list[float]) -> Tally:
    """A question every 15 s, the first one after 15 s."""
    asked = [math.ceil(took / BASE) for took in times]
    delays = [count * BASE - took for count, took in zip(asked, times, strict=True)]
    return Tally(statistics.mean(asked), statistics.mean(delays))


def ours(times: list[float], *, durations: Durations, rng: random.Random, eta: float | None, began: float = 0) -> Tally:
    """Our schedule, for a campaign of so many renders a minute that one process watches.

    :param times: how long each takes
    :param durations: what the process knows, and learns
    :param rng: source of jitter and of the error of `eta`
    :param eta: spread of the service's `eta` about the truth, as the sigma of a lognormal; None: it says nothing
    :param began: when the campaign begins
    """
    asked, delays, due = 0, [], []
    running = set()
    for number, took in enumerate(times):
        at = began + number * 60 / PER_MINUTE
        watch = Watch(at, at + 1e6, at, durations, _rng=rng)
        heapq.heappush(due, (at, number, watch, at + took))
    while due:
        now, number, watch, ends = heapq.heappop(due)
        if number not in running:
            running.add(number)
            heapq.heappush(due, (now + watch.first_delay(now), number, watch, ends))
            continue
        asked += 1
        if now < ends:
            left = None if eta is None else (ends - now) * rng.lognormvariate(0, eta)
            watch.see(Render(task_id="t", status=RenderStatus.PROCESSING, eta=left), now)
            heapq.heappush(due, (now + watch.next_delay(now), number, watch, ends))
            continue
        watch.see(Render(task_id="t", **DONE), now)
        delays.append(now - ends)
    return Tally(asked / len(times), statistics.mean(delays))


def least(median: float, points: int = 700) -> float:
    """The fewest questions per render by which any schedule notices the end as soon, knowing the distribution exactly.

    Dynamic programming over the ages at which to ask; the price of lateness is searched until the mean delay fits.
    """
    step = median * math.exp(4 * SIGMA) / points
    over = [0.0] + [math.erfc(-math.log(i * step / median) / SIGMA / math.sqrt(2)) / 2 for i in range(1, points + 1)]
    area = [0.0]
    for before, after in pairwise(over):
        area.append(area[-1] + (before + after) / 2 * step)

    def late(i: int, j: int) -> float:
        return area[j] - area[i] - over[i] * (j - i) * step

    def plan(price: float) -> Iterator[int]:
        cost, then = [0.0] * (points + 1), [points] * (points + 1)
        for i in range(points - 1, -1, -1):
            ways = (((1 - over[i]) + price * late(i, j) + cost[j], j) for j in range(i + 1, min(i + 150, points) + 1))
            cost[i], then[i] = min(ways)
        at = 0
        while at < points:
            yield at
            at = then[at]

    def tally(price: float) -> tuple[float, float]:
        stops = [*plan(price), points]
        return (
            sum(1 - over[i] for i in stops[:-1]),
            sum(late(i, j) for i, j in pairwise(stops)),
        )

    low, high = 1e-4, 10.0
    for _ in range(15):
        price = math.sqrt(low * high)
        low, high = (price, high) if tally(price)[1] > BASE / 2 else (low, price)
    return tally(high)[0]


def row(title: str, tallies: list[Tally], yardsticks: list[Tally]) -> None:
    questions, delay = (statistics.mean(getattr(it, name) for it in tallies) for name in ("questions", "delay"))
    reference = statistics.mean(it.questions for it in yardsticks)
    print(f"  {title:44} {reference / questions:5.2f} x fewer   {questions:6.2f} questions   {delay:5.2f} s late")


def campaign(median: float, renders: int, rng: random.Random, *, known: int, eta: float | None) -> tuple[Tally, Tally]:
    durations = Durations()
    if known:
        ours(render_times(median, known, rng), durations=durations, rng=rng, eta=eta)
    times = render_times(median, renders, rng)
    return ours(times, durations=durations, rng=rng, eta=eta, began=1e5), fixed(times)


def simulate(options: argparse.Namespace) -> None:
    """Lognormal render times in made-up time."""
    rng = random.Random(options.seed)
    print(f"Campaigns of {options.renders} renders, {PER_MINUTE} a minute, against a question every {BASE:g} s\n")
    for median in MEDIANS:
        run: Callable[..., tuple[Tally, Tally]] = partial(campaign, median, options.renders, rng)
        yardstick = fixed(render_times(median, 20_000, rng))
        print(f"median {median} s: every 15 s takes {yardstick.questions:.2f} questions, {yardstick.delay:.2f} s late")
        bound = least(median)
        print(f"  {'no schedule can do better without an eta than':44} {yardstick.questions / bound:5.2f} x fewer")
        for title, known, eta in (
            ("64 renders seen, no eta", 64, None),
            ("none seen, no eta", 0, None),
            ("64 renders seen, eta within some 20 %", 64, 0.2),
            ("none seen, eta within some 20 %", 0, 0.2),
        ):
            pairs = [run(known=known, eta=eta) for _ in range(options.rounds)]
            row(title, [mine for mine, _ in pairs], [other for _, other in pairs])
        alone = [campaign(median, 1, rng, known=0, eta=None) for _ in range(300 * options.rounds)]
        row("the first render of a process, alone, no eta", [mine for mine, _ in alone], [other for _, other in alone])
        print()


class FastClock:
    """The clock of the poll loop: seconds pass faster.

    :param speed: of its seconds per second on the wall
    """

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._began = time.time()

    def time(self) -> float:
        return self._began + (time.time() - self._began) * self._speed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._speed)


async def one_live(clock: FastClock, simulator: KlingSimulator, number: int, took: float) -> tuple[int, float]:
    """Buy one, end it after some seconds, and say how often it was asked for and how late that was seen."""
    await clock.sleep(number * 60 / PER_MINUTE)
    hook = KlingHook()
    task_id = await asyncio.to_thread(hook.submit, TextToVideo(prompt=f"render {number}"))
    now = clock.time()
    waiting = asyncio.create_task(
        hook.await_render(task_id=task_id, submitted_at=now, deadline=now + 1e5, like="benchmark/5s")
    )
    await clock.sleep(took)
    simulator.finish(task_id)
    ended = clock.time()
    await waiting
    return simulator.polls_of(task_id), clock.time() - ended


async def all_live(options: argparse.Namespace, simulator: KlingSimulator) -> None:
    clock, rng = FastClock(options.speed), random.Random(options.seed)
    home_of_the_loop.time = home_of_the_loop.asyncio = clock  # type: ignore[assignment,attr-defined]
    for title, renders in (("none seen, no eta", options.renders), ("those seen, no eta", options.renders)):
        times = render_times(options.median, renders, rng)
        tallies = await asyncio.gather(*(one_live(clock, simulator, at, took) for at, took in enumerate(times)))
        mine = Tally(statistics.mean(asked for asked, _ in tallies), statistics.mean(late for _, late in tallies))
        row(title, [mine], [fixed(times)])


def live(options: argparse.Namespace) -> None:
    """The same loop over HTTP against the simulator."""
    logging.disable(logging.INFO)
    with KlingSimulator(short_side=90) as simulator:
        simulator.hold()
        connection = json.loads(simulator.connection_json) | {"extra": {"requests_per_second": 1000}}
        os.environ["AIRFLOW_CONN_KLING_DEFAULT"] = json.dumps(connection)
        print(f"{options.renders} renders, median {options.median:g} s, {options.speed:g} times as fast\n")
        asyncio.run(all_live(options, simulator))


def main() -> None:
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    topics = parser.add_subparsers(required=True)
    for topic in (simulate, live):
        its = topics.add_parser(topic.__name__, help=topic.__doc__)
        its.set_defaults(topic=topic)
        its.add_argument("--renders", type=int, default=500 if topic is simulate else 100)
        its.add_argument("--seed", type=int, default=1)
        if topic is simulate:
            its.add_argument("--rounds", type=int, default=20)
        else:
            its.add_argument("--median", type=float, default=240)
            its.add_argument("--speed", type=float, default=20)
    options = parser.parse_args()
    options.topic(options)


if __name__ == "__main__":
    main()
