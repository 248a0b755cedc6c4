"""Keys, statuses, time, links, ranges and counting, over real HTTP."""

from __future__ import annotations

import http.client
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from airflow_provider_kling.simulator import KlingSimulator, faults, video
from airflow_provider_kling.simulator.rules import check
from airflow_provider_kling.simulator.studio import Studio, Task

RESULT = "/v3/async/task-result"


@pytest.mark.parametrize(("method", "path"), [("POST", "/v3/async/kling-v3.0-4k-t2v"), ("GET", RESULT)])
def test_keys(caller: Any, simulator: KlingSimulator, method: str, path: str) -> None:
    none = caller.http.request(method, path, json={"prompt": "a"})
    assert (none.status_code, none.json()) == (
        403,
        {"code": 403, "reason": "INVALID_API_KEY", "message": "invalid api-key", "metadata": {}},
    )
    for shown in ("Bearer sk_wrong", "sk_simulator", "Basic sk_simulator"):
        wrong = caller.http.request(method, path, json={"prompt": "a"}, headers={"Authorization": shown})
        assert (wrong.status_code, wrong.json()) == (
            401,
            {
                "code": 401,
                "reason": "FAILED_TO_AUTH",
                "message": "failed to authenticate API key",
                "metadata": {},
            },
        )
    assert simulator.accepted == []


def test_a_new_key_shuts_the_old_one_out(caller: Any, simulator: KlingSimulator) -> None:
    old = caller.key
    simulator.api_key = "sk_new"
    assert caller.http.get(RESULT, headers=old).status_code == 401
    assert caller.poll("x").status_code == 404
    assert json.loads(simulator.connection_json) == {
        "conn_type": "kling",
        "host": simulator.base_url,
        "password": "sk_new",
    }


def test_the_key_is_shown_nowhere(caller: Any, simulator: KlingSimulator) -> None:
    caller.bought()
    assert "sk_simulator" not in repr(simulator)
    assert "sk_simulator" not in repr(simulator.requests)
    assert simulator.requests[0].headers["authorization"] == "***"
    assert simulator.requests[0].authorized


def test_models(caller: Any) -> None:
    assert caller.submit(model="kling-v3.0-pro-t2v").status_code == 200
    assert caller.submit(model="kling-v3.0-std-t2v").status_code == 200
    unknown = caller.submit(model="kling-v9-t2v")
    assert (unknown.status_code, unknown.json()["reason"]) == (404, "MODEL_NOT_FOUND")


def test_other_paths(caller: Any) -> None:
    lost = caller.http.get("/v3/v3/async")
    assert (lost.status_code, lost.text) == (404, "404 page not found")
    assert caller.http.put("/v3/async/kling-v3.0-4k-t2v").status_code == 404
    assert "simulator" in caller.http.get("/").text


def test_unknown_task(caller: Any) -> None:
    answer = caller.poll("made-up")
    assert (answer.status_code, answer.json()["reason"]) == (404, "TASK_NOT_FOUND")


def test_a_finished_render(caller: Any, simulator: KlingSimulator) -> None:
    task_id = caller.bought()
    simulator.finish()
    body = caller.poll(task_id).json()
    assert body["task"] == {
        "task_id": task_id,
        "status": "TASK_STATUS_SUCCEED",
        "reason": "",
        "task_type": "KLING_V3_0_4K_T2V",
        "eta": 0,
        "progress_percent": 0,
    }
    assert (body["extra"], body["images"], body["audios"]) == ({}, [], [])
    (film,) = body["videos"]
    assert film["video_url"].startswith(f"{simulator.base_url}/files/{task_id}.mp4?sign=")
    assert (film["video_url_ttl"], film["video_type"]) == ("3600", "mp4")


