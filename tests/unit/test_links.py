"""The link on the task's page is there as soon as the render's id is known, survives every end, and holds ids only."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from airflow.sdk import DAG
from hypothesis import given
from hypothesis import strategies as st
from task_runs import PROMPT, FakeTaskInstance, TaskDeferred, fired

from airflow_provider_kling import exceptions
from airflow_provider_kling._compat import AirflowException
from airflow_provider_kling.links import KlingVideoLink, VideoAddress, push_link
from airflow_provider_kling.operators.kling import KlingTextToVideoOperator
from airflow_provider_kling.provider_info import get_provider_info
from airflow_provider_kling.sensors.kling import KlingRenderSensor
from airflow_provider_kling.simulator import faults

if TYPE_CHECKING:
    from logs import Logs
    from task_runs import TaskRun

    from airflow_provider_kling.simulator import KlingSimulator

pytestmark = pytest.mark.kling_simulator(speed=1e6, short_side=90)

LINK = KlingVideoLink()
ADDRESS = VideoAddress(
    dag_id="films", run_id="test", task_id="render", map_index=-1, kling_conn_id="kling_default", render_id="r-1"
)
BASE_URL = "https://airflow.example/team/a"


@pytest.fixture(autouse=True)
def _base_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", BASE_URL + "/")


def _finalized(operator: Any, ti: Any) -> str:
    """What Airflow stores as the link when a run on a worker has ended, however it ended."""
    return LINK.get_link(operator, ti_key=ti)


def _task(**attributes: Any) -> Any:
    return SimpleNamespace(**{"render_id": "r-1", "kling_conn_id": "kling_default", **attributes})


def _ti(**fields: Any) -> Any:
    return FakeTaskInstance(journal=None, **fields)  # type: ignore[arg-type]


@given(
    st.builds(VideoAddress, **dict.fromkeys(("dag_id", "run_id", "task_id", "kling_conn_id", "render_id"), st.text()))
)
def test_an_address_survives_its_url(address: VideoAddress) -> None:
    assert VideoAddress.read(address.url("https://airflow.example")) == address
    assert VideoAddress.read(address.url("/")) == address


@pytest.mark.parametrize(
    "url",
    ["", "None", "https://elsewhere/x", "https://elsewhere/x?dag_id=films", ADDRESS.url("/") + "&more=1", "http://[x"]
    + [ADDRESS.url("/").replace("map_index=-1", f"map_index={bad}") for bad in ("", "x")],
)
def test_what_is_no_address_is_not_read_as_one(url: str) -> None:
    assert VideoAddress.read(url) is None


def test_the_link_leads_to_our_page_on_the_api_server() -> None:
    link = LINK.get_link(_task(), ti_key=_ti())
    assert link.startswith(f"{BASE_URL}/kling/video?")
    assert VideoAddress.read(link) == ADDRESS


def test_without_a_base_url_it_stays_on_the_server_that_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__API__BASE_URL")
    assert LINK.get_link(_task(), ti_key=_ti()).startswith("/kling/video?")


def test_each_mapped_task_instance_has_its_own() -> None:
    assert VideoAddress.read(LINK.get_link(_task(), ti_key=_ti(map_index=7))) == replace(ADDRESS, map_index=7)


def test_there_is_none_before_the_id_is_known() -> None:
    assert LINK.get_link(_task(render_id=None), ti_key=_ti()) == ""


def test_a_resume_that_breaks_early_keeps_what_was_pushed_before() -> None:
    asked: list[dict[str, Any]] = []

    class Resumed(FakeTaskInstance):
        def xcom_pull(self, task_ids: str, *, key: str, map_indexes: int | None = None) -> Any:
            asked.append({"task_ids": task_ids, "key": key, "map_indexes": map_indexes})
            return ADDRESS.url(BASE_URL)

    ti: Any = Resumed(journal=None, map_index=3)  # type: ignore[arg-type]
    assert LINK.get_link(_task(render_id=None), ti_key=ti) == ADDRESS.url(BASE_URL)
    assert asked == [{"task_ids": "render", "key": LINK.xcom_key, "map_indexes": 3}]


def test_a_link_that_can_not_be_pushed_fails_nothing(logs: Logs) -> None:
    ti = SimpleNamespace(dag_id="films", run_id="test", task_id="render", map_index=-1)
    push_link(KlingTextToVideoOperator(task_id="render", prompt=PROMPT), ti)
    assert "Could not push the link" in logs.text


@pytest.mark.parametrize("deferrable", [True, False])
def test_the_operator_has_it_as_soon_as_the_render_is_bought(task_run: TaskRun, deferrable: bool) -> None:
    """A worker may be killed right afterwards."""
    seen: list[str] = []
    task_run.simulator.inject(faults.Never(), on="render")
    operator = task_run.operator(deferrable=deferrable, timeout=0.2)
    with pytest.raises((TaskDeferred, exceptions.RenderTimeout)):
        operator.execute(task_run.context())
    seen += [task_run.ti.links[LINK.xcom_key], _finalized(operator, task_run.ti)]
    address = VideoAddress.read(seen[0])
    assert address == replace(ADDRESS, render_id=task_run.simulator.accepted[0].task_id)
    assert seen[0] == seen[1]


def test_it_holds_no_prompt_no_signed_link_and_no_key(task_run: TaskRun) -> None:
    task_run.attempt()
    link = task_run.ti.links[LINK.xcom_key]
    assert "fox" not in link.lower()
    assert urlsplit(task_run.simulator.base_url).netloc not in link
    assert task_run.simulator.api_key not in link


def test_it_is_pushed_even_when_nothing_else_is(task_run: TaskRun) -> None:
    task_run.attempt(do_xcom_push=False)
    assert task_run.ti.xcom == {}
    assert task_run.ti.links[LINK.xcom_key]


@pytest.mark.parametrize("fault", [None, faults.Fail("out of memory"), faults.Fail("content policy")])
def test_it_is_there_after_the_resume_whatever_became_of_the_render(task_run: TaskRun, fault: Any) -> None:
    if fault:
        task_run.simulator.inject(fault, on="render")
    deferred = task_run.defer()
    operator = task_run.operator()
    kwargs = {**(deferred.kwargs or {}), "event": fired(deferred.trigger)}
    try:
        operator.resume_execution(deferred.method_name, kwargs, task_run.context())
    except exceptions.KlingException:
        assert fault
    assert _finalized(operator, task_run.ti) == task_run.ti.links[LINK.xcom_key]


@pytest.mark.needs_task_state_store
def test_a_retry_that_is_refused_still_leads_to_the_moderated_render(task_run: TaskRun) -> None:
    task_run.simulator.inject(faults.Fail("content policy"), on="render")
    with pytest.raises(exceptions.ContentRejected):
        task_run.attempt()
    task_run.ti.links.clear()  # as Airflow does at every attempt
    operator = task_run.operator()
    with pytest.raises(exceptions.ContentRejected):
        operator.execute(task_run.context())
    address = VideoAddress.read(_finalized(operator, task_run.ti))
    assert address
    assert address.render_id == task_run.simulator.accepted[0].task_id


@pytest.mark.parametrize("deferrable", [True, False])
def test_the_sensor_has_it_from_the_start(task_run: TaskRun, deferrable: bool) -> None:
    sensor = KlingRenderSensor(
        task_id="render", kling_task_id=" r-1 ", deferrable=deferrable, timeout=0.05, poke_interval=0.01
    )
    task_run.simulator.inject(faults.NotFound(), on="poll", times=None)
    with pytest.raises((TaskDeferred, AirflowException)):
        sensor.execute(task_run.context())
    assert VideoAddress.read(task_run.ti.links[LINK.xcom_key]) == ADDRESS
    assert _finalized(sensor, task_run.ti) == task_run.ti.links[LINK.xcom_key]


def test_the_sensor_has_it_after_the_resume(task_run: TaskRun) -> None:
    sensor = KlingRenderSensor(task_id="render", kling_task_id="r-1")
    event = {"outcome": "failed", "task_id": "r-1", "reason": "out of memory"}
    with pytest.raises(exceptions.RenderFailed):
        sensor.execute_complete(task_run.context(), event)
    assert VideoAddress.read(_finalized(sensor, task_run.ti)) == ADDRESS


def test_mapped_tasks_have_it_too(kling_simulator: KlingSimulator) -> None:
    with DAG(dag_id="films", schedule=None):
        render = KlingTextToVideoOperator.partial(task_id="render").expand(prompt=["a", "b"])
        watch = KlingRenderSensor.partial(task_id="watch").expand(kling_task_id=["a", "b"])
    for mapped in (render, watch):
        assert [link.name for link in mapped.operator_extra_links] == ["Video"]


def test_airflow_is_told_of_it() -> None:
    assert get_provider_info()["extra-links"] == [f"{KlingVideoLink.__module__}.{KlingVideoLink.__name__}"]
