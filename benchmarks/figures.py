"""What was noted becomes figures: pure arithmetic."""

from __future__ import annotations

import statistics
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from crowd import Report
    from slow_api import Note


@dataclass(frozen=True)
class Figures:
    """How a crowd fared while it was measured; `nan` where nothing happened.

    :param polls: questions answered
    :param interval: mean seconds until the next about the same render, as planned
    :param real_interval: and as it was
    :param cpu: ms of CPU per poll, the gauges' own included
    :param net_cpu: the same less what the gauges cost by themselves
    :param cpu_per_minutes: seconds of CPU per 1,000 minutes of waiting
    :param on_time: percent of questions that reached the server 1 s, or a tenth of the planned interval, after they
        were due at the latest
    :param within_twice: percent that reached it within twice the planned interval
    :param lag_p50: of the event loop, ms; likewise `lag_p99` and `lag_max`
    :param start_lag: the longest while all began, ms
    :param memory: growth, MB
    """

    polls: int
    interval: float
    real_interval: float
    cpu: float
    net_cpu: float
    cpu_per_minutes: float
    on_time: float
    within_twice: float
    lag_p50: float
    lag_p99: float
    lag_max: float
    start_lag: float
    memory: float


def work_out(report: Report, notes: Iterable[Note], *, renders: int, reply: float) -> Figures:
    """Figures from what both processes noted.

    :param report: of the polling process
    :param notes: of the server
    :param renders: how many were waited for
    :param reply: seconds that the server takes to answer
    """
    span = report.end - report.begin
    asked = defaultdict[str, list[float]](list)
    for at, task_id in notes:
        asked[task_id].append(at)
    polls = sum(report.begin <= at + reply <= report.end for times in asked.values() for at in times)
    net = report.cpu - report.idle_cpu * span
    cuts = [report.lags[int(share * (len(report.lags) - 1))] * 1000 for share in (0.5, 0.99, 1)]
    return Figures(
        polls=polls,
        interval=_mean(plan[2] for plan in report.plans if report.begin <= plan[1] <= report.end),
        real_interval=renders * span / polls if polls else float("nan"),
        cpu=report.cpu / polls * 1000 if polls else float("nan"),
        net_cpu=net / polls * 1000 if polls else float("nan"),
        cpu_per_minutes=report.cpu / (renders * span / 60) * 1000,
        on_time=_percent(_kept(report, asked, [max(1.0, delay / 10) for *_, delay in report.plans])),
        within_twice=_percent(_kept(report, asked, [delay for *_, delay in report.plans])),
        lag_p50=cuts[0],
        lag_p99=cuts[1],
        lag_max=cuts[2],
        start_lag=report.start_lag * 1000,
        memory=report.memory / 1e6,
    )


def _kept(report: Report, asked: dict[str, list[float]], graces: Sequence[float]) -> list[bool]:
    """For each plan that came due while it was measured: was the question there in time?"""
    kept = []
    for (task_id, planned_at, delay), grace in zip(report.plans, graces, strict=True):
        due = planned_at + delay
        if report.begin <= due and due + grace <= report.end:
            kept.append(_next(asked[task_id], planned_at) <= due + grace)
    return kept


def _next(times: list[float], after: float) -> float:
    place = bisect_right(times, after)
    return times[place] if place < len(times) else float("inf")


def busiest_second(times: Sequence[float]) -> int:
    """The most that happened within any one second.

    :param times: seconds, sorted
    """
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= 1:
            first += 1
        most = max(most, last - first + 1)
    return most


def _percent(kept: list[bool]) -> float:
    return _mean(kept) * 100


def _mean(values: Iterable[float]) -> float:
    values = list(values)
    return statistics.mean(values) if values else float("nan")


def spread(values: Sequence[float], digits: int) -> str:
    """Median, least and most, for a table.

    :param values: one of each round
    :param digits: after the point
    """
    median, low, high = (f"{value:.{digits}f}" for value in (statistics.median(values), min(values), max(values)))
    return median if len(values) == 1 else f"{median} ({low} - {high})"
