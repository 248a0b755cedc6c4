"""The simulator takes so many submits a minute, as the service does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from airflow_provider_kling.simulator import KlingSimulator, server
from airflow_provider_kling.simulator.limit import SubmitLimit
from airflow_provider_kling.simulator.options import parser, simulate

if TYPE_CHECKING:
    from airflow_provider_kling.simulator.answers import Answer


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def submit(simulator: KlingSimulator, body: Any = None) -> httpx.Response:
    return httpx.post(
        f"{simulator.base_url}/v3/async/kling-v3.0-4k-t2v",
        json={"prompt": "a fox"} if body is None else body,
        headers={"Authorization": f"Bearer {simulator.api_key}"},
        trust_env=False,
    )


def test_submits_above_the_limit_are_refused_in_the_services_words() -> None:
    with KlingSimulator(submits_per_minute=2) as simulator:
        answers = [submit(simulator) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].json() == {
        "code": 429,
        "reason": "RATE_LIMIT_EXCEEDED",
        "message": "RPM limit exceeded",
        "metadata": {},
    }
    assert "retry-after" not in answers[2].headers
    assert len(simulator.accepted) == 2


def test_it_can_say_when_there_is_room_again() -> None:
    with KlingSimulator(submits_per_minute=1, tell_retry_after=True) as simulator:
        submit(simulator)
        assert 50 < int(submit(simulator).headers["retry-after"]) <= 60


def test_without_a_limit_it_takes_all() -> None:
    with KlingSimulator() as simulator:
        assert {submit(simulator).status_code for _ in range(40)} == {200}


def test_a_caller_without_the_key_uses_nothing_up() -> None:
    with KlingSimulator(submits_per_minute=1) as simulator:
        path = f"{simulator.base_url}/v3/async/kling-v3.0-4k-t2v"
        assert httpx.post(path, json={"prompt": "a fox"}, trust_env=False).status_code == 403
        assert submit(simulator).status_code == 200


def test_within_any_minute_it_takes_so_many_and_refusals_do_not_count() -> None:
    clock = Clock()
    limit = SubmitLimit(2, speed=1, tell=True, clock=clock)

    def ask(after: float) -> Answer | None:
        clock.now += after
        return limit.refusal()

    assert ask(0) is None
    assert ask(20) is None
    for seconds, left in ((0, 40), (30.5, 10)):
        refusal = ask(seconds)
        assert refusal is not None
        assert refusal.headers["Retry-After"] == str(left)
    assert ask(9.5) is None
    assert ask(1) is not None
    assert ask(19) is None


def test_a_minute_passes_as_fast_as_the_simulators_time() -> None:
    clock = Clock()
    limit = SubmitLimit(1, speed=20, tell=True, clock=clock)
    assert limit.refusal() is None
    refusal = limit.refusal()
    assert refusal is not None
    assert refusal.headers["Retry-After"] == "3"
    clock.now += 3
    assert limit.refusal() is None


def test_a_limit_that_takes_none_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="1 or more"):
        KlingSimulator(submits_per_minute=0)


def test_the_command_line_has_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[httpx.Response] = []

    def run_briefly(simulator: KlingSimulator) -> None:
        with simulator:
            answers.extend(submit(simulator) for _ in range(2))

    monkeypatch.setattr(server, "run_forever", run_briefly)
    simulate(parser().parse_args(["--port", "0", "--submits-per-minute", "1", "--tell-retry-after"]))
    assert [answer.status_code for answer in answers] == [200, 429]
    assert "retry-after" in answers[1].headers
    with pytest.raises(SystemExit, match="must be 1 or more"):
        simulate(parser().parse_args(["--submits-per-minute", "0"]))
