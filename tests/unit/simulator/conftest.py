"""A simulator without time of its own (``finish()`` ends renders), and a caller who knows the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from airflow_provider_kling.simulator import KlingSimulator

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL = "kling-v3.0-4k-t2v"


class Caller:
    """A plain HTTP client; every method returns the bare response unless it says otherwise."""

    def __init__(self, simulator: KlingSimulator) -> None:
        self.simulator = simulator
        self.http = httpx.Client(base_url=simulator.base_url, trust_env=False, verify=False, timeout=10)

    @property
    def key(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.simulator.api_key}"}

    def submit(self, body: Any = None, *, model: str = MODEL) -> httpx.Response:
        body = {"prompt": "a fox"} if body is None else body
        return self.http.post(f"/v3/async/{model}", json=body, headers=self.key)

    def poll(self, task_id: str) -> httpx.Response:
        return self.http.get("/v3/async/task-result", params={"task_id": task_id}, headers=self.key)

    def bought(self, body: Any = None, *, model: str = MODEL) -> str:
        """Return the id of a new render."""
        answer = self.submit(body, model=model)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["task_id"])

    def status(self, task_id: str) -> str:
        """Return the status of a render."""
        return str(self.poll(task_id).json()["task"]["status"])

    def link(self, task_id: str | None = None) -> str:
        """Return the link of a render, which is finished (and bought) for it."""
        task_id = task_id or self.bought({"prompt": "a fox", "duration": 3})
        self.simulator.finish(task_id)
        return str(self.poll(task_id).json()["videos"][0]["video_url"])


@pytest.fixture
def simulator() -> Iterator[KlingSimulator]:
    with KlingSimulator(render_seconds=1e6, short_side=90) as running:
        yield running


@pytest.fixture
def caller(simulator: KlingSimulator) -> Iterator[Caller]:
    calling = Caller(simulator)
    with calling.http:
        yield calling
