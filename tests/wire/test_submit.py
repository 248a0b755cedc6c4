"""The POST over the wire: every outcome, and never a second request."""

from __future__ import annotations

import json
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest
from sockets import closed_port, listening, read_request

from airflow_provider_kling import __version__
from airflow_provider_kling.api.account import Account
from airflow_provider_kling.api.client import KlingClient
from airflow_provider_kling.api.errors import (
    AuthenticationFailed,
    BalanceTooLow,
    ContentRejected,
    InvalidRequest,
    KlingError,
    RateLimited,
    RequestRejected,
    ServiceUnavailable,
    SubmitUncertain,
    Unreachable,
)
from airflow_provider_kling.api.models import TextToVideo
from airflow_provider_kling.simulator import KlingSimulator, faults

if TYPE_CHECKING:
    import socket

pytestmark = pytest.mark.kling_simulator(render_seconds=1e6, speed=1, short_side=90)

FOX = TextToVideo(prompt="a fox", duration=3)
Error = faults.ErrorBody


def account(simulator: KlingSimulator, **rest: Any) -> Account:
    settings: dict[str, Any] = {"api_key": simulator.api_key, "base_url": simulator.base_url, "timeout": 5}
    return Account(**settings | rest)


def submit(to: Account, **rest: Any) -> str:
    with KlingClient(to) as client:
        return client.submit(FOX, **rest)


def refused(to: Account, kind: type[KlingError], **rest: Any) -> KlingError:
    with pytest.raises(KlingError) as caught:
        submit(to, **rest)
    assert type(caught.value) is kind, repr(caught.value)
    return caught.value


def test_an_accepted_request_returns_its_task_id(kling_simulator: KlingSimulator) -> None:
    task_id = submit(account(kling_simulator))
    (bought,) = kling_simulator.accepted
    assert (bought.task_id, bought.model, bought.body) == (task_id, "kling-v3.0-4k-t2v", FOX.body())
    (request,) = kling_simulator.requests
    assert (request.method, request.path) == ("POST", "/v3/async/kling-v3.0-4k-t2v")
    assert request.authorized
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == f"airflow-provider-kling/{__version__}"


def test_another_model_is_asked_for_by_its_slug(kling_simulator: KlingSimulator) -> None:
    submit(account(kling_simulator), model="kling-v3.0-pro-t2v")
    assert kling_simulator.accepted[0].model == "kling-v3.0-pro-t2v"


@pytest.mark.parametrize("model", ["", "../task-result", "a/b", "a?b", "a b", ".hidden", "ünicode", "a\n"])
def test_a_model_that_is_no_slug_never_reaches_the_wire(kling_simulator: KlingSimulator, model: str) -> None:
    error = refused(account(kling_simulator), InvalidRequest, model=model)
    assert "model=" in error.message
    assert kling_simulator.requests == []


@pytest.mark.parametrize(
    ("body", "task_id"),
    [
        ('{"task_id": 12345}', "12345"),
        ('{"data": {"task_id": "abc"}}', "abc"),
        ('{"code": 0, "data": {"task_id": 7}, "message": "success"}', "7"),
    ],
)
def test_other_shapes_of_a_good_answer_are_understood(kling_simulator: KlingSimulator, body: str, task_id: str) -> None:
    kling_simulator.inject(faults.RawAnswer(200, body))
    assert submit(account(kling_simulator)) == task_id
    assert kling_simulator.submits == 1


