"""Each way to misbehave, as a client sees it."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from airflow_provider_kling.simulator import KlingSimulator, faults

STAGES = ["submit", "poll", "download"]


@pytest.fixture
def ask(caller: Any, simulator: KlingSimulator) -> Any:
    """Return a function that makes one request of a stage."""
    link = caller.link()
    task_id = simulator.accepted[0].task_id
    simulator.reset()
    calls = {
        "submit": caller.submit,
        "poll": lambda: caller.poll(task_id),
        "download": lambda: caller.http.get(link),
    }
    return lambda on: calls[on]()


@pytest.mark.parametrize("on", STAGES)
def test_delay(ask: Any, simulator: KlingSimulator, on: str) -> None:
    simulator.inject(faults.Delay(0.2), on=on)
    began = time.perf_counter()
    assert ask(on).status_code == 200
    assert time.perf_counter() - began >= 0.2


@pytest.mark.parametrize("on", STAGES)
def test_rate_limited(ask: Any, simulator: KlingSimulator, on: str) -> None:
    date = "Wed, 21 Oct 2026 07:28:00 GMT"
    for wait, header in ((None, None), (3, "3"), (date, date)):
        simulator.inject(faults.RateLimited(wait), on=on)
        answer = ask(on)
        assert (answer.status_code, answer.json()["reason"]) == (429, "RATE_LIMIT_EXCEEDED")
        assert answer.headers.get("retry-after") == header
    assert simulator.accepted == []


@pytest.mark.parametrize("on", STAGES)
def test_error_body(ask: Any, simulator: KlingSimulator, on: str) -> None:
    simulator.inject(faults.ErrorBody(503, "SERVICE_NOT_AVAILABLE", "busy", {"a": "b"}), on=on)
    simulator.inject(faults.ErrorBody(200, "NOT_ENOUGH_BALANCE", code=403), on=on)
    busy, poor = ask(on), ask(on)
    assert (busy.status_code, busy.json()) == (
        503,
        {"code": 503, "reason": "SERVICE_NOT_AVAILABLE", "message": "busy", "metadata": {"a": "b"}},
    )
    assert (poor.status_code, poor.json()["code"]) == (200, 403)
    assert simulator.accepted == []


@pytest.mark.parametrize("on", STAGES)
def test_raw_answer_and_redirect(ask: Any, simulator: KlingSimulator, on: str) -> None:
    simulator.inject(faults.RawAnswer(418, "short", {"X-Trace": "t", "server": "x"}), on=on)
    simulator.inject(faults.Redirect("https://elsewhere.example/", 307), on=on)
    raw, moved = ask(on), ask(on)
    assert (raw.status_code, raw.text, raw.headers["x-trace"]) == (418, "short", "t")
    assert raw.headers.get_list("server") == ["x"]
    assert (moved.status_code, moved.headers["location"]) == (307, "https://elsewhere.example/")
    assert simulator.accepted == []


@pytest.mark.parametrize("accept", [True, False])
def test_bad_gateway_and_garbage(ask: Any, simulator: KlingSimulator, accept: bool) -> None:
    simulator.inject(faults.BadGateway(504, accept=accept))
    simulator.inject(faults.Garbage(accept=accept))
    page, garbage = ask("submit"), ask("submit")
    assert (page.status_code, page.headers["content-type"]) == (504, "text/html")
    assert garbage.status_code == 200
    with pytest.raises(ValueError, match="Expecting value"):
        garbage.json()
    assert len(simulator.accepted) == 2 * accept
    assert [r.answered for r in simulator.requests] == [504, 200]


@pytest.mark.parametrize("accept", [True, False])
def test_drop(ask: Any, simulator: KlingSimulator, accept: bool) -> None:
    simulator.inject(faults.Drop(accept=accept))
    with pytest.raises(httpx.ReadError):  # a FIN would be a RemoteProtocolError
        ask("submit")
    assert len(simulator.accepted) == accept
    assert simulator.requests[0].answered is None
    assert ask("submit").status_code == 200


@pytest.mark.parametrize("on", ["poll", "download"])
def test_drop_elsewhere(ask: Any, simulator: KlingSimulator, on: str) -> None:
    simulator.inject(faults.Drop(), on=on)
    with pytest.raises(httpx.ReadError):
        ask(on)


def test_drop_before_the_body_is_read(simulator: KlingSimulator) -> None:
    simulator.inject(faults.Drop(read_request=False))
    url = urlsplit(simulator.base_url)
    with socket.create_connection((url.hostname or "", url.port or 0), timeout=10) as raw:
        raw.sendall(b"POST /v3/async/kling-v3.0-4k-t2v HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            raw.recv(1)
    assert (simulator.submits, simulator.requests[0].answered) == (1, None)


@pytest.mark.parametrize("accept", [True, False])
def test_hang(caller: Any, ask: Any, simulator: KlingSimulator, accept: bool) -> None:
    simulator.inject(faults.Hang(30, accept=accept))
    caller.http.timeout = httpx.Timeout(10, read=0.2)
    with pytest.raises(httpx.ReadTimeout):
        ask("submit")
    simulator.wait_for(lambda s: s.submits == 1)
    assert len(simulator.accepted) == accept
    simulator.inject(faults.Hang(0.05), on="poll")
    caller.http.timeout = httpx.Timeout(10)
    with pytest.raises(httpx.RemoteProtocolError):
        ask("poll")


def test_stop_ends_a_hang(simulator: KlingSimulator, caller: Any) -> None:
    simulator.inject(faults.Hang(300), on="poll")
    with socket.create_connection(("127.0.0.1", urlsplit(simulator.base_url).port or 0), timeout=10) as raw:
        raw.sendall(b"GET /v3/async/task-result HTTP/1.1\r\nHost: x\r\n\r\n")
        simulator.wait_for(lambda s: s.polls == 1)
        hanging = [thread for thread in threading.enumerate() if "process_request" in thread.name]
        assert hanging
        simulator.stop()
        assert raw.recv(1) == b""
    for thread in hanging:
        thread.join(10)
        assert not thread.is_alive()


def test_poll_faults(ask: Any, simulator: KlingSimulator) -> None:
    simulator.inject(faults.NotFound(), on="poll")
    simulator.inject(faults.UnknownStatus(), on="poll")
    simulator.inject(faults.NoLink(), on="poll")
    simulator.inject(faults.Ttl("0"), on="poll")
    simulator.inject(faults.MissingTtl(), on="poll")
    lost, strange, bare, zero, missing, good = (ask("poll") for _ in range(6))
    assert (lost.status_code, lost.json()["reason"]) == (404, "TASK_NOT_FOUND")
    assert strange.json()["task"]["status"] == "TASK_STATUS_ARCHIVING"
    assert strange.json()["videos"] == []
    assert bare.json()["task"]["status"] == "TASK_STATUS_SUCCEED"
    assert bare.json()["videos"] == []
    assert zero.json()["videos"][0]["video_url_ttl"] == "0"
    assert "video_url_ttl" not in missing.json()["videos"][0]
    assert good.json()["videos"][0]["video_url_ttl"] == "3600"


def test_no_link_waits_for_the_end(caller: Any, simulator: KlingSimulator) -> None:
    simulator.inject(faults.NoLink(), on="poll")
    task_id = caller.bought()
    assert caller.status(task_id) == "TASK_STATUS_QUEUED"
    simulator.finish()
    assert caller.poll(task_id).json()["videos"] == []
    assert len(caller.poll(task_id).json()["videos"]) == 1


def test_an_altered_answer_to_a_wrong_key_stays_an_error(ask: Any, caller: Any, simulator: Any) -> None:
    simulator.inject(faults.UnknownStatus(), on="poll")
    assert caller.http.get("/v3/async/task-result").json()["reason"] == "INVALID_API_KEY"


def test_render_faults(caller: Any, simulator: KlingSimulator) -> None:
    simulator.inject(faults.Fail("upstream overload"), on="render", prompt="fox")
    simulator.inject(faults.Never(), on="render", prompt="cat")
    never, failed, good = (caller.bought({"prompt": f"a {animal}"}) for animal in ("cat", "fox", "fox"))
    assert caller.status(failed) == "TASK_STATUS_QUEUED"
    simulator.finish()
    body = caller.poll(failed)
    assert body.status_code == 200
    assert body.json()["videos"] == []
    assert body.json()["task"]["status"] == "TASK_STATUS_FAILED"
    assert body.json()["task"]["reason"] == "upstream overload"
    assert caller.status(never) == "TASK_STATUS_QUEUED"
    assert caller.status(good) == "TASK_STATUS_SUCCEED"
    assert len(simulator.accepted) == 3


def test_never_outlasts_time() -> None:
    with KlingSimulator(render_seconds=0) as simulator:
        simulator.inject(faults.Never(), on="render")
        headers = {"Authorization": "Bearer sk_simulator"}
        with httpx.Client(base_url=simulator.base_url, headers=headers, trust_env=False) as client:
            tasks = [client.post("/v3/async/kling-v3.0-4k-t2v", json={"prompt": "a"}).json() for _ in range(2)]
            results = [client.get("/v3/async/task-result", params=task).json()["task"] for task in tasks]
    assert [r["status"] for r in results] == ["TASK_STATUS_PROCESSING", "TASK_STATUS_SUCCEED"]


def test_expired_link_and_html(ask: Any, simulator: KlingSimulator) -> None:
    simulator.inject(faults.ExpiredLink(), on="download")
    simulator.inject(faults.Html(), on="download")
    expired, page = ask("download"), ask("download")
    assert (expired.status_code, "<Code>AccessDenied" in expired.text) == (403, True)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html")
    assert ask("download").headers["content-type"] == "video/mp4"


def test_order_times_and_after(ask: Any, simulator: KlingSimulator) -> None:
    simulator.inject(faults.ErrorBody(500, "A"), after=1)
    simulator.inject(faults.ErrorBody(500, "B"), times=2)
    simulator.inject(faults.ErrorBody(500, "C"), on="poll")
    answers = [ask("submit") for _ in range(5)]
    assert [a.json().get("reason", "good") for a in answers] == ["B", "A", "B", "good", "good"]


def test_for_ever_until_cleared(ask: Any, simulator: KlingSimulator) -> None:
    simulator.inject(faults.BadGateway(), times=None)
    assert [ask("submit").status_code for _ in range(4)] == [502] * 4
    simulator.clear_faults()
    assert ask("submit").status_code == 200


def test_only_for_a_prompt(caller: Any, simulator: KlingSimulator) -> None:
    shots = {"multi_prompt": [{"prompt": "a cat", "duration": 2}, {"prompt": "a red fox", "duration": 3}]}
    for on in STAGES:
        simulator.inject(faults.ErrorBody(500, "FOX"), on=on, times=None, prompt="red fox")
    simulator.inject(faults.Fail("fox"), on="render", prompt="red fox")
    assert caller.submit({"prompt": "a cat"}).status_code == 200
    assert caller.submit(shots).json()["reason"] == "FOX"
    simulator.clear_faults()
    fox, cat = caller.bought(shots), caller.bought({"prompt": "a cat"})
    fox_link = caller.link(fox)
    simulator.inject(faults.ErrorBody(500, "FOX"), on="poll", prompt="red fox")
    simulator.inject(faults.ErrorBody(500, "FOX"), on="download", prompt="red fox")
    assert (caller.poll(cat).status_code, caller.poll(fox).status_code) == (200, 500)
    assert (caller.http.get(caller.link(cat)).status_code, caller.http.get(fox_link).status_code) == (200, 500)


@pytest.mark.parametrize(
    ("fault", "on", "more"),
    [
        (faults.Fail("x"), "submit", {}),
        (faults.Never(), "poll", {}),
        (faults.NoLink(), "submit", {}),
        (faults.Torn(), "poll", {}),
        (faults.RateLimited(), "render", {}),
        (faults.Drop(), "nowhere", {}),
        (faults.Drop(accept=True), "poll", {}),
        (faults.Drop(read_request=False), "submit", {"prompt": "a"}),
        (faults.Drop(), "submit", {"times": 0}),
        (faults.Drop(), "submit", {"after": -1}),
    ],
)
def test_inject_refuses(simulator: KlingSimulator, fault: Any, on: str, more: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"sense|never reads|at least"):
        simulator.inject(fault, on=on, **more)
