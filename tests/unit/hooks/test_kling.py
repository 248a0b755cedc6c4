"""A connection becomes a client: from JSON, URI or fields, with everything people paste."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_kling.api import errors
from airflow_provider_kling.api.account import clean_base_url
from airflow_provider_kling.api.models import RenderStatus, TextToVideo
from airflow_provider_kling.api.waiting import Outcome
from airflow_provider_kling.hooks import kling, sharing
from airflow_provider_kling.hooks.kling import KlingHook
from airflow_provider_kling.simulator import KlingSimulator, faults

if TYPE_CHECKING:
    from logs import Logs

pytestmark = pytest.mark.kling_simulator(speed=1e6, short_side=90)
VARIABLE = "AIRFLOW_CONN_KLING_DEFAULT"


def _connect(monkeypatch: pytest.MonkeyPatch, **fields: Any) -> None:
    monkeypatch.setenv(VARIABLE, json.dumps({"conn_type": "kling", "password": "sk_key", **fields}))


DEFAULT = "https://api.highwayapi.ai"
HOSTS: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, DEFAULT),
    "a name": ({"host": "api.jiekou.ai"}, "https://api.jiekou.ai"),
    "a name and port": ({"host": "api.jiekou.ai", "port": 8443}, "https://api.jiekou.ai:8443"),
    "a name with port": ({"host": "api.jiekou.ai:8443"}, "https://api.jiekou.ai:8443"),
    "one port is enough": ({"host": "api.jiekou.ai:8443", "port": 1}, "https://api.jiekou.ai:8443"),
    "a URL": ({"host": "https://api.jiekou.ai"}, "https://api.jiekou.ai"),
    "a URL and port": ({"host": "https://api.jiekou.ai", "port": 8443}, "https://api.jiekou.ai:8443"),
    "a slash": ({"host": "https://api.jiekou.ai/"}, "https://api.jiekou.ai"),
    "pasted /v3": ({"host": "https://api.jiekou.ai/v3"}, "https://api.jiekou.ai"),
    "pasted /v3/ and port": ({"host": "api.jiekou.ai/v3/", "port": 99}, "https://api.jiekou.ai:99"),
    "pasted /v3/async": ({"host": "https://api.jiekou.ai/v3/async"}, "https://api.jiekou.ai"),
    "pasted /openai": ({"host": "https://api.jiekou.ai/openai"}, "https://api.jiekou.ai"),
    "pasted /openai/v1/": ({"host": "https://api.jiekou.ai/openai/v1/"}, "https://api.jiekou.ai"),
    "a gateway's path": ({"host": "https://gateway.example/kling/v3"}, "https://gateway.example/kling"),
    "blanks": ({"host": "  api.jiekou.ai  "}, "https://api.jiekou.ai"),
    "schema": ({"host": "api.jiekou.ai", "schema": "https"}, "https://api.jiekou.ai"),
    "this machine": ({"host": "127.0.0.1", "port": 8080}, "http://127.0.0.1:8080"),
    "this machine by name": ({"host": "localhost:8080"}, "http://localhost:8080"),
    "this machine in IPv6": ({"host": "http://[::1]:8080"}, "http://[::1]:8080"),
    "bare IPv6": ({"host": "[::1]", "port": 8080}, "http://[::1]:8080"),
    "IPv6 URL and port": ({"host": "http://[::1]", "port": 8080}, "http://[::1]:8080"),
}


@pytest.mark.parametrize(("fields", "base_url"), HOSTS.values(), ids=HOSTS)
def test_the_base_url_is_put_together_from_what_people_paste(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], base_url: str
) -> None:
    _connect(monkeypatch, **fields)
    assert KlingHook().account().base_url == base_url


@pytest.mark.parametrize(
    ("uri", "base_url"),
    [
        ("kling://:sk_key@api.jiekou.ai", "https://api.jiekou.ai"),
        ("kling://:sk_key@api.jiekou.ai:8443", "https://api.jiekou.ai:8443"),
        ("kling://:sk_key@/?timeout=7", DEFAULT),
        ("kling://:sk_key@127.0.0.1:99/http?timeout=7&requests_per_second=2", "http://127.0.0.1:99"),
        ("kling://https://:sk_key@api.jiekou.ai:8443", "https://api.jiekou.ai:8443"),
    ],
)
def test_a_connection_may_be_a_uri(monkeypatch: pytest.MonkeyPatch, uri: str, base_url: str) -> None:
    monkeypatch.setenv(VARIABLE, uri)
    account = KlingHook().account()
    assert (account.base_url, account.api_key) == (base_url, "sk_key")
    assert account.timeout == (7 if "timeout" in uri else 30)


def test_the_extras_have_defaults_and_may_be_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def extras() -> tuple[float, float | None, float]:
        account = KlingHook().account()
        return account.timeout, account.requests_per_second, account.submits_per_minute

    _connect(monkeypatch)
    assert extras() == (30, 10, 30)
    _connect(monkeypatch, extra={"timeout": "2.5", "requests_per_second": "", "submits_per_minute": "60", "unknown": 1})
    assert extras() == (2.5, 10, 60)


@pytest.mark.parametrize("name", ["timeout", "requests_per_second", "submits_per_minute"])
@pytest.mark.parametrize("value", [0, -1, "soon", "nan", "inf", [1], {"a": 1}], ids=str)
def test_extras_that_are_no_number_above_zero_are_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: Any
) -> None:
    _connect(monkeypatch, extra={name: value})
    with pytest.raises(errors.InvalidConnection, match=f"kling_conn_id='kling_default' has {name}="):
        KlingHook().account()


@given(
    host=st.text(max_size=40) | st.text("ah1[]:/.@ ", max_size=20),
    port=st.none() | st.integers(0, 70000),
    schema=st.sampled_from([None, "http", "x"]),
)
def test_any_host_is_a_base_url_or_refused_with_a_sentence(host: str, port: int | None, schema: str | None) -> None:
    connection: Any = SimpleNamespace(host=host, port=port, schema=schema, password="sk_key", extra_dejson={})
    with contextlib.suppress(errors.InvalidConnection):
        account = KlingHook()._account_of(connection)
        assert account.base_url.startswith(("https://", "http://"))
        assert account.base_url == clean_base_url(account.base_url)


def test_a_key_is_trimmed_and_may_carry_the_word_bearer(monkeypatch: pytest.MonkeyPatch) -> None:
    _connect(monkeypatch, password=" Bearer sk_key\n")
    assert KlingHook().account().api_key == "sk_key"


async def test_both_ways_of_reading_a_missing_connection_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(errors.InvalidConnection, match=r"'kling_default' does not exist: create it in Admin"):
        await KlingHook().aaccount()
    with pytest.raises(errors.InvalidConnection, match=r"'kling_default' does not exist: create it in Admin"):
        await asyncio.to_thread(KlingHook().account)


async def test_both_ways_of_reading_a_connection_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    _connect(monkeypatch, host="api.jiekou.ai", extra={"timeout": 3})
    assert await KlingHook().aaccount() == await asyncio.to_thread(KlingHook().account)


def test_another_connection_id_is_read(kling_simulator: KlingSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", kling_simulator.connection_json)
    monkeypatch.delenv(VARIABLE)
    assert KlingHook("other").test_connection()[0]


def test_submit_then_ask(kling_simulator: KlingSimulator) -> None:
    task_id = KlingHook().submit(TextToVideo(prompt="a fox"), model="kling-v3.0-pro-t2v")
    render = KlingHook().get_render(task_id)
    assert (render.task_id, render.status) == (task_id, RenderStatus.SUCCEED)
    assert kling_simulator.accepted[0].model == "kling-v3.0-pro-t2v"
    assert kling_simulator.submits == kling_simulator.polls == 1


def test_testing_a_good_connection_costs_nothing(kling_simulator: KlingSimulator) -> None:
    good, words = KlingHook().test_connection()
    assert good
    assert kling_simulator.base_url in words
    assert (kling_simulator.submits, kling_simulator.polls) == (0, 1)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"password": "sk_wrong"}, "refuses the key"),
        ({"password": ""}, "no API key"),
        ({"host": "not a url"}, "no http(s) URL"),
        ({"extra": {"timeout": 0}}, "timeout=0.0"),
    ],
    ids=["wrong key", "no key", "no URL", "bad extra"],
)
def test_testing_a_bad_connection_says_what_is_wrong(
    kling_simulator: KlingSimulator, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], words: str
) -> None:
    _connect(monkeypatch, **{"host": kling_simulator.base_url, **fields})
    good, found = KlingHook().test_connection()
    assert not good
    assert words in found
    assert "sk_" not in found


def test_testing_a_connection_to_nobody_or_to_something_else_fails(
    kling_simulator: KlingSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        _connect(monkeypatch, host=f"http://127.0.0.1:{taken.getsockname()[1]}")
        assert KlingHook().test_connection()[0] is False
    _connect(monkeypatch, host=f"{kling_simulator.base_url}/somewhere", password="sk_simulator")
    assert KlingHook().test_connection()[0] is False
    monkeypatch.delenv(VARIABLE)
    assert KlingHook().test_connection()[0] is False


async def _await(task_id: str, patience: float = 30) -> Any:
    now = time.time()
    return await KlingHook().await_render(task_id=task_id, submitted_at=now, deadline=now + patience)


def _bought() -> str:
    return KlingHook().submit(TextToVideo(prompt="a fox"))


async def test_waiting_logs_a_line_per_change_and_never_the_link_or_the_key(
    kling_simulator: KlingSimulator, impatient: None, logs: Logs
) -> None:
    kling_simulator.hold()
    kling_simulator.inject(faults.UnknownStatus("TASK_STATUS_ARCHIVING"), on="poll", times=6)
    kling_simulator.inject(faults.BadGateway(), on="poll", times=4)
    task_id = await asyncio.to_thread(_bought)
    waiting = asyncio.create_task(_await(task_id))
    await asyncio.to_thread(kling_simulator.wait_for, lambda simulator: simulator.polls > 20)
    kling_simulator.finish()
    assert (await waiting).outcome is Outcome.SUCCEEDED
    lines = [line for line in logs.lines if line.startswith(f"Render {task_id}")]
    assert [line.split(",")[0].split()[2] for line in lines] == [
        "TASK_STATUS_ARCHIVING",
        "Asking",
        "TASK_STATUS_QUEUED" if "QUEUED" in lines[2] else "TASK_STATUS_PROCESSING",
        "TASK_STATUS_SUCCEED",
    ]
    assert all("s after the submit" in line and "s left" in line for line in lines)
    assert kling_simulator.api_key not in logs.text
    assert "/files/" not in logs.text
    assert "sign=" not in logs.text


async def test_a_long_wait_has_a_heartbeat(
    kling_simulator: KlingSimulator, impatient: None, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kling, "_HEARTBEAT", 0.0)
    kling_simulator.hold()
    task_id = await asyncio.to_thread(_bought)
    await _await(task_id, patience=0.3)
    lines = [line for line in logs.lines if line.startswith(f"Render {task_id}")]
    assert len(lines) == kling_simulator.polls > 1


async def test_trouble_in_airflow_itself_never_fails_a_paid_render(
    kling_simulator: KlingSimulator, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = await asyncio.to_thread(_bought)
    proper, calls = KlingHook.aget_connection, []

    async def troubled(conn_id: str) -> Any:
        calls.append(conn_id)
        if len(calls) < 8:
            raise RuntimeError("the API server does not answer")
        return await proper(conn_id)

    monkeypatch.setattr(KlingHook, "aget_connection", staticmethod(troubled))
    assert (await _await(task_id)).outcome is Outcome.SUCCEEDED
    assert not sharing._places