def test_finish_ends_only_the_one_named(caller: Any, simulator: KlingSimulator) -> None:
    one, other = caller.bought(), caller.bought()
    simulator.finish(one)
    assert (caller.status(one), caller.status(other)) == ("TASK_STATUS_SUCCEED", "TASK_STATUS_QUEUED")
    with pytest.raises(KeyError):
        simulator.finish("made-up")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def begun(clock: Clock) -> tuple[Studio, Task]:
    studio = Studio(render_seconds=200, speed=2, clock=clock)
    return studio, studio.accept("kling-v3.0-4k-t2v", check({"prompt": "a"}), None)


@pytest.mark.parametrize(
    ("now", "status", "percent", "eta"),
    [
        (0, "QUEUED", 0, 100),
        (4.9, "QUEUED", 0, 95),
        (5, "PROCESSING", 5, 95),
        (50, "PROCESSING", 50, 50),
        (99.9, "PROCESSING", 99, 0),
        (100, "SUCCEED", 0, 0),
    ],
)
def test_time_runs_at_speed(clock: Clock, now: float, status: str, percent: int, eta: int) -> None:
    studio, task = begun(clock)
    clock.now = now
    shown = studio.describe(task)
    assert (shown["status"], shown["progress_percent"], shown["eta"]) == (
        f"TASK_STATUS_{status}",
        percent,
        eta,
    )


def test_hold_and_release(clock: Clock) -> None:
    studio, task = begun(clock)
    clock.now = 99
    studio.hold()
    clock.now = 1000
    assert studio.describe(task)["status"] == "TASK_STATUS_PROCESSING"
    studio.release()
    assert studio.describe(task)["status"] == "TASK_STATUS_SUCCEED"


def test_hold_does_not_take_back_an_end_that_nobody_saw(clock: Clock) -> None:
    studio, task = begun(clock)
    clock.now = 101
    studio.hold()
    assert studio.describe(task)["status"] == "TASK_STATUS_SUCCEED"


@pytest.mark.parametrize("eta", [True, False])
def test_eta_only_on_request(eta: bool) -> None:
    with KlingSimulator(eta=eta, render_seconds=5000) as simulator:
        url, headers = simulator.base_url, {"Authorization": "Bearer sk_simulator"}
        task = httpx.post(f"{url}/v3/async/kling-v3.0-4k-t2v", json={"prompt": "a"}, headers=headers, trust_env=False)
        shown = httpx.get(f"{url}{RESULT}", params=task.json(), headers=headers, trust_env=False).json()
    assert bool(shown["task"]["eta"]) is eta


def test_every_question_gets_a_fresh_link(caller: Any) -> None:
    task_id = caller.bought({"prompt": "a", "duration": 3})
    links = {caller.link(task_id) for _ in range(5)}
    assert len(links) == 5
    assert {caller.http.get(link).status_code for link in links} == {200}


def test_the_link_leads_back_the_way_the_caller_came(caller: Any, simulator: KlingSimulator) -> None:
    task_id = caller.bought()
    simulator.finish()
    headers = {**caller.key, "Host": "kling.internal:81"}
    answer = caller.http.get(RESULT, params={"task_id": task_id}, headers=headers)
    assert answer.json()["videos"][0]["video_url"].startswith(f"http://kling.internal:81/files/{task_id}.mp4?")


def test_a_body_of_unknown_or_silly_length_is_refused(caller: Any, simulator: KlingSimulator) -> None:
    chunks = caller.http.post("/v3/async/kling-v3.0-4k-t2v", content=iter([b"{}"]), headers=caller.key)
    connection = http.client.HTTPConnection(urlsplit(simulator.base_url).netloc, timeout=20)
    connection.request("POST", "/v3/async/kling-v3.0-4k-t2v", b"", {**caller.key, "Content-Length": "9" * 5000})
    silly = connection.getresponse()
    connection.close()
    assert (chunks.status_code, silly.status, simulator.accepted) == (411, 411, [])


