"""What do waiting renders cost a triggerer, beside what people use or write instead?

    python benchmarks/polling.py peers [--renders 1000] [--interval 15] [--seconds 60] [--reply 0.2] [--rounds 3]
    python benchmarks/polling.py growth [--renders 100 1000 10000] [--cap 400]
    python benchmarks/polling.py outage [--kind 429] [--retry-after 30] [--renders 1000] [--seconds 120] [--cap 10]

Two processes: one polls on a core of its own, the other is the service and answers after `--reply` seconds, without TLS
(which would cost most those who connect anew at each question). Real time: nothing is sped up.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from crowd import Crowd, Report, Watched
from figures import Figures, busiest_second, spread, work_out
from pollers import POLLERS, Site
from slow_api import Mood, SlowApi

ROWS = {  # title, attribute, digits after the point
    "CPU per poll, ms": ("cpu", 2),
    "the same, less the gauges' own": ("net_cpu", 2),
    "longest lag at the start, ms": ("start_lag", 0),
    "lag, p50, ms": ("lag_p50", 1),
    "lag, p99, ms": ("lag_p99", 1),
    "lag, longest, ms": ("lag_max", 0),
    "memory growth, MB": ("memory", 1),
    "polls": ("polls", 0),
    "mean interval as planned, s": ("interval", 1),
    "mean interval as it was, s": ("real_interval", 1),
    "polls on time, %": ("on_time", 1),
    "polls within twice the interval, %": ("within_twice", 1),
    "CPU per 1,000 render-minutes, s": ("cpu_per_minutes", 2),
}
COMPARED = [
    title for title, (name, _) in ROWS.items() if name.startswith(("cpu", "net_cpu", "start_lag", "lag_p", "memory"))
]


def cores() -> tuple[int, int]:
    """One for the poller, one for the service (the same where there is one only)."""
    mine = sorted(os.sched_getaffinity(0))
    return mine[0], mine[-1]


def measure(api: SlowApi, crowd: Crowd, reply: float) -> Figures:
    """A crowd of renders that never finish."""
    api.notes()  # of the one before
    with Watched(crowd) as watched:
        report = watched.report()
    complain(report)
    figures = work_out(report, api.notes(), renders=crowd.renders, reply=reply)
    print(f"... {crowd.poller}, {crowd.renders:,} renders: {figures.cpu:.2f} ms per poll", file=sys.stderr)
    return figures


def complain(report: Report) -> None:
    """Figures of a poller that broke are worth nothing."""
    if report.errors:
        print(f"{len(report.errors)} waits broke, the first with {report.errors[0]}", flush=True)


def table(head: str, names: list[str], rows: dict[str, list[str]]) -> None:
    """Print it."""
    widths = [max(len(name), *(len(row[place]) for row in rows.values())) for place, name in enumerate(names)]
    for title, cells in {head: names, **rows}.items():
        print(f"{title:36}" + "".join(f"  {cell:>{width}}" for cell, width in zip(cells, widths, strict=True)))
    print(flush=True)


def cell(title: str, rounds: list[Figures]) -> str:
    """One figure of one poller."""
    name, digits = ROWS[title]
    return spread([getattr(figures, name) for figures in rounds], digits)


def ratio(title: str, ours: list[Figures], theirs: list[Figures]) -> str:
    """One figure of ours divided by theirs, round by round."""
    pairs = [(getattr(x, ROWS[title][0]), getattr(y, ROWS[title][0])) for x, y in zip(ours, theirs, strict=True)]
    return spread([mine / other if other else float("nan") for mine, other in pairs], 2)


def peers(options: argparse.Namespace) -> None:
    """Ours and three others, one after the other, in several rounds."""
    names, (mine, theirs) = options.pollers, cores()
    found: dict[str, list[Figures]] = {name: [] for name in names}
    with SlowApi(reply=options.reply, core=theirs) as api:
        site = Site(api.port, options.interval, cap=options.cap)
        for number in range(options.rounds):
            for name in names[number % len(names) :] + names[: number % len(names)]:
                crowd = Crowd(name, options.renders, site, mine, options.seconds)
                found[name].append(measure(api, crowd, options.reply))
    print(
        f"{options.renders} renders, replies after {options.reply:g} s, {options.rounds} rounds: median (min - max)\n"
    )
    others = [name for name in names if name != "ours"] if "ours" in names else []
    ratios = {title: [ratio(title, found["ours"], found[name]) for name in others] for title in COMPARED}
    table("ours divided by theirs", others, ratios)
    table("", names, {title: [cell(title, found[name]) for name in names] for title in ROWS})


def growth(options: argparse.Namespace) -> None:
    """Ours, with more and more renders."""
    mine, theirs = cores()
    found: list[Figures] = []
    with SlowApi(reply=options.reply, core=theirs) as api:
        for renders in options.renders:
            site = Site(api.port, options.interval, cap=options.cap)
            crowd = Crowd("ours", renders, site, mine, options.seconds, options.profile)
            found.append(measure(api, crowd, options.reply))
    print(f"Ours, at most {options.cap:g} requests per second, replies after {options.reply:g} s\n")
    names = [f"{renders:,}" for renders in options.renders]
    table("renders", names, {title: [cell(title, [one]) for one in found] for title in ROWS})


def outage(options: argparse.Namespace) -> None:
    """The service turns everybody away for a while; then all renders are finished."""
    mine, theirs = cores()
    at_best = options.renders / options.cap
    patience = options.before + options.seconds + at_best + 900
    with SlowApi(reply=options.reply, core=theirs) as api:
        crowd = Crowd("ours", options.renders, Site(api.port, 0, cap=options.cap), mine, patience)
        with Watched(crowd) as watched:
            time.sleep(options.before)
            api.behave(Mood(options.kind), retry_after=options.retry_after)
            began = time.monotonic()
            time.sleep(options.seconds)
            ended = time.monotonic()
            api.behave(Mood.FINISHED)
            report = watched.report()
        notes = api.notes()
    complain(report)
    # of a service that is dead, the attempts to connect are all there is to see
    asked = [at for at, _ in notes] if options.kind == "429" else sorted(report.connects)
    during = [at for at in asked if began <= at <= ended]
    after = [at for at in report.ended if at > ended]
    kind = options.kind + (f" with Retry-After: {options.retry_after}" if options.retry_after is not None else "")
    print(f"{options.renders} renders, {kind} for {options.seconds:g} s, at most {options.cap:g} requests per second\n")
    print(f"questions meanwhile          {len(during) / options.seconds:.1f} per second, {len(during)} in all")
    print(f"in the busiest second        {busiest_second(during)}")
    print(f"finished afterwards          {len(after)} of {options.renders}")
    took = max(after, default=float("nan")) - ended
    print(f"until the last had finished  {took:.0f} s, {took / at_best:.2f} of the {at_best:.0f} s that the cap allows")
    print(f"questions for that           {sum(at > ended for at, _ in notes)}")
    print(f"gave up before               {len(report.ended) - len(after)}\n", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    topics = parser.add_subparsers(required=True)
    for topic, seconds, cap in ((peers, 60, 1000), (growth, 60, 1000), (outage, 120, 10)):
        its = topics.add_parser(topic.__name__, help=topic.__doc__)
        its.set_defaults(topic=topic)
        its.add_argument("--seconds", type=float, default=seconds, help="to measure, or of trouble")
        its.add_argument("--reply", type=float, default=0.2, help="seconds until the service answers")
        its.add_argument("--cap", type=float, default=cap, help="requests per second, of ours")
        if topic is growth:
            its.add_argument("--renders", type=int, nargs="+", default=[100, 1000, 10000])
            its.add_argument("--profile", type=Path, help="write cProfile's findings there (it slows all down)")
        else:
            its.add_argument("--renders", type=int, default=1000)
        if topic is not outage:
            its.add_argument("--interval", type=float, default=15, help="of the others; ours decides for itself")
        if topic is peers:
            its.add_argument("--rounds", type=int, default=3)
            its.add_argument("--pollers", nargs="+", choices=list(POLLERS), default=list(POLLERS))
        if topic is outage:
            its.add_argument("--kind", choices=["429", "dead"], default="429")
            its.add_argument("--retry-after", type=int, help="seconds that the 429 asks for")
            its.add_argument("--before", type=float, default=30, help="seconds until the trouble")
    options = parser.parse_args()
    options.topic(options)


if __name__ == "__main__":
    main()
