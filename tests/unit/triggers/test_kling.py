"""The trigger: a thin poller whose arguments are plain, few, and safe to store."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from task_runs import fired, stored

from airflow_provider_kling.api.models import TextToVideo
from airflow_provider_kling.api.waiting import Outcome, Verdict
from airflow_provider_kling.hooks.kling import KlingHook
from airflow_provider_kling.simulator import faults
from airflow_provider_kling.triggers.kling import KlingRenderTrigger, read_event

if TYPE_CHECKING:
    from logs import Logs

    from airflow_provider_kling.simulator import KlingSimulator
    from airflow_provider_kling.simulator.faults import Fault

pytestmark = [pytest.mark.kling_simulator(speed=1e6, short_side=90), pytest.mark.usefixtures("impatient")]


def _trigger(task_id: str, patience: float = 30) -> KlingRenderTrigger:
    now = time.time()
    return KlingRenderTrigger(
        kling_conn_id="kling_default", kling_task_id=task_id, submitted_at=now, deadline=now + patience
    )


@pytest.fixture
def task_id(kling_simulator: KlingSimulator) -> str:
    """A render that was bought."""
    return KlingHook().submit(TextToVideo(prompt="a fox"))


def test_it_is_stored_by_exactly_these_arguments() -> None:
    arguments = {
        "kling_conn_id": "kling_default",
        "kling_task_id": "abc",
        "submitted_at": 1.5,
        "deadline": 2.5,
        "like": "kling-v3.0-4k-t2v/5s",
    }
    trigger = KlingRenderTrigger(**arguments)  # type: ignore[arg-type]
    assert trigger.serialize() == ("airflow_provider_kling.triggers.kling.KlingRenderTrigger", arguments)
    assert stored(trigger).serialize() == trigger.serialize()


def test_a_row_without_the_label_still_makes_a_trigger() -> None:
    assert _trigger("abc").serialize()[1]["like"] is None


def test_it_fires_one_event_when_the_render_is_over(kling_simulator: KlingSimulator, task_id: str) -> None:
    event = fired(_trigger(task_id))
    assert event == {"outcome": "succeeded", "task_id": task_id, "reason": None}
    assert read_event(event) == (task_id, Verdict(Outcome.SUCCEEDED))
    assert kling_simulator.submits == 1


async def test_it_fires_only_once(task_id: str) -> None:
    assert len([event async for event in _trigger(task_id).run()]) == 1


@pytest.mark.parametrize(("reason", "outcome"), [("out of memory", "failed"), ("risk control", "content_rejected")])
def test_a_failed_render_is_told_with_its_reason(kling_simulator: KlingSimulator, reason: str, outcome: str) -> None:
    kling_simulator.inject(faults.Fail(reason), on="render")
    bought = KlingHook().submit(TextToVideo(prompt="a fox"))
    assert fired(_trigger(bought)) == {"outcome": outcome, "task_id": bought, "reason": reason}


def test_it_ends_by_itself_at_the_deadline(kling_simulator: KlingSimulator, task_id: str) -> None:
    kling_simulator.inject(faults.UnknownStatus("TASK_STATUS_ARCHIVING"), on="poll", times=None)
    begun = time.monotonic()
    event = fired(_trigger(task_id, patience=0.3))
    assert time.monotonic() - begun < 5
    assert event == {
        "outcome": "timed_out",
        "task_id": task_id,
        "reason": "the last status was TASK_STATUS_ARCHIVING",
    }


def test_past_the_deadline_it_still_asks_once(kling_simulator: KlingSimulator, task_id: str) -> None:
    assert fired(_trigger(task_id, patience=-100))["outcome"] == "succeeded"
    assert kling_simulator.polls == 1


@pytest.mark.parametrize(
    "fault", [faults.Drop(), faults.BadGateway(), faults.RateLimited(), faults.NotFound(), faults.Garbage()], ids=repr
)
def test_failed_questions_are_asked_again(kling_simulator: KlingSimulator, task_id: str, fault: Fault) -> None:
    kling_simulator.inject(fault, on="poll", times=4)
    assert fired(_trigger(task_id))["outcome"] == "succeeded"
    assert kling_simulator.polls == 5


def test_no_event_carries_a_link_a_key_or_a_prompt(kling_simulator: KlingSimulator, task_id: str) -> None:
    text = json.dumps([fired(_trigger(task_id)), _trigger(task_id).serialize()])
    for secret in (kling_simulator.api_key, kling_simulator.base_url, "a fox", "sign="):
        assert secret not in text


def test_two_copies_at_once_do_no_harm(kling_simulator: KlingSimulator, task_id: str) -> None:
    trigger = _trigger(task_id)
    assert fired(trigger) == fired(trigger)
    assert kling_simulator.submits == 1


async def test_being_killed_is_told_honestly_and_asks_nothing(
    kling_simulator: KlingSimulator, task_id: str, logs: Logs
) -> None:
    await _trigger(task_id).on_kill()
    (told,) = [line for line in logs.lines if task_id in line]
    assert "goes on and is paid" in told
    assert "no cancel" in told
    assert "KlingRenderSensor" in told
    assert kling_simulator.polls == 0


@pytest.mark.parametrize(
    "event",
    [None, "succeeded", [], {}, {"task_id": "abc"}, {"outcome": "succeeded"}, {"outcome": "won", "task_id": "abc"},
     {"outcome": "succeeded", "task_id": ""}, {"outcome": None, "task_id": "abc"}],
    ids=str,
)  # fmt: skip
def test_what_is_no_event_of_this_trigger_is_not_believed(event: Any) -> None:
    with pytest.raises(ValueError, match="no event of KlingRenderTrigger"):
        read_event(event)
