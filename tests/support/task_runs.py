"""One task instance without a scheduler: what Airflow does around an operator, in plain Python.

Retries, clears, deferrals and the task state store behave as in Airflow 3.3; the API is always the simulator.
"""

from __future__ import annotations

import asyncio
import importlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_kling.operators.kling import KlingTextToVideoOperator

try:
    from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred
except ImportError:  # Airflow 3.1
    from airflow.exceptions import AirflowSkipException, TaskDeferred  # type: ignore[no-redef]

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from airflow.sdk import Context
    from airflow.triggers.base import BaseTrigger

    from airflow_provider_kling.simulator import KlingSimulator

__all__ = [
    "AirflowSkipException",
    "FakeTaskInstance",
    "FakeTaskStateStore",
    "Journal",
    "TaskDeferred",
    "TaskRun",
    "fired",
    "stored",
]

RECORD = CARD = "kling_render"
PROMPT = "A fox in the snow"


class WorkerCrash(BaseException):
    """What a SIGKILL looks like from inside: nothing after it runs, and no `except Exception` sees it."""


@dataclass
class Journal:
    """What was written down, each with the number of POSTs that had arrived by then."""

    simulator: KlingSimulator
    entries: list[tuple[str, int]] = field(default_factory=list)
    crash: tuple[str, str] | None = None
    """("before" or "after", entry): where the worker dies, once."""

    def write(self, entry: str, act: Callable[[], object]) -> None:
        """Note and do it, or die."""
        self._die("before", entry)
        self.entries.append((entry, self.simulator.submits))
        act()
        self._die("after", entry)

    def _die(self, when: str, entry: str) -> None:
        if self.crash == (when, entry):
            self.crash = None
            raise WorkerCrash(f"{when} {entry}")


class FakeTaskStateStore:
    """The interface of Airflow's `TaskStateStoreAccessor` on a dict; JSON goes in, JSON comes out."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.rows: dict[str, str] = {}
        self.retentions: list[object] = []
        self.read_error: Exception | None = None
        self.write_error: Exception | None = None
        self.drops_writes = False

    def get(self, key: str, default: Any = None) -> Any:
        if self.read_error:
            raise self.read_error
        return json.loads(self.rows[key]) if key in self.rows else default

    def set(self, key: str, value: Any, *, retention: object = None) -> None:
        if self.write_error:
            raise self.write_error
        row = json.dumps(value)
        self.retentions.append(retention)
        self.journal.write(value["phase"], lambda: None if self.drops_writes else self.rows.__setitem__(key, row))

    def delete(self, key: str) -> None:
        if self.write_error:
            raise self.write_error
        self.journal.write("delete", lambda: self.rows.pop(key, None))

    def clear(self) -> None:
        self.rows.clear()

    @property
    def record(self) -> dict[str, Any] | None:
        """The record, as it lies in Airflow's database."""
        return json.loads(self.rows[RECORD]) if RECORD in self.rows else None

    def change(self, **fields: Any) -> None:
        """Change the record behind the operator's back."""
        self.rows[RECORD] = json.dumps({**(self.record or {}), **fields})


@dataclass
class FakeTaskInstance:
    """The part of `RuntimeTaskInstance` that operators and sensors use."""

    journal: Journal
    max_tries: int = 2
    task_id: str = "render"
    map_index: int = -1
    siblings: list[FakeTaskInstance] = field(default_factory=list)
    """The other mapped tasks of the same task and run."""
    first_reschedule_date: datetime | None = None
    xcom: dict[str, Any] = field(default_factory=dict)
    task: Any = None
    dag_id: str = "films"
    run_id: str = "test"
    links: dict[str, str] = field(default_factory=dict)
    cards: list[dict[str, Any]] = field(default_factory=list)
    """All that were shown, the newest last."""
    states: list[str | None] = field(default_factory=list)
    """Of the mapped tasks of the same task and run, by map index."""

    def get_task_states(self, *, dag_id: str, task_ids: list[str], run_ids: list[str]) -> dict[str, Any]:
        """As Airflow's API server answers: keys of mapped tasks end with their map index."""
        assert (dag_id, task_ids, run_ids) == (self.dag_id, [self.task_id], [self.run_id])
        return {self.run_id: {f"{self.task_id}_{index}": state for index, state in enumerate(self.states)}}

    def xcom_push(self, key: str, value: Any) -> None:
        if key.startswith("_link_"):  # Airflow's own: neither data for others nor a step that matters for money
            self.links[key] = value
            return
        if key == CARD:  # nothing is decided by it
            self.cards.append(json.loads(json.dumps(value)))
            return
        self.journal.write(f"xcom {key}", lambda: self.xcom.__setitem__(key, json.loads(json.dumps(value))))

    def xcom_pull(self, task_ids: str, *, key: str, map_indexes: int | None = None) -> Any:
        """Without `map_indexes` the values of all mapped tasks: a list, but a single one comes bare (Airflow 3.1+)."""
        assert task_ids == self.task_id
        if map_indexes is not None:
            assert map_indexes == self.map_index
            return {**self.xcom, **self.links, CARD: self.cards[-1] if self.cards else None}.get(key)
        found = [ti.xcom[key] for ti in (self, *self.siblings) if key in ti.xcom]
        return found[0] if len(found) == 1 else found

    def get_first_reschedule_date(self, context: Context) -> datetime | None:
        return self.first_reschedule_date


