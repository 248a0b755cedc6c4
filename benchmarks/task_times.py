"""What a real Airflow and the simulator noted about tasks, read when all is over."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import astuple, dataclass
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import psutil  # type: ignore[import-untyped]  # comes with Airflow

from airflow_provider_kling.demo.sessions import members

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_kling.demo.local_airflow import LocalAirflow
    from airflow_provider_kling.simulator.journal import Accepted, Request

_PAGE = 100
_STAY = re.compile(r"(\S+) .*Workload finished.* duration=([\d.e-]+).* workload_id=([\w-]+)")
_ENDS = ("deferred", "success", "failed", "up_for_reschedule", "up_for_retry")


@dataclass(frozen=True)
class Stay:
    """A task's time in a worker slot.

    :param seconds: from before its process was started until its end was noticed
    :param ended: epoch seconds of that
    """

    seconds: float
    ended: float


@dataclass(frozen=True)
class Journey:
    """From the end of a render to the task's success, in epoch seconds.

    :param finished: at the API
    :param asked: when the question came in that found it finished
    :param scheduled: when the triggerer's event had made Airflow schedule the task again
    :param queued: when the scheduler had handed it to the executor
    :param resumed: when its process said that it runs
    :param succeeded: when it had saved the video and ended
    """

    finished: float
    asked: float
    scheduled: float
    queued: float
    resumed: float
    succeeded: float

    def steps(self) -> list[float]:
        """Seconds of each step, and of all together."""
        return [*(later - before for before, later in pairwise(astuple(self))), self.succeeded - self.finished]


class Run:
    """A finished DAG run.

    :param airflow: where it ran
    :param dag_id: its DAG
    :param run_id: its id
    """

    def __init__(self, airflow: LocalAirflow, dag_id: str, run_id: str) -> None:
        self._path = f"dags/{dag_id}/dagRuns/{run_id}"
        self._airflow, self._run_id = airflow, run_id
        self.tasks = list(self._all(f"{self._path}/taskInstances", "task_instances"))
        self._events = list(self._all("eventLogs", "event_logs", dag_id=dag_id, run_id=run_id))

    def _all(self, path: str, key: str, **params: Any) -> Iterator[dict[str, Any]]:
        """Every page; Airflow's order does not change while nothing happens."""
        for offset in range(0, 10**9, _PAGE):
            page = self._airflow.get(path, limit=_PAGE, offset=offset, **params)[key]
            yield from page
            if len(page) < _PAGE:
                return

    def of(self, task_id: str) -> list[dict[str, Any]]:
        """The mapped instances of a task, in order.

        :param task_id: the task
        """
        return sorted((ti for ti in self.tasks if ti["task_id"] == task_id), key=lambda ti: int(ti["map_index"]))

    def seconds(self) -> float:
        """From the first task's start to the last one's end."""
        started = [epoch(ti["start_date"]) for ti in self.tasks if ti["start_date"]]
        return max(epoch(ti["end_date"]) for ti in self.tasks if ti["end_date"]) - min(started)

    def times(self, ti: dict[str, Any], event: str) -> list[float]:
        """When a task instance came into a state, as the API server noted it.

        :param ti: the task instance
        :param event: such as "running", "deferred" or "success"
        """
        mine = (ti["task_id"], ti["map_index"], event)
        return sorted(epoch(e["when"]) for e in self._events if (e["task_id"], e["map_index"], e["event"]) == mine)

    def overtime(self, ti: dict[str, Any], stays: Sequence[Stay]) -> float:
        """Seconds that slots were still held when the task had told Airflow that it ends or defers.

        :param ti: the task instance
        :param stays: its stays
        """
        ends = [at for event in _ENDS for at in self.times(ti, event)]
        return sum(stay.ended - max((at for at in ends if at <= stay.ended), default=stay.ended) for stay in stays)

    def count(self, event: str) -> int:
        """How often something happened to any task.

        :param event: such as "state mismatch"
        """
        return sum(e["event"] == event for e in self._events)

    def journeys(self, task_id: str, accepted: Sequence[Accepted], asked: Asked, *, lasts: float) -> list[Journey]:
        """Of the renders that succeeded at the first try.

        :param task_id: the mapped task
        :param accepted: the renders bought; the prompt's last word is the map index
        :param asked: when it was asked for each
        :param lasts: seconds that a render takes
        """
        bought = {int(render.body["prompt"].split()[-1]): render for render in accepted}
        return [
            _journey(ti, bought[ti["map_index"]], asked, resumed=self.times(ti, "running")[-1], lasts=lasts)
            for ti in self.of(task_id)
            if ti["state"] == "success" and ti["try_number"] == 1
        ]


Asked = dict[str, list[float]]
"""When questions about a render came in, by its id; worker and triggerer alike."""


def _journey(ti: dict[str, Any], render: Accepted, asked: Asked, *, resumed: float, lasts: float) -> Journey:
    return Journey(
        finished=render.at + lasts,
        asked=max(at for at in asked[render.task_id] if at < resumed),  # the triggerer's last; then the worker asks
        scheduled=epoch(ti["scheduled_when"]),
        queued=epoch(ti["queued_when"]),
        resumed=resumed,
        succeeded=epoch(ti["end_date"]),
    )


def questions(requests: Sequence[Request]) -> Asked:
    """Pick the questions out of the simulator's journal.

    :param requests: all that came in
    """
    asked = defaultdict[str, list[float]](list)
    for request in requests:
        if "task_id" in request.query and request.method == "GET":
            asked[request.query["task_id"]].append(request.at)
    return asked


def stays_of_all(airflow: LocalAirflow) -> dict[str, list[Stay]]:
    """How long each task instance held slots of the LocalExecutor, by its UUID, which is new at each try.

    It is what the slot's own process, the task's supervisor, has measured around the task: start of Python, DAG file,
    work and end. The scheduler's log has it, as LocalExecutor's workers print there.

    :param airflow: where they ran
    """
    stays = defaultdict[str, list[Stay]](list)
    for line in (airflow.home / "logs" / "scheduler.log").read_text(errors="replace").splitlines():
        if found := _STAY.match(line):
            stays[found[3]].append(Stay(seconds=float(found[2]), ended=epoch(found[1])))
    return stays


def cpu_seconds(airflow: LocalAirflow) -> dict[str, float]:
    """CPU time of each component so far, that of its ended processes included (tasks are the scheduler's).

    :param airflow: still running
    """
    return {
        name: sum(sum(psutil.Process(pid).cpu_times()[:4]) for pid in members([process.pid]))
        for name, process in airflow.processes.items()
    }


def epoch(text: str) -> float:
    """Epoch seconds of Airflow's ISO-8601.

    :param text: as in its REST API
    """
    return datetime.fromisoformat(text).timestamp()
