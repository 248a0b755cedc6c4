"""A retry that pays nothing goes on, a retry that buys is counted; and Airflow takes the policy as it is."""

from __future__ import annotations

import copy
import importlib
import json
import pickle
import socket
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG

from airflow_provider_kling import exceptions
from airflow_provider_kling._compat import AirflowFailException
from airflow_provider_kling.api import waiting
from airflow_provider_kling.api.models import TextToVideo
from airflow_provider_kling.hooks.kling import KlingHook
from airflow_provider_kling.operators.kling import KlingTextToVideoOperator
from airflow_provider_kling.sensors.kling import KlingRenderSensor
from airflow_provider_kling.simulator import faults

if TYPE_CHECKING:
    from pathlib import Path

    from airflow.sdk import RetryDecision
    from logs import Logs
    from task_runs import TaskRun

    from airflow_provider_kling.exceptions import KlingException
    from airflow_provider_kling.retry_policy import KlingRetryPolicy
    from airflow_provider_kling.simulator.faults import Fault

pytestmark = pytest.mark.kling_simulator(speed=1e6, short_side=90)
with_policies = pytest.mark.needs_task_state_store  # they came with the same Airflow

TASK_DELAY = timedelta(minutes=5)
FREE = timedelta(minutes=2)
BALANCE = timedelta(minutes=10)
AIRFLOWS_LONGEST_REASON = 500


def _policy(**arguments: Any) -> KlingRetryPolicy:
    from airflow_provider_kling.retry_policy import KlingRetryPolicy

    return KlingRetryPolicy(**arguments)


def _failure(run: TaskRun, **arguments: Any) -> KlingException:
    """What an attempt fails with."""
    with pytest.raises(exceptions.KlingException) as failure:
        run.attempt(**arguments)
    return failure.value


def _ask(run: TaskRun, error: BaseException, **arguments: Any) -> RetryDecision:
    """What the policy says about it, on the worker."""
    run.ti.task = run.operator(retry_delay=TASK_DELAY)
    decision = _policy(**arguments).evaluate(error, try_number=1, max_tries=2, context=run.context())
    assert len(decision.reason or "") <= AIRFLOWS_LONGEST_REASON
    return decision


def _says(decision: RetryDecision) -> tuple[str, timedelta | None, str | None]:
    return decision.action.value, decision.retry_delay, decision.reason


def _fails_in_render(run: TaskRun, times: int | None = None) -> None:
    run.simulator.inject(faults.Fail("out of memory"), on="render", times=times)


def _never_known(run: TaskRun) -> None:
    run.simulator.inject(faults.NotFound(), on="poll", times=None)


@pytest.fixture
def _lost_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "LOST_AFTER", 0.05)


@with_policies
@pytest.mark.usefixtures("_lost_soon")
@pytest.mark.parametrize(("trouble", "kind"), [(_fails_in_render, "RenderFailed"), (_never_known, "RenderLost")])
def test_a_retry_may_buy_anew_until_the_limit_is_reached(task_run: TaskRun, trouble: Any, kind: str) -> None:
    trouble(task_run)
    failure = _failure(task_run)
    assert type(failure) is getattr(exceptions, kind)
    assert _says(_ask(task_run, failure)) == (
        "retry",
        None,
        "Renders bought by this task: 1 (max_renders=2). A retry buys another one.",
    )
    failure = _failure(task_run)
    assert task_run.simulator.submits == 2
    assert _says(_ask(task_run, failure)) == (
        "fail",
        None,
        "Renders bought by this task: 2 (max_renders=2). No retry buys another one; a clear does.",
    )
    assert _ask(task_run, failure, max_renders=3).action.value == "retry"