class TaskRun:
    """One task instance through all its attempts; every attempt is a fresh operator, as on a worker.

    :param simulator: the API
    :param remembers: whether there is a task state store (Airflow 3.3+)
    """

    def __init__(self, simulator: KlingSimulator, *, remembers: bool) -> None:
        self.simulator = simulator
        self.journal = Journal(simulator)
        self.ti = FakeTaskInstance(self.journal)
        self.outlet_events = OutletEventAccessors()
        self._store = FakeTaskStateStore(self.journal) if remembers else None

    @property
    def store(self) -> FakeTaskStateStore:
        assert self._store is not None, "mark this test with needs_task_state_store"
        return self._store

    @property
    def phase(self) -> str | None:
        """The phase in the record; None without one."""
        record = self.store.record
        return record["phase"] if record else None

    def context(self) -> Context:
        """What Airflow hands to `execute`."""
        context: dict[str, Any] = {"ti": self.ti, "run_id": "test", "outlet_events": self.outlet_events}
        if self._store is not None:
            context["task_state_store"] = self._store
        return context  # type: ignore[return-value]

    def operator(self, **arguments: Any) -> KlingTextToVideoOperator:
        """A fresh operator."""
        if "multi_prompt" not in arguments:
            arguments.setdefault("prompt", PROMPT)
        return KlingTextToVideoOperator(**{"task_id": "render", "retries": 2, **arguments})

    def start(self, **arguments: Any) -> dict[str, Any]:
        """`execute` of a fresh operator: returns the manifest, or raises (TaskDeferred, too)."""
        return self.operator(**arguments).execute(self.context())

    def defer(self, **arguments: Any) -> TaskDeferred:
        """`execute` of a fresh operator that must defer."""
        with pytest.raises(TaskDeferred) as deferral:
            self.start(**arguments)
        return deferral.value

    def resume(self, deferred: TaskDeferred, event: Any = None, **arguments: Any) -> dict[str, Any]:
        """What Airflow does after a deferral: the triggerer waits, a fresh operator takes over."""
        kwargs = json.loads(json.dumps(dict(deferred.kwargs or {})))
        kwargs["event"] = event or fired(deferred.trigger)
        manifest: dict[str, Any] = self.operator(**arguments).resume_execution(
            deferred.method_name, kwargs, self.context()
        )
        return manifest

    def attempt(self, **arguments: Any) -> dict[str, Any]:
        """A whole attempt, deferral or not: returns the manifest, or raises what the attempt ended with."""
        try:
            manifest = self.start(**arguments)
        except TaskDeferred as deferred:
            manifest = self.resume(deferred, **arguments)
        returned: dict[str, Any] = json.loads(json.dumps(manifest))  # the XCom `return_value`
        return returned

    def crash(self, when: str, entry: str, **arguments: Any) -> None:
        """An attempt whose worker dies "before" or "after" an entry of the journal."""
        self.journal.crash = (when, entry)
        with pytest.raises(WorkerCrash):
            self.attempt(**arguments)

    def clear(self) -> None:
        """What Airflow does when a person clears the task."""
        self.ti.max_tries += 3


def stored(trigger: BaseTrigger) -> BaseTrigger:
    """The trigger as the triggerer makes it, from the plain JSON in Airflow's database."""
    path, kwargs = trigger.serialize()
    module, name = path.rsplit(".", 1)
    made: BaseTrigger = getattr(importlib.import_module(module), name)(**json.loads(json.dumps(kwargs)))
    return made


def fired(trigger: BaseTrigger) -> dict[str, Any]:
    """The event that a trigger fires, run as in the triggerer."""

    async def first() -> dict[str, Any]:
        async for event in stored(trigger).run():
            payload: dict[str, Any] = json.loads(json.dumps(event.payload))
            return payload
        raise AssertionError("the trigger ended without an event")

    return asyncio.run(first())
