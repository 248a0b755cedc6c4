"""Neither the key nor a signed link shows where people look: logs, exceptions, reprs, the trigger's row, the record."""

from __future__ import annotations

import asyncio
import json
import time
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_kling import exceptions
from airflow_provider_kling._compat import AirflowRescheduleException
from airflow_provider_kling.api.models import TextToVideo
from airflow_provider_kling.hooks.kling import KlingHook
from airflow_provider_kling.hooks.sharing import shared_client
from airflow_provider_kling.sensors.kling import KlingRenderSensor
from airflow_provider_kling.simulator import faults

if TYPE_CHECKING:
    from pathlib import Path

    from logs import Logs
    from task_runs import TaskRun

    from airflow_provider_kling.simulator.faults import Fault

KEY = "sk_do_not_show_me_0123456789"
pytestmark = pytest.mark.kling_simulator(speed=1e6, short_side=90, api_key=KEY)
LINK = ("sign=", "/files/")


def _shows_nothing(text: str) -> None:
    for secret in (KEY, *LINK):
        assert secret not in text


@pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "on the worker"])
def test_a_good_run_logs_neither_key_nor_link(
    task_run: TaskRun, tmp_path: Path, logs: Logs, capfd: Any, deferrable: bool
) -> None:
    task_run.attempt(save_to=str(tmp_path / "fox.mp4"), deferrable=deferrable)
    assert "Submitted render" in logs.text
    _shows_nothing(logs.text)
    _shows_nothing("".join(capfd.readouterr()))


@pytest.mark.parametrize(
    ("fault", "on"),
    [
        (faults.ErrorBody(401, "FAILED_TO_AUTH", f"bad key {KEY}"), "submit"),
        (faults.ErrorBody(400, "INVALID_REQUEST_BODY", f"you sent {KEY}"), "submit"),
        (faults.RawAnswer(502, f"Authorization: Bearer {KEY}"), "submit"),
        (faults.Drop(), "submit"),
        (faults.RateLimited(), "submit"),
        (faults.ErrorBody(401, "FAILED_TO_AUTH", f"bad key {KEY}"), "poll"),
        (faults.RawAnswer(502, f"Authorization: Bearer {KEY}"), "poll"),
        (faults.Fail("out of memory"), "render"),
        (faults.ExpiredLink(), "download"),
        (faults.Torn(), "download"),
        (faults.Html(), "download"),
        (faults.Redirect("http://elsewhere.example/files/x.mp4?sign=1"), "download"),
    ],
    ids=str,
)
def test_no_failure_shows_key_or_link(task_run: TaskRun, tmp_path: Path, logs: Logs, fault: Fault, on: str) -> None:
    task_run.simulator.inject(fault, on=on, times=None)
    with pytest.raises((exceptions.KlingException, AirflowRescheduleException)) as failure:
        task_run.attempt(save_to=str(tmp_path / "fox.mp4"), timeout=0.5 if on == "poll" else 3600)
    _shows_nothing("".join(traceback.format_exception(failure.value)))
    _shows_nothing(repr(vars(failure.value)))
    _shows_nothing(logs.text)


def test_the_triggers_row_and_the_deferral_hold_no_secret(task_run: TaskRun) -> None:
    deferred = task_run.defer(prompt="Mum's surprise party")
    row = json.dumps([deferred.trigger.serialize(), deferred.kwargs])
    _shows_nothing(row)
    assert "surprise" not in row
    _shows_nothing(repr(deferred.trigger))
    assert set(task_run.ti.xcom) == {"task_id"}


@pytest.mark.needs_task_state_store
def test_the_record_of_a_render_on_its_way_holds_no_secret(task_run: TaskRun) -> None:
    task_run.crash("after", "rendered", prompt="Mum's surprise party")
    row = json.dumps(task_run.store.record)
    _shows_nothing(row)
    assert "surprise" not in row


async def test_no_repr_shows_the_key(task_run: TaskRun) -> None:
    hook = KlingHook()
    account = await asyncio.to_thread(hook.account)
    assert account.api_key == KEY
    with await asyncio.to_thread(hook.get_conn) as client:
        render = client.get_render(client.submit(TextToVideo(prompt="a fox")))
        assert render.video_url
        async with shared_client("kling_default", hook.aaccount) as shared:
            things = [hook, account, client, shared, vars(shared), render, task_run.operator(), vars(hook)]
            for thing in things:
                _shows_nothing(f"{thing!r} {thing!s}")


def test_testing_a_connection_does_not_show_its_key(task_run: TaskRun, logs: Logs) -> None:
    task_run.simulator.inject(faults.ErrorBody(401, "FAILED_TO_AUTH", f"bad key {KEY}"), on="poll")
    for _ in range(2):
        _shows_nothing(KlingHook().test_connection()[1])
    _shows_nothing(logs.text)


def test_the_sensor_shows_nothing_either(task_run: TaskRun, logs: Logs) -> None:
    task_id = KlingHook().submit(TextToVideo(prompt="a fox"))
    task_run.simulator.inject(faults.RawAnswer(502, f"Authorization: Bearer {KEY}"), on="poll")
    sensor = KlingRenderSensor(task_id="wait", kling_task_id=task_id, deferrable=False, poke_interval=0)
    assert sensor.execute(task_run.context())["video_url"]
    _shows_nothing(logs.text)


async def test_a_wait_shows_nothing_either(task_run: TaskRun, logs: Logs) -> None:
    task_id = await asyncio.to_thread(lambda: KlingHook().submit(TextToVideo(prompt="a fox")))
    task_run.simulator.inject(faults.ErrorBody(403, "ACCESS_DENY", f"Bearer {KEY}"), on="poll", times=2)
    now = time.time()
    await KlingHook().await_render(task_id=task_id, submitted_at=now, deadline=now + 30)
    assert "ACCESS_DENY" in logs.text
    _shows_nothing(logs.text)
