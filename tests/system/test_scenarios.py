"""Single renders in a real Airflow: what a user sees of each outcome, and what was bought."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from runs import Run

from airflow_provider_kling.demo.rest import RestError

if TYPE_CHECKING:
    from airflow_provider_kling.demo.local_airflow import LocalAirflow
    from airflow_provider_kling.simulator import KlingSimulator

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(400)]

Finish = Callable[[str], Run]


@pytest.fixture
def finish(airflow: LocalAirflow, scenarios: dict[str, str]) -> Finish:
    """Wait for a scenario's run."""

    def wait(dag_id: str) -> Run:
        return Run(airflow, dag_id, scenarios[dag_id], airflow.wait_for_run(dag_id, scenarios[dag_id]))

    return wait


@pytest.fixture
def bought(simulator: KlingSimulator) -> Callable[[str], int]:
    """How many renders were really bought for a scenario."""

    def count(scenario: str) -> int:
        return sum(render.body.get("prompt", "").startswith(f"{scenario}:") for render in simulator.accepted)

    return count


Bought = Callable[[str], int]


def test_a_prompt_becomes_a_saved_video_and_a_manifest(finish: Finish, bought: Bought) -> None:
    run = finish("ok")
    assert run.succeeded()
    assert bought("ok") == 1
    manifest = run.xcom()
    assert Path(manifest["saved_to"]).stat().st_size == manifest["bytes"]
    assert manifest["duration"] == 3
    assert run.xcom(key="task_id") == manifest["task_id"]


def test_the_task_leaves_a_card_with_all_that_its_manifest_tells(finish: Finish) -> None:
    run = finish("ok")
    assert run.succeeded()
    card, manifest = run.xcom(key="kling_render"), run.xcom()
    assert card["saved_at"]
    assert {name: card[name] for name in manifest if name != "finished_at"} == {
        name: value for name, value in manifest.items() if name != "finished_at"
    }


def test_the_card_of_a_failed_render_says_why_and_what_to_do(finish: Finish) -> None:
    card = finish("moderated_output").xcom(key="kling_render")
    assert card["status"] == "TASK_STATUS_FAILED"
    assert "refused by moderation" in card["failure"]
    assert "a clear buys a new render" in card["failure"]


def test_the_task_was_deferred_and_the_log_tells_the_story(finish: Finish) -> None:
    log = finish("ok").log()
    assert "Pausing task as DEFERRED" in log
    assert "Submitted render" in log
    assert "TASK_STATUS_SUCCEED" in log
    assert "Saved render" in log


def test_waiting_on_the_worker_ends_the_same(finish: Finish, bought: Bought) -> None:
    run = finish("on_worker")
    assert run.succeeded()
    assert bought("on_worker") == 1
    assert run.xcom()["video_url"]
    assert "DEFERRED" not in run.log()


def test_without_xcom_push_nothing_is_pushed(finish: Finish) -> None:
    run = finish("no_xcom")
    assert run.succeeded()
    for key in ("return_value", "task_id", "kling_render"):
        with pytest.raises(RestError, match="404"):
            run.xcom(key=key)


def test_a_failed_render_is_bought_anew_by_a_retry(finish: Finish, bought: Bought) -> None:
    run = finish("fails_once")
    assert run.succeeded()
    assert run.task()["try_number"] == 2
    assert bought("fails_once") == 2
    assert "RenderFailed" in run.log(1)
    assert "internal worker error" in run.log(1)


@pytest.mark.parametrize(("scenario", "purchases"), [("moderated_input", 0), ("moderated_output", 1)])
def test_moderation_is_never_retried(finish: Finish, bought: Bought, scenario: str, purchases: int) -> None:
    run = finish(scenario)
    assert run.task()["state"] == "failed"
    assert run.task()["try_number"] == 1
    assert bought(scenario) == purchases
    assert "ContentRejected" in run.log()
    assert "not retried" in run.log()


def test_a_trigger_rule_sees_the_failure(finish: Finish) -> None:
    assert finish("moderated_output").task("told")["state"] == "success"


def test_a_timed_out_render_is_waited_for_again_and_not_bought_again(finish: Finish, bought: Bought) -> None:
    run = finish("times_out")
    assert run.task()["state"] == "failed"
    assert run.task()["try_number"] == 2
    assert bought("times_out") == 1
    assert "RenderTimeout" in run.log(1)
    assert "pays nothing" in run.log(1)
    assert "has bought render" in run.log(2)


def test_execution_timeout_stops_a_worker_that_waits(finish: Finish, bought: Bought) -> None:
    run = finish("execution_times_out")
    assert run.state == "failed"
    assert bought("execution_times_out") == 1
    assert "It goes on and is paid" in run.log()


@pytest.mark.parametrize("scenario", ["rate_limited", "service_down"])
def test_a_refused_submit_steps_aside_without_a_retry(finish: Finish, bought: Bought, scenario: str) -> None:
    run = finish(scenario)
    assert run.succeeded()
    assert run.task()["try_number"] == 1
    assert bought(scenario) == 1
    assert "UP_FOR_RESCHEDULE" in run.log()
    assert "Nothing was bought; trying again" in run.log()


def test_a_lost_answer_is_never_sent_again(finish: Finish, bought: Bought) -> None:
    run = finish("uncertain")
    assert run.task()["state"] == "failed"
    assert run.task()["try_number"] == 1
    assert bought("uncertain") == 1
    assert "SubmitUncertain" in run.log()


def test_bad_input_behind_a_template_fails_without_a_request(finish: Finish, bought: Bought) -> None:
    run = finish("bad_input")
    assert run.task()["state"] == "failed"
    assert run.task()["try_number"] == 1
    assert bought("bad_input") == 0
    assert "duration='16': must be a whole number of seconds from 3 to 15" in run.log()


def test_a_refused_key_fails_without_a_retry(finish: Finish, bought: Bought) -> None:
    run = finish("bad_key")
    assert run.task()["state"] == "failed"
    assert run.task()["try_number"] == 1
    assert "AuthenticationFailed" in run.log()


def test_a_sensor_that_times_out_softly_is_skipped(finish: Finish) -> None:
    assert finish("sensor_times_out").task("wait")["state"] == "skipped"


def test_two_mapped_tasks_that_would_write_one_object_are_told_before_the_second_buys(
    finish: Finish, bought: Bought
) -> None:
    run = finish("same_target")
    assert run.state == "failed"
    assert bought("same_target") == 1
    states = {ti["state"]: ti["map_index"] for ti in run.airflow.task_instances(run.dag_id, run.run_id)}
    assert set(states) == {"success", "failed"}
    log = run.airflow.logs(run.dag_id, run.run_id, "render", 1, states["failed"])
    assert f"the mapped task {states['success']} of this run writes there too" in log
    assert "Nothing was sent or paid" in log
