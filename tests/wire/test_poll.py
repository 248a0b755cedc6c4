"""The question about a render over the wire, asked by both clients: every outcome, and no harm to the render."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

import pytest
from sockets import closed_port

from airflow_provider_kling.api.account import Account
from airflow_provider_kling.api.client import AsyncKlingClient, KlingClient
from airflow_provider_kling.api.errors import (
    AuthenticationFailed,
    KlingError,
    PollFailed,
    RateLimited,
    RenderNotFound,
)
from airflow_provider_kling.api.models import Render, RenderStatus, TextToVideo
from airflow_provider_kling.api.waiting import Outcome, judge
from airflow_provider_kling.simulator import KlingSimulator, faults

pytestmark = pytest.mark.kling_simulator(render_seconds=1e6, speed=1, short_side=90)

Ask = Callable[[Account, str], Render]
Error = faults.ErrorBody
VIDEO = {"video_url": "https://v/1.mp4?sign=1"}


def ask_blocking(account: Account, task_id: str) -> Render:
    with KlingClient(account) as client:
        return client.get_render(task_id)


def ask_async(account: Account, task_id: str) -> Render:
    async def go() -> Render:
        client = AsyncKlingClient(account)
        try:
            return await client.get_render(task_id)
        finally:
            await client.close()

    return asyncio.run(go())


def ask_fast(account: Account, task_id: str) -> Render:
    return ask_async(account, task_id)


def cut_off(fault: faults.Fault) -> bool:
    return isinstance(fault, faults.Drop | faults.Hang) and not getattr(fault, "seconds", 0)


@pytest.fixture(params=["sync", "async", "async, fast"])
def ask(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Ask:
    if request.param != "async, fast":
        monkeypatch.setitem(sys.modules, "httpx_aiohttp", None)
    return {"sync": ask_blocking, "async": ask_async, "async, fast": ask_fast}[request.param]


@pytest.fixture
def account(kling_simulator: KlingSimulator) -> Account:
    return Account(kling_simulator.api_key, base_url=kling_simulator.base_url, timeout=5)


@pytest.fixture
def task_id(account: Account) -> str:
    with KlingClient(account) as client:
        return client.submit(TextToVideo(prompt="a fox", duration=3))


def body(task: Any, **rest: Any) -> faults.RawAnswer:
    return faults.RawAnswer(200, json.dumps({"task": task, **rest}), {"Content-Type": "application/json"})


def test_a_render_is_followed_from_queue_to_link(
    ask: Ask, account: Account, task_id: str, kling_simulator: KlingSimulator
) -> None:
    waiting = ask(account, task_id)
    assert (waiting.status, waiting.video_url, judge(waiting)) == (RenderStatus.QUEUED, None, None)
    kling_simulator.finish(task_id)
    done = ask(account, task_id)
    assert (done.task_id, done.status, done.progress_percent) == (task_id, RenderStatus.SUCCEED, None)
    assert (done.video_type, done.video_url_ttl) == ("mp4", 3600)
    assert str(done.video_url).startswith(kling_simulator.base_url)
    assert kling_simulator.polls_of(task_id) == 2
    poll = kling_simulator.requests[-1]
    assert (poll.method, poll.path, poll.query, poll.authorized) == (
        "GET",
        "/v3/async/task-result",
        {"task_id": task_id},
        True,
    )


@pytest.mark.parametrize("odd_id", ["a b&task_id=c", "ü/../x", "%2e", "a\nb"])
def test_an_odd_task_id_is_asked_for_as_it_is(
    ask: Ask, account: Account, odd_id: str, kling_simulator: KlingSimulator
) -> None:
    with pytest.raises(RenderNotFound):
        ask(account, odd_id)
    assert kling_simulator.requests[-1].query == {"task_id": odd_id}


def test_an_id_that_can_not_travel_is_a_question_that_failed(ask: Ask, account: Account) -> None:
    with pytest.raises(PollFailed):
        ask(account, "\ud800")


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        ("internal worker error", Outcome.FAILED),
        ("", Outcome.FAILED),
        ("Failure to pass the risk control system", Outcome.CONTENT_REJECTED),
        ("content policy rejected", Outcome.CONTENT_REJECTED),
    ],
)
def test_a_failed_render_tells_its_reason(
    ask: Ask, account: Account, reason: str, outcome: Outcome, kling_simulator: KlingSimulator
) -> None:
    kling_simulator.inject(faults.Fail(reason), on="render")
    with KlingClient(account) as client:
        task_id = client.submit(TextToVideo(prompt="a fox"))
    kling_simulator.finish()
    render = ask(account, task_id)
    verdict = judge(render)
    assert (render.status, render.reason) == (RenderStatus.FAILED, reason or None)
    assert verdict
    assert verdict.outcome is outcome


def test_an_unknown_status_means_still_waiting(
    ask: Ask, account: Account, task_id: str, kling_simulator: KlingSimulator
) -> None:
    kling_simulator.inject(faults.UnknownStatus(), on="poll")
    render = ask(account, task_id)
    assert (render.status, render.raw_status, judge(render)) == (RenderStatus.OTHER, "TASK_STATUS_ARCHIVING", None)


@pytest.mark.parametrize("fault", [faults.MissingTtl(), faults.Ttl("0"), faults.Ttl(0), faults.Ttl(None)], ids=str)
def test_a_link_without_a_lifetime_is_a_link(
    ask: Ask, account: Account, task_id: str, kling_simulator: KlingSimulator, fault: faults.Fault
) -> None:
    kling_simulator.finish()
    kling_simulator.inject(fault, on="poll")
    render = ask(account, task_id)
    assert render.video_url
    assert render.video_url_ttl is None


def test_success_without_a_link_is_not_the_end(
    ask: Ask, account: Account, task_id: str, kling_simulator: KlingSimulator
) -> None:
    kling_simulator.finish()
    kling_simulator.inject(faults.NoLink(), on="poll")
    render = ask(account, task_id)
    assert (render.status, render.video_url, judge(render)) == (RenderStatus.SUCCEED, None, None)


def test_numbers_may_be_strings_and_much_may_be_missing(
    ask: Ask, account: Account, kling_simulator: KlingSimulator
) -> None:
    task = {"status": "TASK_STATUS_PROCESSING", "progress_percent": "45", "eta": "90", "surprise": [1]}
    kling_simulator.inject(body(task), on="poll")
    kling_simulator.inject(body({"status": "TASK_STATUS_SUCCEED"}, videos=[VIDEO | {"video_url_ttl": "60"}]), on="poll")
    kling_simulator.inject(faults.RawAnswer(200, '{"data": {"task": {"status": "TASK_STATUS_QUEUED"}}}'), on="poll")
    on_its_way, done, wrapped = (ask(account, "t") for _ in range(3))
    assert (on_its_way.progress_percent, on_its_way.eta) == (45, 90)
    assert (done.video_url, done.video_url_ttl, done.video_type) == (VIDEO["video_url"], 60, None)
    assert wrapped.status is RenderStatus.QUEUED


TROUBLE = [
    (faults.NotFound(), RenderNotFound),
    (Error(500, "TASK_NOT_FOUND"), RenderNotFound),
    (faults.RawAnswer(404, "404 page not found"), RenderNotFound),
    (Error(401, "FAILED_TO_AUTH"), AuthenticationFailed),
    (Error(403, "INVALID_API_KEY"), AuthenticationFailed),
    (Error(200, "INVALID_API_KEY", code=403), AuthenticationFailed),
    (faults.RateLimited(3), RateLimited),
    (Error(200, "RATE_LIMIT_EXCEEDED", code=429), RateLimited),
    (Error(500, "GET_RESULT_FAILED"), PollFailed),
    (Error(503, "SERVICE_NOT_AVAILABLE"), PollFailed),
    (Error(403, "NOT_ENOUGH_BALANCE"), PollFailed),
    (faults.BadGateway(), PollFailed),
    (faults.BadGateway(504), PollFailed),
    (faults.Garbage(), PollFailed),
    (faults.Garbage(body=b""), PollFailed),
    (faults.Garbage(body=b" " * (2 << 20)), PollFailed),
    (body({}), PollFailed),
    (body(None), PollFailed),
    (body({"status": " "}), PollFailed),
    (faults.Drop(), PollFailed),
    (faults.Drop(read_request=False), PollFailed),
    (faults.Hang(0), PollFailed),
    (faults.Hang(30), PollFailed),
    (faults.Redirect("http://127.0.0.1:9/"), PollFailed),
]


@pytest.mark.parametrize(("fault", "kind"), [pytest.param(f, k, id=f"{f} is {k.__name__}"[:90]) for f, k in TROUBLE])
def test_a_question_that_fails_is_told_and_the_next_one_works(
    ask: Ask,
    account: Account,
    *,
    task_id: str,
    kling_simulator: KlingSimulator,
    fault: faults.Fault,
    kind: type[KlingError],
) -> None:
    tries = 2 if cut_off(fault) and ask is ask_fast else 1  # aiohttp asks once more by itself when the line is cut
    kling_simulator.inject(fault, on="poll", times=tries)
    patience = 0.3 if isinstance(fault, faults.Hang) else 5
    asking = Account(account.api_key, base_url=account.base_url, timeout=patience)
    with pytest.raises(KlingError) as caught:
        ask(asking, task_id)
    assert type(caught.value) is kind, repr(caught.value)
    assert caught.value.task_id == task_id
    assert kling_simulator.polls == tries
    assert ask(account, task_id).status is RenderStatus.QUEUED
    assert len(kling_simulator.accepted) == 1


def test_the_wish_to_be_asked_less_is_told(ask: Ask, account: Account, kling_simulator: KlingSimulator) -> None:
    kling_simulator.inject(faults.RateLimited(3), on="poll")
    with pytest.raises(RateLimited) as caught:
        ask(account, "t")
    assert caught.value.retry_after == 3


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}", "https://127.0.0.1:{port}", "https://nothing.invalid"])
def test_nobody_there_is_a_question_that_failed(ask: Ask, url: str) -> None:
    with pytest.raises(PollFailed) as caught:
        ask(Account("sk_x", base_url=url.format(port=closed_port()), timeout=5), "t")
    assert (caught.value.bought, caught.value.task_id) == ("yes", "t")


class TestCheckingAKey:
    @staticmethod
    def check(account: Account) -> None:
        with KlingClient(account) as client:
            client.check_key()

    def test_a_good_key_passes_and_buys_nothing(self, account: Account, kling_simulator: KlingSimulator) -> None:
        self.check(account)
        assert (kling_simulator.polls, kling_simulator.submits) == (1, 0)

    def test_a_bad_key_is_told(self, account: Account) -> None:
        with pytest.raises(AuthenticationFailed):
            self.check(Account("sk_wrong", base_url=account.base_url))

    @pytest.mark.parametrize("fault", [Error(400, "INVALID_REQUEST_BODY"), faults.RateLimited()], ids=str)
    def test_any_other_word_of_the_service_means_the_key_is_good(
        self, account: Account, kling_simulator: KlingSimulator, fault: faults.Fault
    ) -> None:
        kling_simulator.inject(fault, on="poll")
        self.check(account)

    @pytest.mark.parametrize(
        "fault",
        [faults.BadGateway(), faults.Garbage(), faults.RawAnswer(404, "nginx"), faults.Drop(), faults.Redirect("/x")],
        ids=str,
    )
    def test_an_answer_that_is_not_the_services_says_nothing_about_the_key(
        self, account: Account, kling_simulator: KlingSimulator, fault: faults.Fault
    ) -> None:
        kling_simulator.inject(fault, on="poll")
        with pytest.raises(PollFailed):
            self.check(account)