def test_two_hundred_callers_at_once(simulator: KlingSimulator) -> None:
    ready = threading.Barrier(200)

    def call(_: int) -> int:
        connection = http.client.HTTPConnection(urlsplit(simulator.base_url).netloc, timeout=20)
        ready.wait(20)
        body = json.dumps({"prompt": "a"})
        headers = {"Authorization": "Bearer sk_simulator", "Content-Type": "application/json"}
        connection.request("POST", "/v3/async/kling-v3.0-4k-t2v", body, headers)
        status = connection.getresponse().status
        connection.close()
        return status

    with ThreadPoolExecutor(200) as pool:
        assert set(pool.map(call, range(200))) == {200}
    assert (simulator.submits, len({render.task_id for render in simulator.accepted})) == (200, 200)


def test_bad_links(caller: Any, simulator: KlingSimulator) -> None:
    link = caller.link()
    other = caller.link()
    for wrong in (
        link.replace("sign=", "sign=0"),
        link + "1",
        link.partition("?")[0],
        link.partition("?")[0] + "?" + other.partition("?")[2],
    ):
        refused = caller.http.get(wrong)
        assert (refused.status_code, refused.headers["content-type"]) == (403, "application/xml")
    simulator.link_ttl = -1
    expired = caller.http.get(caller.link())
    assert (expired.status_code, "expired" in expired.text) == (403, True)
    assert caller.http.get("/files/made-up.mp4").status_code == 404


def test_a_key_on_a_download_is_noticed(caller: Any, simulator: KlingSimulator) -> None:
    link = caller.link()
    caller.http.get(link)
    caller.http.get(link, headers=caller.key)
    assert [r.authorized for r in simulator.requests if r.path.startswith("/files/")] == [False, True]


def test_whole_file(caller: Any) -> None:
    link = caller.link()
    whole, again, head = caller.http.get(link), caller.http.get(link), caller.http.head(link)
    assert whole.headers["content-type"] == "video/mp4"
    assert int(whole.headers["content-length"]) == len(whole.content) > 1000
    assert whole.content == again.content
    assert head.content == b""
    for name in ("content-length", "etag", "content-type", "accept-ranges"):
        assert head.headers[name] == whole.headers[name]


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [("bytes=0-9", 0, 10), ("bytes=100-", 100, None), ("bytes=-50", -50, None), ("bytes=5-99999999", 5, None)],
)
def test_ranges(caller: Any, asked: str, start: int, stop: int | None) -> None:
    link = caller.link()
    whole = caller.http.get(link).content
    part = caller.http.get(link, headers={"Range": asked})
    assert (part.status_code, part.content) == (206, whole[start:stop])
    first = start % len(whole)
    last = first + len(part.content) - 1
    assert part.headers["content-range"] == f"bytes {first}-{last}/{len(whole)}"


def test_ranges_that_cannot_be(caller: Any) -> None:
    link = caller.link()
    whole = caller.http.get(link)
    behind = caller.http.get(link, headers={"Range": f"bytes={len(whole.content)}-"})
    assert behind.status_code == 416
    assert behind.headers["content-range"] == f"bytes */{len(whole.content)}"
    for ignored in ("bytes=9-5", f"bytes={'9' * 5000}-", "bytes=-", "lines=1-2", "bytes=0-1,5-6"):
        assert caller.http.get(link, headers={"Range": ignored}).status_code == 200


def test_if_range(caller: Any) -> None:
    link = caller.link()
    etag = caller.http.get(link).headers["etag"]
    same = caller.http.get(link, headers={"Range": "bytes=5-", "If-Range": etag})
    other = caller.http.get(link, headers={"Range": "bytes=5-", "If-Range": '"other"'})
    assert (same.status_code, other.status_code) == (206, 200)


