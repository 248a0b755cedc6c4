"""What a card keeps, cuts and leaves out as its task goes on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from task_runs import FakeTaskInstance

from airflow_provider_kling._compat import AirflowRescheduleException, AirflowSensorTimeout
from airflow_provider_kling.api.models import TextToVideo
from airflow_provider_kling.card import Display, updated

if TYPE_CHECKING:
    from task_runs import TaskRun

NOW = 1_750_000_000.0
AT_NOW = "2025-06-15T15:06:40+00:00"
pytestmark = [pytest.mark.kling_simulator(speed=1e6, short_side=90), pytest.mark.usefixtures("impatient")]


def test_a_resume_goes_on_with_what_the_triggerer_showed(task_run: TaskRun) -> None:
    deferred = task_run.defer()
    task_run.ti.cards.append(updated(task_run.ti.cards[-1], NOW, status="TASK_STATUS_PROCESSING"))
    task_run.resume(deferred)
    assert task_run.ti.cards[-1]["rendering_at"] == AT_NOW


def test_without_xcoms_nobody_looks_for_one(task_run: TaskRun, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[object] = []
    monkeypatch.setattr(FakeTaskInstance, "xcom_pull", lambda _, **where: looked.append(where))
    Display(task_run.operator(do_xcom_push=False), task_run.context(), resumed=True)
    assert looked == []


def test_a_render_that_is_asked_for_again_later_is_not_waiting_to_be_bought(task_run: TaskRun) -> None:
    display = Display(task_run.operator(), task_run.context())
    display.bought("t")
    with pytest.raises(AirflowRescheduleException), display:
        raise AirflowRescheduleException(datetime.now(UTC))
    assert [shown["status"] for shown in task_run.ti.cards] == ["SUBMITTED"]


def test_a_sensor_that_ran_out_of_time_says_so(task_run: TaskRun) -> None:
    display = Display(task_run.operator(), task_run.context())
    display.bought("t")
    with pytest.raises(AirflowSensorTimeout), display:
        raise AirflowSensorTimeout("too long")
    assert (task_run.ti.cards[-1]["failure"], task_run.ti.cards[-1]["bought"]) == ("too long", "yes")


def test_long_words_are_cut_and_what_was_asked_for_stays(task_run: TaskRun) -> None:
    display = Display(task_run.operator(prompt="now"), task_run.context())
    display.asked(TextToVideo(prompt="then"), "a model")
    display.bought("t")
    with pytest.raises(AirflowSensorTimeout), display:
        raise AirflowSensorTimeout("x" * 9999)
    assert task_run.ti.cards[-1]["failure"] == "x" * 2500
    assert task_run.ti.cards[-1]["prompt"] == "then"


def test_what_is_finished_is_expected_no_more(task_run: TaskRun) -> None:
    display = Display(task_run.operator(), task_run.context())
    display.show(task_id="t", percent=90, expected_at=AT_NOW)
    display.finished()
    assert (task_run.ti.cards[-1]["percent"], task_run.ti.cards[-1]["expected_at"]) == (None, None)