NOT_BOUGHT = [
    (Error(400, "INVALID_REQUEST_BODY"), RequestRejected),
    (Error(404, "MODEL_NOT_FOUND"), RequestRejected),
    (Error(422, "INVALID_REQUEST_BODY"), RequestRejected),
    (faults.RawAnswer(404, "404 page not found"), RequestRejected),
    (Error(400, "ILLEGAL_PROMPT"), ContentRejected),
    (Error(400, "ILLEGAL_IMAGE_CONTENT"), ContentRejected),
    (Error(401, "FAILED_TO_AUTH"), AuthenticationFailed),
    (Error(403, "INVALID_API_KEY"), AuthenticationFailed),
    (Error(403, "ACCESS_DENY"), AuthenticationFailed),
    (Error(403, "NEED_REAL_NAME_VERIFY"), AuthenticationFailed),
    (Error(400, "MISSING_API_KEY"), AuthenticationFailed),
    (faults.RawAnswer(402), BalanceTooLow),
    (Error(403, "NOT_ENOUGH_BALANCE"), BalanceTooLow),
    (Error(400, "NOT_ENOUGH_BALANCE"), BalanceTooLow),
    (Error(400, "BILLING_BALANCE_NOT_ENOUGH"), BalanceTooLow),
    (faults.RateLimited(), RateLimited),
    (Error(503, "SERVICE_NOT_AVAILABLE"), ServiceUnavailable),
    (Error(500, "CREATE_TASK_FAILED"), ServiceUnavailable),
    (Error(200, "RATE_LIMIT_EXCEEDED", code=429), RateLimited),
    (Error(200, "CREATE_TASK_FAILED", code=500), ServiceUnavailable),
    (Error(200, "INVALID_API_KEY", code=403), AuthenticationFailed),
    (Error(200, "NOT_ENOUGH_BALANCE", code=403), BalanceTooLow),
]


@pytest.mark.parametrize(("fault", "kind"), [pytest.param(f, k, id=f"{f} is {k.__name__}") for f, k in NOT_BOUGHT])
def test_a_refused_request_bought_nothing_and_is_sent_once(
    kling_simulator: KlingSimulator, fault: faults.Fault, kind: type[KlingError]
) -> None:
    kling_simulator.inject(fault)
    assert refused(account(kling_simulator), kind).bought == "no"
    assert kling_simulator.submits == 1
    assert kling_simulator.accepted == []


PERHAPS_BOUGHT = [
    *(faults.BadGateway(status, accept=accept) for status in (500, 502, 503, 504) for accept in (True, False)),
    faults.Drop(accept=True),
    faults.Drop(),
    faults.Drop(read_request=False),
    faults.Hang(0, accept=True),
    faults.Hang(0),
    faults.Hang(30, accept=True),
    faults.Hang(30),
    faults.Delay(30),
    faults.Garbage(accept=True),
    faults.Garbage(),
    faults.Garbage(accept=True, body=b""),
    faults.Garbage(accept=True, body=b'{"task_id": "abc'),
    faults.Garbage(accept=True, body=b'{"task_id": null}'),
    faults.Garbage(accept=True, status=204, body=b""),
    faults.Garbage(accept=True, body=b" " * (2 << 20)),
    faults.RawAnswer(200, b"half", {"Content-Encoding": "gzip"}),
    faults.RawAnswer(200, b"short", {"Content-Length": "x"}),
]


@pytest.mark.parametrize("fault", [pytest.param(fault, id=str(fault)[:70]) for fault in PERHAPS_BOUGHT])
def test_an_answer_that_is_lost_leaves_the_purchase_open_and_is_sent_once(
    kling_simulator: KlingSimulator, fault: faults.Fault
) -> None:
    kling_simulator.inject(fault)
    slow = isinstance(fault, faults.Hang | faults.Delay)
    error = refused(account(kling_simulator, timeout=0.3 if slow else 5), SubmitUncertain)
    assert error.bought == "perhaps"
    assert kling_simulator.submits == 1
    accepted = isinstance(fault, faults.Delay) or getattr(fault, "accept", False)
    assert len(kling_simulator.accepted) == accepted


def test_an_endless_answer_is_given_up() -> None:
    def pour(connection: socket.socket, _: int) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b" " * 65536)

    with listening(pour) as server:
        error = refused(Account("sk_x", base_url=f"http://127.0.0.1:{server.port}"), SubmitUncertain)
    assert "longer than any answer" in error.message
    assert server.connections == 1


def test_a_dripping_answer_is_given_up() -> None:
    def drip(connection: socket.socket, _: int) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(400):  # each drop comes well before the read time-out
            connection.sendall(b" ")
            time.sleep(0.05)

    with listening(drip) as server:
        began = time.monotonic()
        error = refused(Account("sk_x", base_url=f"http://127.0.0.1:{server.port}", timeout=0.2), SubmitUncertain)
    assert "drips" in error.message
    assert time.monotonic() - began < 10


def test_headers_that_drip_in_are_given_up() -> None:
    def drip(connection: socket.socket, _: int) -> None:
        read_request(connection)
        for letter in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"y" * 400:
            connection.sendall(bytes([letter]))
            time.sleep(0.05)

    with listening(drip) as server:
        began = time.monotonic()
        error = refused(Account("sk_x", base_url=f"http://127.0.0.1:{server.port}", timeout=0.3), SubmitUncertain)
    assert "drips" in error.message
    assert time.monotonic() - began < 10


