"""What a person sees who follows the link: the video, or in plain words why not; and what nobody gets to see."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import BaseHook
from fastapi.testclient import TestClient

from airflow_provider_kling.api.models import TextToVideo
from airflow_provider_kling.api.video import open_video
from airflow_provider_kling.hooks.kling import KlingHook
from airflow_provider_kling.links import VideoAddress
from airflow_provider_kling.plugins import video
from airflow_provider_kling.plugins.app import app
from airflow_provider_kling.simulator import faults

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from airflow_provider_kling.simulator import KlingSimulator

pytestmark = pytest.mark.kling_simulator(speed=1e6, short_side=90)

Pushed = dict[str, VideoAddress | None]
ADDRESS = VideoAddress(
    dag_id="films", run_id="manual__2026-01-01T00:00:00+00:00", task_id="render", map_index=-1,
    kling_conn_id="kling_default", render_id="r-1",
)  # fmt: skip


@pytest.fixture
def stranger() -> TestClient:
    """Somebody without a session."""
    return TestClient(app, follow_redirects=False)


@pytest.fixture
def client(stranger: TestClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """Somebody whom Airflow lets in."""
    (route,) = (route for route in app.routes if getattr(route, "path", "") == "/video")
    (guard,) = route.dependencies  # type: ignore[attr-defined]
    monkeypatch.setitem(app.dependency_overrides, guard.dependency, lambda: None)
    with stranger:
        yield stranger


@pytest.fixture
def pushed(monkeypatch: pytest.MonkeyPatch) -> Pushed:
    """The link that the task instance has pushed."""
    holder: Pushed = {"link": ADDRESS}
    monkeypatch.setattr(video, "_pushed_link", lambda _: holder["link"])
    return holder


@pytest.fixture
def render_id(kling_simulator: KlingSimulator, pushed: Pushed) -> str:
    """A render that the task instance has bought."""
    return _buy(pushed)


def _buy(pushed: Pushed) -> str:
    render_id = KlingHook().submit(TextToVideo(prompt="a fox"))
    pushed["link"] = replace(ADDRESS, render_id=render_id)
    return render_id


def _follow(client: TestClient, **changed: Any) -> httpx.Response:
    answer: httpx.Response = client.get("/video", params={**asdict(ADDRESS), **changed})
    if answer.status_code != 303:
        assert answer.headers["content-type"].startswith("text/html")
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "script" not in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    return answer


def test_a_finished_render_leads_to_its_video(client: TestClient, render_id: str) -> None:
    answer = _follow(client, render_id=render_id)
    assert answer.status_code == 303
    with open_video(answer.headers["location"]) as download:
        assert b"ftyp" in next(download.chunks)[:16]


def test_the_link_is_asked_for_afresh_every_time(
    client: TestClient, render_id: str, kling_simulator: KlingSimulator
) -> None:
    for polls in (1, 2):
        _follow(client, render_id=render_id)
        assert kling_simulator.polls == polls


def test_a_render_that_goes_on_is_waited_for(
    client: TestClient, pushed: Pushed, kling_simulator: KlingSimulator
) -> None:
    kling_simulator.inject(faults.Never(), on="render")
    render_id = _buy(pushed)
    answer = _follow(client, render_id=render_id)
    assert answer.status_code == 200
    assert '<meta http-equiv="refresh" content="15">' in answer.text
    for word in ("being rendered", render_id, "TASK_STATUS_PROCESSING", "%"):
        assert word in answer.text


def test_it_leads_back_to_the_task(client: TestClient, pushed: Pushed, kling_simulator: KlingSimulator) -> None:
    pushed["link"] = replace(ADDRESS, dag_id='a"/b', map_index=4)
    answer = _follow(client, dag_id='a"/b', map_index=4)
    run = "manual__2026-01-01T00%3A00%3A00%2B00%3A00"
    assert f'href="../dags/a%22%2Fb/runs/{run}/tasks/render/mapped/4"' in answer.text
    pushed["link"] = ADDRESS
    assert f'href="../dags/films/runs/{run}/tasks/render"' in _follow(client).text


DEAD_ENDS = {
    "no link yet": (faults.NoLink(), 503, "gave no link", True),
    "unknown to the API": (faults.NotFound(), 404, "does not know this render", False),
    "key refused": (faults.ErrorBody(401, "FAILED_TO_AUTH"), 502, "refuses the key", False),
    "rate limited": (faults.RateLimited(), 503, "asks for a pause", True),
    "gateway in between": (faults.BadGateway(), 502, "can&#x27;t be asked now", True),
    "dropped": (faults.Drop(), 502, "can&#x27;t be asked now", True),
}


@pytest.mark.parametrize(("fault", "status", "words", "waits"), DEAD_ENDS.values(), ids=DEAD_ENDS)
def test_a_question_without_a_video_is_answered_in_plain_words(
    client: TestClient,
    render_id: str,
    kling_simulator: KlingSimulator,
    *,
    fault: Any,
    status: int,
    words: str,
    waits: bool,
) -> None:
    kling_simulator.inject(fault, on="poll", times=None)
    answer = _follow(client, render_id=render_id)
    assert answer.status_code == status
    assert words in answer.text
    assert render_id in answer.text
    assert ("http-equiv" in answer.text) is waits
    assert kling_simulator.api_key not in answer.text


@pytest.mark.parametrize(("reason", "advice"), [("out of memory", ""), ("content policy", "Change the prompt")])
def test_a_failed_render_says_why_and_what_to_do(
    client: TestClient, pushed: Pushed, kling_simulator: KlingSimulator, reason: str, advice: str
) -> None:
    kling_simulator.inject(faults.Fail(reason), on="render")
    render_id = _buy(pushed)
    answer = _follow(client, render_id=render_id)
    assert answer.status_code == 404
    for words in ("This render failed", reason, advice, "The task&#x27;s log says"):
        assert words in answer.text
    assert "http-equiv" not in answer.text


def test_a_failed_render_with_a_link_leads_nowhere(
    client: TestClient, render_id: str, kling_simulator: KlingSimulator
) -> None:
    _answer_with(kling_simulator, task={"status": "TASK_STATUS_FAILED"}, url="https://files.example/x.mp4")
    assert _follow(client, render_id=render_id).status_code == 404


@pytest.mark.parametrize(
    "url",
    ["http://files.example/x.mp4", "javascript:alert(1)", "//files.example/x", "https://[x", "file:///etc/passwd"],
)
def test_only_https_is_followed(client: TestClient, render_id: str, kling_simulator: KlingSimulator, url: str) -> None:
    _answer_with(kling_simulator, task={"status": "TASK_STATUS_SUCCEED"}, url=url)
    answer = _follow(client, render_id=render_id)
    assert answer.status_code == 502
    assert "not https" in answer.text
    assert "location" not in answer.headers


def test_words_from_outside_are_text_never_markup(
    client: TestClient, render_id: str, kling_simulator: KlingSimulator
) -> None:
    bad = '"><img src=x onerror=alert(1)><b>'
    _answer_with(kling_simulator, task={"status": "TASK_STATUS_FAILED", "reason": bad})
    answer = _follow(client, render_id=render_id)
    assert "&lt;img src=x" in answer.text
    assert "<img" not in answer.text
    assert "<b>" not in answer.text


def test_a_silent_api_does_not_keep_a_person_waiting(
    client: TestClient, render_id: str, kling_simulator: KlingSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "_PATIENCE", 0.2)
    kling_simulator.inject(faults.Hang(seconds=30), on="poll")
    started = time.monotonic()
    answer = _follow(client, render_id=render_id)
    assert time.monotonic() - started < 5
    assert answer.status_code == 502
    assert "can&#x27;t be asked now" in answer.text


@pytest.mark.parametrize(
    "changed",
    [{"map_index": 0}, *({name: "other"} for name in asdict(ADDRESS) if name != "map_index")],
    ids=lambda changed: next(iter(changed)),
)
def test_only_the_link_that_the_task_pushed_is_answered(
    client: TestClient, render_id: str, kling_simulator: KlingSimulator, changed: dict[str, Any]
) -> None:
    answer = _follow(client, **{"render_id": render_id, **changed})
    assert answer.status_code == 404
    assert "not the task&#x27;s" in answer.text
    assert kling_simulator.polls == 0


def test_a_task_that_has_pushed_nothing_yet_has_no_video(
    client: TestClient, pushed: Pushed, kling_simulator: KlingSimulator
) -> None:
    pushed["link"] = None
    assert _follow(client).status_code == 404
    assert kling_simulator.requests == []


@pytest.mark.parametrize("render_id", ["", "a b", "x" * 201, "a\nb"])
def test_what_is_no_id_is_asked_about_nowhere(
    client: TestClient, pushed: Pushed, kling_simulator: KlingSimulator, render_id: str
) -> None:
    pushed["link"] = replace(ADDRESS, render_id=render_id)
    assert _follow(client, render_id=render_id).status_code == 400
    assert kling_simulator.requests == []


CONNECTIONS = {
    "missing": None,
    "without a key": {"conn_type": "kling"},
    "of another service": {"conn_type": "http", "password": "sk_of_another_service"},
}


@pytest.mark.parametrize("connection", CONNECTIONS.values(), ids=CONNECTIONS)
def test_a_connection_that_is_not_klings_is_not_used(
    client: TestClient,
    render_id: str,
    kling_simulator: KlingSimulator,
    monkeypatch: pytest.MonkeyPatch,
    connection: dict[str, Any] | None,
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_KLING_DEFAULT")
    if connection:
        host = {"host": kling_simulator.base_url}
        monkeypatch.setenv("AIRFLOW_CONN_KLING_DEFAULT", json.dumps(connection | host))
    answer = _follow(client, render_id=render_id)
    assert answer.status_code == 400
    assert "connection can&#x27;t be used" in answer.text
    assert "sk_of_another_service" not in answer.text
    assert kling_simulator.polls == 0


def test_the_api_servers_event_loop_reads_no_connection(
    client: TestClient, render_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_a_loop: list[bool] = []
    proper = BaseHook.get_connection

    def get_connection(conn_id: str) -> Any:
        in_a_loop.append(asyncio._get_running_loop() is not None)
        return proper(conn_id)

    monkeypatch.setattr(BaseHook, "get_connection", staticmethod(get_connection))
    assert _follow(client, render_id=render_id).status_code == 303
    assert in_a_loop == [False]


def test_without_a_session_there_is_nothing_to_see(
    stranger: TestClient, render_id: str, kling_simulator: KlingSimulator
) -> None:
    answer = _follow(stranger, render_id=render_id)
    assert answer.status_code == 401
    assert "Sign in to Airflow" in answer.text
    assert render_id not in answer.text
    assert kling_simulator.polls == 0


@pytest.mark.parametrize("missing", ["dag_id", "run_id", "map_index", "render_id"])
def test_half_a_link_is_no_link(client: TestClient, missing: str) -> None:
    answer = client.get("/video", params={name: value for name, value in asdict(ADDRESS).items() if name != missing})
    assert answer.status_code == 400
    assert "not complete" in answer.text


def test_there_is_nothing_else_here(client: TestClient) -> None:
    for path in ("/", "/docs", "/openapi.json"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert "no such page" in answer.text


def _answer_with(simulator: KlingSimulator, *, task: dict[str, Any], url: str | None = None) -> None:
    videos = [{"video_url": url}] if url else []
    simulator.inject(faults.RawAnswer(200, json.dumps({"task": task, "videos": videos})), on="poll")