def test_a_film_is_drawn_once(caller: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    draw = video.render_video

    def counting(**how: Any) -> bytes:
        drawn.append(1)
        return draw(**how)

    monkeypatch.setattr(video, "render_video", counting)
    links = [caller.link() for _ in range(20)]
    with ThreadPoolExecutor(20) as pool:
        films = set(pool.map(lambda link: httpx.get(link, trust_env=False).content, links))
    assert (len(drawn), len(films)) == (1, 1)


def test_counts_and_reset(caller: Any, simulator: KlingSimulator) -> None:
    task_id = caller.bought({"multi_prompt": [{"prompt": "a", "duration": 4}], "sound": True})
    caller.poll(task_id)
    caller.http.get(caller.link(task_id))
    caller.submit({})
    assert (simulator.submits, simulator.polls, simulator.downloads) == (2, 2, 1)
    assert (simulator.polls_of(task_id), simulator.polls_of("made-up")) == (2, 0)
    assert [r.answered for r in simulator.requests] == [200, 200, 200, 200, 400]
    asked = simulator.requests[1]
    assert (asked.method, asked.path, asked.query) == ("GET", RESULT, {"task_id": task_id})
    assert simulator.requests[4].body == {}
    simulator.inject(faults.RateLimited())
    simulator.reset()
    assert (simulator.submits, simulator.requests, simulator.accepted, simulator.billed_seconds) == (0, [], [], 0)
    assert caller.submit().status_code == 200
    assert caller.status(task_id) == "TASK_STATUS_SUCCEED"


def test_wait_for(caller: Any, simulator: KlingSimulator) -> None:
    later = threading.Thread(target=lambda: [caller.poll("x") for _ in range(3)])
    later.start()
    began = time.perf_counter()
    simulator.wait_for(lambda s: s.polls == 3 and s.polls_of("x") == 3, timeout=20)
    assert time.perf_counter() - began < 10  # woken, not timed out
    later.join()
    with pytest.raises(TimeoutError):
        simulator.wait_for(lambda s: s.polls == 4, timeout=0.01)


def test_control_over_http(caller: Any, simulator: KlingSimulator) -> None:
    wish = {"fault": "RateLimited", "retry_after": 7, "times": None, "prompt": "fox"}
    assert caller.http.post("/simulator/faults", json=wish).status_code == 200
    assert caller.submit().headers["retry-after"] == "7"
    assert caller.submit({"prompt": "a cat"}).status_code == 200
    assert caller.http.delete("/simulator/faults").status_code == 200
    task_id = caller.bought()
    state = caller.http.get("/simulator/state").json()
    assert (state["submits"], state["polls"], state["billed_seconds"]) == (3, 0, 10)
    assert state["accepted"][1]["task_id"] == task_id
    assert len(simulator.requests) == 3


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"fault": "Fire"},
        {"fault": "RequestFault"},
        {"fault": "Answer"},
        {"fault": "json"},
        {"fault": "Delay"},
        {"fault": "Delay", "seconds": 1, "on": "render"},
        {"fault": "Drop", "times": 0},
        {"fault": "Drop", "after": "soon"},
    ],
)
def test_control_refuses_nonsense(caller: Any, wish: dict[str, Any]) -> None:
    assert caller.http.post("/simulator/faults", json=wish).status_code == 400
    assert caller.submit().status_code == 200


def test_control_wants_json(caller: Any) -> None:
    answer = caller.http.post("/simulator/faults", content=b'{"fault": "Drop"}')
    assert answer.status_code == 400


def test_a_connection_is_kept_and_fast(caller: Any) -> None:
    assert "connection" not in caller.poll("x").headers
    began = time.perf_counter()
    for _ in range(50):
        caller.poll("x")
    # A delayed ACK would cost 40 ms each.
    assert time.perf_counter() - began < 50 * 0.02


def test_stop_and_start_again_on_the_same_port() -> None:
    simulator = KlingSimulator()
    with pytest.raises(RuntimeError):
        _ = simulator.base_url
    with simulator, httpx.Client(trust_env=False) as client:
        url = simulator.base_url
        assert client.get(url).status_code == 200
        simulator.stop()
        with pytest.raises(httpx.TransportError):
            client.get(url)
        simulator.start()
        assert simulator.base_url == url
        assert client.get(url).status_code == 200