def test_no_exception_drags_the_request_and_its_key_along() -> None:
    error = refused(Account("sk_x", base_url=f"http://127.0.0.1:{closed_port()}"), Unreachable)
    assert (error.__cause__, error.__context__) == (None, None)


@pytest.mark.parametrize(("wish", "seconds"), [(None, None), (7, 7), ("date", 3600), ("soon", None)])
def test_the_wish_of_the_service_to_be_left_alone_is_told(
    kling_simulator: KlingSimulator, wish: float | str | None, seconds: float | None
) -> None:
    kling_simulator.inject(faults.RateLimited(formatdate(time.time() + 3600, usegmt=True) if wish == "date" else wish))
    error = refused(account(kling_simulator), RateLimited)
    assert error.retry_after == (None if seconds is None else pytest.approx(seconds, abs=60 if seconds > 60 else 0))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(kling_simulator: KlingSimulator, status: int) -> None:
    with KlingSimulator(api_key=kling_simulator.api_key) as elsewhere:
        kling_simulator.inject(faults.Redirect(f"{elsewhere.base_url}/v3/async/kling-v3.0-4k-t2v", status))
        error = refused(account(kling_simulator), RequestRejected)
        assert elsewhere.requests == []
    assert "base URL" in error.message
    assert (error.bought, kling_simulator.submits, kling_simulator.accepted) == ("no", 1, [])


class TestNeverSent:
    @staticmethod
    def unreachable(url: str) -> None:
        error = refused(Account("sk_x", base_url=url, timeout=5), Unreachable)
        assert error.bought == "no"
        assert "never sent" in error.message
        assert url in error.message

    def test_a_refused_connection(self) -> None:
        self.unreachable(f"http://127.0.0.1:{closed_port()}")

    def test_a_host_that_does_not_exist(self) -> None:
        self.unreachable("https://nothing.invalid")

    def test_tls_to_a_port_that_speaks_plain_http(self, kling_simulator: KlingSimulator) -> None:
        self.unreachable(kling_simulator.base_url.replace("http:", "https:"))
        assert (kling_simulator.submits, kling_simulator.accepted) == (0, [])

    def test_a_server_that_hangs_up_during_the_tls_handshake(self) -> None:
        with listening(lambda connection, _: connection.close()) as server:
            self.unreachable(f"https://127.0.0.1:{server.port}")
        assert server.connections == 1

    def test_a_simulator_that_is_down_and_comes_back(self, kling_simulator: KlingSimulator) -> None:
        with KlingClient(account(kling_simulator)) as client:
            kling_simulator.stop()
            with pytest.raises(Unreachable):
                client.submit(FOX)
            kling_simulator.start()
            assert client.submit(FOX) == kling_simulator.accepted[0].task_id


def test_a_service_that_restarts_between_two_purchases_gets_the_second_once(kling_simulator: KlingSimulator) -> None:
    with KlingClient(account(kling_simulator)) as client:
        client.submit(FOX)
        kling_simulator.stop()
        kling_simulator.start()
        client.submit(FOX)
    assert (kling_simulator.submits, len(kling_simulator.accepted)) == (2, 2)


def test_a_wrong_key_is_refused_by_the_service_itself(kling_simulator: KlingSimulator) -> None:
    error = refused(account(kling_simulator, api_key="sk_wrong"), AuthenticationFailed)
    assert error.reason == "FAILED_TO_AUTH"


def test_whatever_the_simulator_takes_apart_it_takes_as_it_was_meant(kling_simulator: KlingSimulator) -> None:
    shots = [{"prompt": 'a "fox" 🦊\n', "duration": 3}, {"prompt": "狐", "duration": 4}]
    request = TextToVideo.parse(multi_prompt=json.dumps(shots), sound="true", cfg_scale="0.5", aspect_ratio="9:16")
    with KlingClient(account(kling_simulator)) as client:
        client.submit(request)
    assert kling_simulator.accepted[0].body["multi_prompt"] == shots
    assert (kling_simulator.accepted[0].sound, kling_simulator.billed_seconds) == (True, 7)
