"""What does a render take in a real Airflow, on PostgreSQL, with one triggerer?

    python benchmarks/real_airflow.py slots [--renders 3] [--seconds 60]
    python benchmarks/real_airflow.py campaign [--renders 300] [--seconds 60]

LocalExecutor, scheduler, API server, triggerer, PostgreSQL and the simulated API share this machine: Airflow's own pace
depends on its cores. Real time: nothing is sped up. `--home` keeps Airflow's logs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from task_times import Run, cpu_seconds, questions, stays_of_all

from airflow_provider_kling.demo.local_airflow import LocalAirflow
from airflow_provider_kling.demo.rest import FINISHED
from airflow_provider_kling.simulator import KlingSimulator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from task_times import Journey, Stay

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "tests" / "support"))

from postgres import PostgreSQL, find_binaries  # noqa: E402

STEPS = (
    "finished -> asked by the trigger",
    "-> event handled, scheduled again",
    "-> handed to the executor, queued",
    "-> a free worker, running",
    "-> link asked, saved, success",
    "finished -> success",
)
PROGRESS_EVERY = 15.0
OVERTIME = "Airflow's supervisor may notice 5 s late"


class Bench:
    """A running Airflow beside a running simulator.

    :param options: of the command line
    :param airflow: with our DAGs
    :param simulator: the Highway API
    """

    def __init__(self, options: argparse.Namespace, airflow: LocalAirflow, simulator: KlingSimulator) -> None:
        self.renders: int = options.renders
        self.seconds: float = options.seconds
        self.airflow, self.simulator = airflow, simulator
        self.videos = airflow.home / "videos"

    def play(self, dag_id: str) -> Run:
        """Run a DAG to its end."""
        self.airflow.wait_for_dag(dag_id)
        self.airflow.unpause(dag_id)
        run_id = self.airflow.trigger(dag_id, {"renders": self.renders, "folder": str(self.videos)})
        began = told = time.monotonic()
        deadline = began + 300 + self.seconds + 10 * self.renders
        while self.airflow.run_state(dag_id, run_id) not in FINISHED:
            now = time.monotonic()
            if now > deadline:
                print(f"Not over after {now - began:.0f} s: the figures are of what is there.", flush=True)
                break
            if now > told + PROGRESS_EVERY:
                told = now
                bought, fetched = len(self.simulator.accepted), self.simulator.downloads
                print(f"... {now - began:.0f} s: {bought} bought, {fetched} fetched", file=sys.stderr, flush=True)
            time.sleep(1)
        time.sleep(7)  # the last supervisor says how long it took up to 5 s after its task has ended
        return Run(self.airflow, dag_id, run_id)


def slots(bench: Bench) -> None:
    """The same renders deferred and on the worker, side by side: who holds a worker slot, and for how long?"""
    run = bench.play("slots")
    stays, means = stays_of_all(bench.airflow), []
    print(f"{bench.renders} renders of {bench.seconds:g} s each way, side by side; {_machine(bench)}\n")
    for task_id in ("deferrable", "on_the_worker"):
        tasks = run.of(task_id)
        each = [" + ".join(f"{stay.seconds:.1f}" for stay in stays[ti["id"]]) for ti in tasks]
        overtime = statistics.mean(run.overtime(ti, stays[ti["id"]]) for ti in tasks)
        means.append((_slot_seconds(tasks, stays), overtime))
        print(
            f"{task_id.replace('_', ' '):15}{_states(tasks)}, retries {_retries(tasks)}, slot seconds {', '.join(each)}"
        )
    (deferred, its_overtime), (held, _) = means
    print(f"\ndeferrable {deferred:.1f} s, on the worker {held:.1f} s: {held / deferred:.0f}x")
    print(f"{its_overtime:.1f} of the {deferred:.1f} s after the task had ended or deferred: {OVERTIME}\n", flush=True)


def campaign(bench: Bench) -> None:
    """Many mapped renders from end to end: is each bought once and saved, and how long after its end?"""
    cpu = cpu_seconds(bench.airflow)
    run = bench.play("campaign")
    cpu = {name: after - cpu[name] for name, after in cpu_seconds(bench.airflow).items()}
    simulator, tasks, stays = bench.simulator, run.of("render"), stays_of_all(bench.airflow)
    accepted, asked = simulator.accepted, questions(simulator.requests)
    counts = [len(asked[render.task_id]) for render in accepted]
    saved = sum(file.stat().st_size > 0 for file in bench.videos.glob("render-*.mp4"))
    overtime = statistics.mean(run.overtime(ti, stays[ti["id"]]) for ti in tasks)
    starts, wall = sum(map(len, stays.values())), run.seconds()
    bought_in = accepted[-1].at - accepted[0].at
    print(f"{bench.renders} mapped renders of {bench.seconds:g} s; {_machine(bench)}\n")
    print(f"ended as                 {_states(tasks)}; retries {_retries(tasks)}")
    print(f"bought                   {len(accepted)}, {len({each.body['prompt'] for each in accepted})} different ones")
    print(f"submits                  {simulator.submits}, spread over {bought_in:.0f} s")
    print(f"videos saved             {saved}")
    print(f"state mismatches         {run.count('state mismatch')}")
    print(f"questions per render     mean {statistics.mean(counts):.1f}, most {max(counts)}; 1 of them the worker's")
    print(f"slot seconds per render  mean {_slot_seconds(tasks, stays):.1f}")
    print(f"  of them                {overtime:.1f} after the task had ended or deferred: {OVERTIME}")
    print(f"from first to last       {wall:.0f} s, {starts} starts of tasks: {starts / wall:.1f} per second")
    print(f"CPU seconds              {', '.join(f'{name} {seconds:.0f}' for name, seconds in cpu.items())}\n")
    _print_steps(run.journeys("render", accepted, asked, lasts=bench.seconds))


def _machine(bench: Bench) -> str:
    parallelism = bench.airflow.env["AIRFLOW__CORE__PARALLELISM"]
    return f"parallelism {parallelism}, 1 triggerer, {len(os.sched_getaffinity(0))} cores for all"


def _states(tasks: list[dict[str, Any]]) -> str:
    return ", ".join(f"{count} {state}" for state, count in Counter(ti["state"] for ti in tasks).items())


def _retries(tasks: list[dict[str, Any]]) -> int:
    return sum(max(0, ti["try_number"] - 1) for ti in tasks)


def _slot_seconds(tasks: list[dict[str, Any]], stays: dict[str, list[Stay]]) -> float:
    return statistics.mean(sum(stay.seconds for stay in stays[ti["id"]]) for ti in tasks)


def _print_steps(journeys: list[Journey]) -> None:
    print(f"{'seconds, of ' + str(len(journeys)) + ' renders':36}{'median':>8}{'p95':>8}{'longest':>9}")
    for title, values in zip(STEPS, zip(*(journey.steps() for journey in journeys), strict=True), strict=False):
        cuts = statistics.quantiles(values, n=20, method="inclusive") if len(values) > 1 else [*values] * 19
        print(f"{title:36}{statistics.median(values):>8.1f}{cuts[18]:>8.1f}{max(values):>9.1f}")
    print(flush=True)


@contextlib.contextmanager
def a_bench(options: argparse.Namespace) -> Iterator[Bench | None]:
    """All that is needed, and nothing of it afterwards; None without PostgreSQL."""
    binaries = find_binaries()
    if binaries is None:
        yield None
        return
    with contextlib.ExitStack() as stack:
        temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix="kling-bench-"))
        simulator = stack.enter_context(KlingSimulator(render_seconds=options.seconds, short_side=90, eta=False))
        postgres = stack.enter_context(PostgreSQL(binaries))
        connection = json.loads(simulator.connection_json) | {"extra": {"submits_per_minute": 100_000}}
        airflow = LocalAirflow(
            home=options.home or Path(temporary),
            dags_folder=HERE / "dags",
            env={"AIRFLOW_CONN_KLING_DEFAULT": json.dumps(connection)},
            parallelism=options.parallelism,
            database_url=postgres.url,
        )
        yield Bench(options, stack.enter_context(airflow), simulator)


def main() -> None:
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    topics = parser.add_subparsers(required=True)
    for topic, renders in ((slots, 3), (campaign, 300)):
        its = topics.add_parser(topic.__name__, help=topic.__doc__)
        its.set_defaults(topic=topic)
        its.add_argument("--renders", type=int, default=renders)
        its.add_argument("--seconds", type=float, default=60, help="that a render takes")
        its.add_argument("--parallelism", type=int, default=8, help="tasks at the same time")
        its.add_argument("--home", type=Path, help="a new folder for Airflow, where its logs stay; default: none stays")
    options = parser.parse_args()
    try:
        with a_bench(options) as bench:
            if bench is None:
                print("Left out: no PostgreSQL, or as root no user postgres (Debian, Ubuntu: apt install postgresql).")
            else:
                options.topic(bench)
    except KeyboardInterrupt:
        sys.exit("Stopped: no process is left.")


if __name__ == "__main__":
    main()
