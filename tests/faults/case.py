"""One task under attack: its own account at its own simulator, one DAG run, and what became of it."""

from __future__ import annotations

import hashlib
import json
import signal
import threading
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

import psutil  # type: ignore[import-untyped]  # comes with Airflow
from events import Event, Row

from airflow_provider_kling.demo.rest import RestError
from airflow_provider_kling.simulator import KlingSimulator

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from postgres import PostgreSQL

    from airflow_provider_kling.demo.local_airflow import LocalAirflow

_ENDS = ("success", "failed")


@dataclass
class World:
    """What all cases share."""

    airflow: LocalAirflow
    postgres: PostgreSQL
    videos: Path
    over: threading.Event = field(default_factory=threading.Event)

    def pause(self, seconds: float) -> None:
        """Let time pass, unless the tests are being stopped."""
        if self.over.wait(seconds):
            raise InterruptedError("the tests are being stopped")

    def mend(self) -> None:
        """Start what the event before has left dead."""
        for name, process in self.airflow.processes.items():
            if process.poll() is not None:
                self.airflow.start_component(name)

    def until(self, what: str, look: Callable[[], object], timeout: float = 120) -> Any:
        """Wait until something is true; Airflow may be down meanwhile."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                if found := look():
                    return found
            except RestError as error:
                if error.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                    raise
            except (OSError, HTTPException):
                pass
            self.pause(0.25)
        raise TimeoutError(f"{what}: not within {timeout:.0f} s")


class Case:
    """A task of its own for one event.

    :param world: the Airflow it lives in
    :param event: what happens to it
    """

    def __init__(self, world: World, event: Event) -> None:
        self.world, self.airflow, self.event = world, world.airflow, event
        self.name = event.script.__name__
        self.keys = [f"sk_secret_of_{self.name}"]
        self.simulator = KlingSimulator(api_key=self.keys[0], render_seconds=240, speed=20, short_side=90, eta=True)
        self.save_to = world.videos / f"{self.name}.mp4"
        self._dag_id = self._run_id = ""
        self._kills = False

    def play(self) -> Row:
        """Let it happen, wait for the end, and say what became of the task."""
        with self.simulator:
            self.airflow.post("connections", {"connection_id": self.name, **json.loads(self.simulator.connection_json)})
            self.event.script(self)
            self.simulator.release()
            self.ends()
            return self._row()

    def start(
        self,
        dag_id: str = "attacked",
        *,
        kill: tuple[str, ...] = (),
        sig: int = signal.SIGKILL,
        prompts: tuple[str, ...] = (),
    ) -> None:
        """Start the task.

        :param dag_id: the variant, see `dags/attacked.py`
        :param kill: where its process dies, see `dags/tripwire.py`
        :param sig: what it is sent there; default SIGKILL
        :param prompts: of the first attempt, the second, ...; default: always the same
        """
        self._dag_id, self._kills = dag_id, bool(kill)
        conf = {
            "kling_conn_id": self.name,
            "save_to": str(self.save_to),
            "prompts": prompts or [self.name],
            "kill": kill,
            "signal": sig,
        }
        self._run_id = self.airflow.trigger(dag_id, conf)

    def tasks(self) -> list[dict[str, Any]]:
        """The task instance, or all of a mapped task."""
        return self.airflow.task_instances(self._dag_id, self._run_id)

    def until_state(self, *states: str, timeout: float = 120) -> None:
        """Wait until the task is in one of these states."""
        self.world.until(f"{self.name}: {states}", lambda: all(ti["state"] in states for ti in self.tasks()), timeout)

    def until_waiting(self) -> None:
        """Wait until the triggerer has asked for the render."""
        self.until_state("deferred")
        self.until_asked_again()

    def ends(self, state: str | None = None, timeout: float = 300) -> None:
        """Wait for the end of the run; of a given state, if any."""
        wanted = [state] if state else _ENDS
        over = lambda: self.airflow.run_state(self._dag_id, self._run_id) in wanted  # noqa: E731
        self.world.until(f"{self.name}: the end of the run", over, timeout)

    def until_second_attempt(self, timeout: float = 240) -> None:
        """Wait until the task has begun anew."""
        self.world.until(f"{self.name}: the second attempt", lambda: self.tasks()[0]["try_number"] > 1, timeout)

    def until_log_says(self, line: str) -> None:
        """Wait until a line is in the log."""
        self.world.until(f"{self.name}: {line!r} in its log", lambda: line in self.log())

    def until_asked_again(self) -> None:
        """Wait for one more question about the render."""
        asked = self.simulator.polls
        self.simulator.wait_for(lambda sim: sim.polls > asked, timeout=180)

    def task_process(self) -> psutil.Process:
        """The process that runs the task; its parent is Airflow's supervisor."""
        return psutil.Process(self.world.until("the task's pid", lambda: self.tasks()[0]["pid"]))

    def restart(self, component: str) -> None:
        """Start a killed component of Airflow again, and wait until it works."""
        before = self._newest_triggerer() if component.startswith("triggerer") else 0
        self.airflow.start_component(component)
        self.world.until(component, lambda: self._newest_triggerer() > before)

    def clear(self) -> None:
        """What a person does in the UI."""
        wish = {"dry_run": False, "dag_run_id": self._run_id, "task_ids": ["render"], "only_failed": False}
        self.airflow.post(f"dags/{self._dag_id}/clearTaskInstances", wish)

    def mark_failed(self) -> None:
        """What a person does in the UI."""
        self.airflow.patch(f"dags/{self._dag_id}/dagRuns/{self._run_id}/taskInstances/render", {"new_state": "failed"})

    def rotate_key(self) -> None:
        """The service gets a new key at once; Airflow's connection is corrected by a person a little later."""
        self.keys.append(f"sk_second_secret_of_{self.name}")
        self.simulator.api_key = self.keys[-1]
        self.until_asked_again()
        connection = {"connection_id": self.name, "conn_type": "kling", "password": self.keys[-1]}
        self.airflow.patch(f"connections/{self.name}?update_mask=password", connection)

    def log(self) -> str:
        """All attempts of all task instances."""
        return "\n".join(
            self._log_of(attempt, ti["map_index"]) for ti in self.tasks() for attempt in range(1, ti["try_number"] + 1)
        )

    def _log_of(self, attempt: int, map_index: int) -> str:
        try:
            return self.airflow.logs(self._dag_id, self._run_id, "render", attempt, map_index)
        except RestError as error:  # Airflow keeps no history of an attempt whose worker never reached the API server
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return ""

    def _newest_triggerer(self) -> int:
        jobs = self.airflow.get("jobs", job_type="TriggererJob", order_by="-id", limit=1)
        return int(jobs["jobs"][0]["id"])

    def _row(self) -> Row:
        log, tasks = self.log(), self.tasks()
        killed = [ti for ti in tasks if self._kills and ti["map_index"] % 2 == (0 if len(tasks) > 1 else 1)]
        assert all(ti["try_number"] > 1 for ti in killed), "the task was never killed"
        assert not any(key in log for key in self.keys), "the key is in the log"
        says = self.event.expected.says
        if says not in log:
            says = f"(not: {says})\n{log}"
        states = {ti["state"] for ti in tasks}
        return Row(
            posts=len(self.simulator.accepted),
            delivered=sum(self._is_delivered(ti["map_index"]) for ti in tasks),
            state=" and ".join(sorted(states)),
            says=says,
        )

    def _is_delivered(self, map_index: int) -> bool:
        """Whether the file is there, whole, and of the render that was bought last."""
        video = self.save_to if map_index < 0 else self.save_to.with_name(f"{self.save_to.name}.{map_index}")
        if not video.exists() or any(ti["state"] == "failed" for ti in self.tasks()):
            return False
        manifest = self.airflow.xcom(self._dag_id, self._run_id, "render", map_index=map_index)
        whole = manifest["sha256"] == hashlib.sha256(video.read_bytes()).hexdigest()
        bought = [render.task_id for render in self.simulator.accepted]
        newest = bought if map_index >= 0 else bought[-1:]
        return bool(whole and manifest["task_id"] in newest)
