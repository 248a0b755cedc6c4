"""Mapped renders that the API refuses line up: in order, with few starts, without a retry."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_kling import exceptions
from airflow_provider_kling._compat import AirflowRescheduleException
from airflow_provider_kling.api.lining_up import Place
from airflow_provider_kling.operators.siblings import find_place, waiting_of
from airflow_provider_kling.simulator import faults

if TYPE_CHECKING:
    from logs import Logs
    from task_runs import TaskRun

pytestmark = pytest.mark.kling_simulator(speed=1e6, short_side=90)

STATES = {
    "up_for_reschedule": "waiting",
    "scheduled": "coming",
    "queued": "coming",
    "running": "coming",
    "deferred": "bought",
    "success": "bought",
    "failed": "neither",
    "upstream_failed": "neither",
    "up_for_retry": "neither",
    "removed": "neither",
    None: "neither",
}


@pytest.fixture
def number_40(task_run: TaskRun) -> TaskRun:
    """A task that ten others have bought before, and thirty are refused before; behind it wait more."""
    task_run.ti.map_index = 40
    task_run.ti.states = [*["deferred"] * 10, *["up_for_reschedule"] * 30, "running", *["scheduled"] * 60]
    return task_run


def delay_of(run: TaskRun, **arguments: Any) -> float:
    now = datetime.now(UTC)
    with pytest.raises(AirflowRescheduleException) as aside:
        run.start(**arguments)
    delay: float = (aside.value.reschedule_date - now).total_seconds()
    return delay


@pytest.mark.parametrize(("state", "meaning"), STATES.items())
def test_the_place_is_told_by_the_states_of_those_before(task_run: TaskRun, state: str | None, meaning: str) -> None:
    task_run.ti.map_index = 3
    task_run.ti.states = [state, state, state, "running", state, state]
    place = find_place(task_run.context())
    assert place == {
        "waiting": Place(ahead=3, refused=3),
        "coming": Place(ahead=3),
        "bought": Place(bought=3),
        "neither": Place(),
    }.get(meaning)


def test_a_task_that_is_not_mapped_has_no_place_and_asks_nobody(task_run: TaskRun, monkeypatch: Any) -> None:
    monkeypatch.delattr(type(task_run.ti), "get_task_states")
    assert find_place(task_run.context()) is None
    task_run.simulator.inject(faults.RateLimited())
    assert 7.5 < delay_of(task_run) < 14


def test_the_age_of_the_run_is_the_dag_runs(task_run: TaskRun) -> None:
    context: Any = task_run.context()
    assert waiting_of(context, patience=9).run_age is None
    context["dag_run"] = SimpleNamespace(start_date=datetime.now(UTC) - timedelta(seconds=100))
    waiting = waiting_of(context, patience=9)
    assert (waiting.waited, waiting.patience) == (0, 9)
    assert 100 <= (waiting.run_age or 0) < 130


def test_a_refused_task_comes_back_when_those_before_it_have_had_their_turn(task_run: TaskRun, logs: Logs) -> None:
    task_run.ti.map_index = 20
    task_run.ti.states = ["up_for_reschedule"] * 20
    task_run.simulator.inject(faults.RateLimited(retry_after=30))
    assert 69 < delay_of(task_run) < 74
    assert any("trying again in 7" in line and "after 20 mapped tasks before" in line for line in logs.warnings)


def test_the_pace_is_the_connections(task_run: TaskRun, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = json.loads(task_run.simulator.connection_json) | {"extra": {"submits_per_minute": 120}}
    monkeypatch.setenv("AIRFLOW_CONN_KLING_DEFAULT", json.dumps(connection))
    task_run.ti.map_index = 20
    task_run.ti.states = ["up_for_reschedule"] * 20
    task_run.simulator.inject(faults.RateLimited(retry_after=30))
    assert 39 < delay_of(task_run) < 42


def test_behind_many_refused_ones_a_task_lines_up_without_asking(number_40: TaskRun, logs: Logs) -> None:
    assert 119 < delay_of(number_40) < 124
    assert number_40.simulator.submits == 0
    assert number_40.journal.entries == [], "no intent: nothing was to be bought"
    assert any(
        "Many mapped tasks before this one wait for their turn. Nothing was bought" in line for line in logs.warnings
    )


def test_when_they_have_bought_it_buys(number_40: TaskRun) -> None:
    number_40.ti.first_reschedule_date = datetime.now(UTC) - timedelta(seconds=122)
    number_40.ti.states[10:38] = ["deferred"] * 28
    number_40.attempt()
    assert len(number_40.simulator.accepted) == 1


def test_at_the_end_of_its_patience_it_asks_wherever_it_stands(number_40: TaskRun) -> None:
    number_40.ti.first_reschedule_date = datetime.now(UTC) - timedelta(seconds=599)
    number_40.attempt(timeout=600)
    assert len(number_40.simulator.accepted) == 1


def test_a_place_far_back_does_not_fail_a_task_at_once(task_run: TaskRun) -> None:
    task_run.ti.map_index = 29
    task_run.ti.states = ["scheduled"] * 29
    task_run.simulator.inject(faults.RateLimited(), times=None)
    assert 99 < delay_of(task_run, timeout=100) <= 101
    task_run.ti.first_reschedule_date = datetime.now(UTC) - timedelta(seconds=100)
    with pytest.raises(exceptions.RateLimited, match="A retry or a clear submits again"):
        task_run.start(timeout=100)


def test_when_airflow_does_not_tell_the_states_it_comes_back_as_the_first_in_line(
    number_40: TaskRun, monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("the API server is tired")

    monkeypatch.setattr(type(number_40.ti), "get_task_states", broken)
    number_40.simulator.inject(faults.RateLimited())
    assert 59 < delay_of(number_40) < 64
    assert any("Could not ask how many mapped tasks are ahead" in line for line in logs.warnings)
    number_40.attempt()
    assert len(number_40.simulator.accepted) == 1


def test_the_states_are_asked_for_once_per_start_and_not_at_all_by_the_first_minutes_worth(
    number_40: TaskRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    ask = type(number_40.ti).get_task_states

    def counted(ti: Any, **what: Any) -> Any:
        asked.append(ti.map_index)
        return ask(ti, **what)

    monkeypatch.setattr(type(number_40.ti), "get_task_states", counted)
    number_40.ti.states = ["deferred"] * 40
    number_40.simulator.inject(faults.RateLimited())
    delay_of(number_40)
    assert asked == [40]
    number_40.ti.map_index = 29
    number_40.attempt()
    assert asked == [40], "a minute takes thirty: nobody to stand back for"