@with_policies
def test_a_clear_buys_one_more_and_only_one(task_run: TaskRun) -> None:
    _fails_in_render(task_run)
    assert _ask(task_run, _failure(task_run), max_renders=1).action.value == "fail"
    task_run.clear()
    decision = _ask(task_run, _failure(task_run), max_renders=1)
    assert task_run.simulator.submits == 2
    assert _says(decision)[::2] == (
        "fail",
        "Renders bought by this task: 2 (max_renders=1). No retry buys another one; a clear does.",
    )


@with_policies
def test_a_refused_submit_after_a_clear_is_tried_again_as_nothing_was_bought(task_run: TaskRun) -> None:
    _fails_in_render(task_run, times=1)
    _failure(task_run)
    task_run.clear()
    task_run.simulator.inject(faults.RawAnswer(402), on="submit")
    assert _ask(task_run, _failure(task_run), max_renders=1).action.value == "retry"
    assert task_run.attempt()["status"] == "TASK_STATUS_SUCCEED"


@with_policies
def test_an_uncertain_submit_counts_as_bought(task_run: TaskRun) -> None:
    task_run.simulator.inject(faults.Drop(accept=True), on="submit", times=None)
    failure = _failure(task_run, on_uncertain_submit="resubmit")
    assert type(failure) is exceptions.SubmitUncertainResubmit
    assert (task_run.phase, task_run.store.record and task_run.store.record["generation"]) == ("intent", 1)
    assert _says(_ask(task_run, failure)) == (
        "retry",
        None,
        "Renders bought by this task: 1, the last one perhaps (max_renders=2). A retry buys another one.",
    )
    failure = _failure(task_run, on_uncertain_submit="resubmit")
    assert (task_run.phase, task_run.store.record and task_run.store.record["generation"]) == ("intent", 2)
    assert _says(_ask(task_run, failure)) == (
        "fail",
        None,
        "Renders bought by this task: 2, the last one perhaps (max_renders=2). No retry buys another one; "
        "a clear does.",
    )


GOES_ON = "The render is paid: a retry goes on with it and pays nothing"
UNLESS = ", unless it has failed or the inputs have changed by then: that retry buys another one"
PAID = {
    "deadline": (faults.UnknownStatus(), "poll", "RenderTimeout", f"{GOES_ON}{UNLESS}."),
    "key refused": (faults.ErrorBody(401, "FAILED_TO_AUTH"), "poll", "AuthenticationLost", f"{GOES_ON}{UNLESS}."),
    "no link": (faults.NoLink(), "poll", "VideoUnavailable", f"{GOES_ON}{UNLESS}."),
    "no video": (faults.Html(), "download", "VideoUnavailable", f"{GOES_ON}."),
}


@with_policies
@pytest.mark.parametrize(("fault", "stage", "kind", "reason"), PAID.values(), ids=PAID)
def test_what_is_paid_is_gone_on_with_whatever_the_limit(
    task_run: TaskRun, tmp_path: Path, *, fault: Fault, stage: Any, kind: str, reason: str
) -> None:
    task_run.simulator.inject(fault, on=stage, times=None)
    arguments = {"save_to": str(tmp_path / "a.mp4")}
    failure = _failure(task_run, **arguments, timeout=0.3 if kind == "RenderTimeout" else 60)
    assert type(failure) is getattr(exceptions, kind)
    assert _says(_ask(task_run, failure, max_renders=1)) == ("retry", FREE, reason)
    assert _ask(task_run, failure, free_delay=timedelta(0)).retry_delay == timedelta(0)
    task_run.simulator.clear_faults()
    task_run.attempt(**arguments)
    assert task_run.simulator.submits == 1


@with_policies
def test_a_retry_that_finds_its_render_failed_buys_before_the_policy_can_say_no(task_run: TaskRun) -> None:
    """The one purchase that the policy's words announce and its limit does not stop."""
    _fails_in_render(task_run)
    task_run.simulator.inject(faults.UnknownStatus(), on="poll", times=None)
    failure = _failure(task_run, timeout=0.3)
    assert "unless it has failed or the inputs have changed by then" in str(
        _ask(task_run, failure, max_renders=1).reason
    )
    task_run.simulator.clear_faults()
    task_run.simulator.finish()
    task_run.attempt()
    assert task_run.simulator.submits == 2


REFUSED = {
    "balance": (faults.RawAnswer(402), "BalanceTooLow", BALANCE),
    "429": (faults.RateLimited(), "RateLimited", None),
    "429 for long": (faults.RateLimited(retry_after=7200), "RateLimited", timedelta(hours=2)),
    "429 for a moment": (faults.RateLimited(retry_after=3), "RateLimited", None),
    "503": (faults.ErrorBody(503, "SERVICE_NOT_AVAILABLE"), "ServiceUnavailable", None),
}
PATIENT = "This attempt bought nothing: a retry tries the same purchase again."


@with_policies
@pytest.mark.parametrize(("fault", "kind", "delay"), REFUSED.values(), ids=REFUSED)
def test_a_refused_submit_waits_for_as_long_as_it_takes(
    task_run: TaskRun, fault: Fault, kind: str, delay: timedelta | None
) -> None:
    task_run.simulator.inject(fault, on="submit")
    failure = _failure(task_run, timeout=0.1)
    assert type(failure) is getattr(exceptions, kind)
    assert _says(_ask(task_run, failure, max_renders=1)) == ("retry", delay, PATIENT)


@with_policies
def test_an_api_out_of_reach_waits_the_tasks_own_delay(task_run: TaskRun, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        nobody = f"http://127.0.0.1:{server.getsockname()[1]}"
    monkeypatch.setenv(
        "AIRFLOW_CONN_KLING_DEFAULT", json.dumps({"conn_type": "kling", "host": nobody, "password": "x"})
    )
    failure = _failure(task_run, timeout=0.1)
    assert type(failure) is exceptions.Unreachable
    assert _says(_ask(task_run, failure)) == ("retry", None, PATIENT)


@with_policies
def test_the_balance_gets_its_time_but_never_less_than_the_task_or_the_service_wants(task_run: TaskRun) -> None:
    failure = exceptions.BalanceTooLow("x")
    assert _ask(task_run, failure, balance_delay=timedelta(minutes=6)).retry_delay == timedelta(minutes=6)
    assert _ask(task_run, failure, balance_delay=timedelta(minutes=4)).retry_delay is None
    assert _ask(task_run, exceptions.BalanceTooLow("x", retry_after=3600)).retry_delay == timedelta(hours=1)


@with_policies
def test_a_store_that_does_not_work_is_asked_again_soon(task_run: TaskRun) -> None:
    task_run.store.read_error = ConnectionError("api-server is gone")
    failure = _failure(task_run)
    assert type(failure) is exceptions.LedgerUnavailable
    assert _says(_ask(task_run, failure)) == (
        "retry",
        FREE,
        "This attempt bought nothing, and a retry buys nothing as long as the record of it does not work.",
    )
    _failure(task_run)
    assert task_run.simulator.submits == 0


@with_policies
@pytest.mark.parametrize("broken", ["gone", "garbage"])
def test_a_record_that_cannot_be_read_buys_nothing_and_costs_no_video(task_run: TaskRun, broken: str) -> None:
    _fails_in_render(task_run)
    failure = _failure(task_run)
    if broken == "gone":
        task_run.store.read_error = ConnectionError("api-server is gone")
    else:
        task_run.store.change(v=2)
    decision = _ask(task_run, failure, max_renders=9)
    assert decision.action.value == "fail"
    assert str(decision.reason).startswith("The record of what this task has bought can't be read, so no retry may buy")
    decision = _ask(task_run, exceptions.VideoUnavailable("x", task_id="abc"))
    assert (decision.action.value, decision.retry_delay) == ("retry", FREE)
    assert "a retry buys nothing as long as that is so" in str(decision.reason)


@with_policies
@pytest.mark.parametrize("phase", ["intent", "nothing"])
def test_a_paid_render_that_is_not_on_record_is_not_bought_again(task_run: TaskRun, phase: str) -> None:
    """With on_uncertain_submit="resubmit" a retry would."""
    task_run.simulator.inject(faults.Html(), on="download", times=None)
    failure = _failure(task_run, save_to="/tmp/never-written.mp4")
    if phase == "intent":
        task_run.store.change(phase="intent", task_id=None)
    else:
        task_run.store.clear()
    assert _says(_ask(task_run, failure)) == (
        "fail",
        None,
        "The render is paid, but its id is not on record, so no retry can go on with it. Fetch it with "
        f"KlingRenderSensor(kling_task_id='{task_run.simulator.accepted[0].task_id}'); a clear buys a new one.",
    )


@with_policies
def test_without_a_record_or_a_context_no_retry_buys(task_run: TaskRun) -> None:
    why = "There is no record of what this task has bought, so no retry may buy another render. A clear buys one."
    assert _says(_ask(task_run, exceptions.RenderFailed("x"))) == ("fail", None, why)
    for kind, action in {"RenderFailed": "fail", "RenderTimeout": "fail", "BalanceTooLow": "retry"}.items():
        decision = _policy().evaluate(getattr(exceptions, kind)("x"), try_number=1, max_tries=2)
        assert decision.action.value == action


@with_policies
def test_what_is_not_ours_is_left_to_airflow(task_run: TaskRun) -> None:
    for error in (ValueError("x"), KeyboardInterrupt(), SystemExit(1)):
        assert _says(_ask(task_run, error)) == ("default", None, None)


@with_policies
def test_a_sensor_buys_nothing_and_is_left_to_airflow(task_run: TaskRun) -> None:
    _fails_in_render(task_run)
    bought = KlingHook().submit(TextToVideo(prompt="a fox"))
    task_run.simulator.finish()
    sensor = KlingRenderSensor(task_id="wait", kling_task_id=bought, deferrable=False, poke_interval=0.01)
    with pytest.raises(exceptions.RenderFailed) as failure:
        sensor.execute(task_run.context())
    task_run.ti.task = sensor
    decision = _policy().evaluate(failure.value, try_number=1, max_tries=2, context=task_run.context())
    assert _says(decision) == ("default", None, None)


@with_policies
def test_it_has_a_word_for_every_failure_that_airflow_asks_about(task_run: TaskRun) -> None:
    for kind in vars(exceptions).values():
        if isinstance(kind, type) and issubclass(kind, exceptions.KlingException):
            asked = not issubclass(kind, AirflowFailException)
            decision = _ask(task_run, kind("x")) if asked else None
            assert decision is None or (decision.action.value != "default" and decision.reason), kind


@with_policies
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"max_renders": 0}, "max_renders=0: must be a whole number from 1"),
        ({"max_renders": "2"}, "max_renders='2': must be a whole number from 1"),
        ({"free_delay": 30}, "free_delay=30: must be a timedelta from 0"),
        ({"balance_delay": timedelta(seconds=-1)}, r"balance_delay=datetime.timedelta\(.*\): must be a timedelta from"),
    ],
)
def test_a_mistake_is_found_when_the_dag_is_parsed(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        _policy(**arguments)


@with_policies
def test_its_arguments_have_names(task_run: TaskRun) -> None:
    from airflow_provider_kling.retry_policy import KlingRetryPolicy

    with pytest.raises(TypeError):
        KlingRetryPolicy(3)  # type: ignore[call-arg]


@with_policies
def test_it_can_be_copied_and_is_written_down_the_same_in_every_parse() -> None:
    policy = _policy(max_renders=3)
    assert copy.deepcopy(policy) == pickle.loads(pickle.dumps(policy)) == policy != _policy()
    assert repr(policy) == repr(_policy(max_renders=3))


def _dags(policy: KlingRetryPolicy) -> tuple[DAG, DAG]:
    """The policy wherever it may be given."""
    with DAG(dag_id="policies", schedule=None, default_args={"retry_policy": policy}) as dag:
        KlingTextToVideoOperator(task_id="by_default", prompt="a")
        KlingTextToVideoOperator.partial(task_id="mapped_by_default").expand(prompt=["a", "b"])
    with DAG(dag_id="own", schedule=None) as own:
        KlingTextToVideoOperator(task_id="its_own", prompt="a", retry_policy=policy)
        KlingTextToVideoOperator.partial(task_id="mapped", retry_policy=policy).expand(prompt=["a", "b"])
    return dag, own


@with_policies
def test_a_dag_with_it_is_serialized_without_it_and_knows_that_there_is_one() -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    for dag, same in zip(_dags(_policy()), _dags(_policy()), strict=True):
        data = DagSerialization.to_dict(dag)
        text = json.dumps(data, sort_keys=True)
        assert text == json.dumps(DagSerialization.to_dict(same), sort_keys=True), (
            "else each parse is a new DAG version"
        )
        assert "KlingRetryPolicy" not in text
        read = DagSerialization.from_dict(json.loads(text))
        assert [task.has_retry_policy for task in read.tasks] == [True, True]


@with_policies
def test_a_worker_finds_it_on_every_task() -> None:
    for dag in _dags(_policy(max_renders=3)):
        for task in dag.tasks:
            operator = task.unmap({"prompt": "a"}) if task.is_mapped else task
            assert operator.retry_policy == _policy(max_renders=3)


def _airflow_decides(run: TaskRun, error: BaseException, policy: KlingRetryPolicy) -> Any:
    """What the worker tells the scheduler."""
    from airflow.sdk.execution_time import task_runner

    run.ti.task = run.operator(retry_policy=policy, retry_delay=TASK_DELAY)
    ti: Any = SimpleNamespace(
        task=run.ti.task,
        try_number=1,
        max_tries=2,
        stats_tags={},
        rendered_map_index=None,
        _failure_metrics_emitted=False,
        _ti_context_from_server=SimpleNamespace(max_tries=2, should_retry=True),
    )
    return task_runner._handle_current_task_failed(ti, error, task_runner.log, run.context())[0]


@with_policies
def test_airflow_does_as_it_says(task_run: TaskRun, tmp_path: Path, logs: Logs) -> None:
    task_run.simulator.inject(faults.Html(), on="download", times=None)
    message = _airflow_decides(task_run, _failure(task_run, save_to=str(tmp_path / "a.mp4")), _policy())
    assert (message.state, message.retry_delay_seconds) == ("up_for_retry", FREE.total_seconds())
    assert message.retry_reason == f"{GOES_ON}."
    task_run.store.change(phase="failed")
    message = _airflow_decides(task_run, exceptions.RenderFailed("x"), _policy())
    assert (message.state, message.retry_delay_seconds) == ("up_for_retry", None)
    message = _airflow_decides(task_run, exceptions.RenderFailed("x"), _policy(max_renders=1))
    assert (type(message).__name__, message.state) == ("TaskState", "failed")
    (line,) = (line for line in logs.lines if "fail" in line and "No retry buys another one; a clear does." in line)
    assert "Retry policy decision" in line
    assert "Retry policy evaluation failed" not in logs.text


def test_before_airflow_33_the_import_says_what_to_do_instead() -> None:
    try:
        from airflow.sdk import RetryPolicy  # noqa: F401
    except ImportError:
        with pytest.raises(ImportError, match=r"needs Airflow 3\.3 or later, .* set retries=0") as failure:
            importlib.import_module("airflow_provider_kling.retry_policy")
        assert failure.value.__suppress_context__
        assert "\n" not in str(failure.value)
    else:
        pytest.skip("this Airflow has retry policies")
