"""What the tests of downloads share: a finished render, its film, and no patience."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import httpx
import pytest
from films import film as make_film

from airflow_provider_kling import fetching
from airflow_provider_kling.api.account import Account
from airflow_provider_kling.api.client import KlingClient
from airflow_provider_kling.api.models import Render, TextToVideo
from airflow_provider_kling.simulator.downloads import FilmStore

if TYPE_CHECKING:
    from airflow_provider_kling.simulator import KlingSimulator

Ask: TypeAlias = Callable[[], Render]


@pytest.fixture(params=["plain", "fast"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How the async client sends: by httpx alone, or with the extra `fast`."""
    if request.param == "plain":
        monkeypatch.setitem(sys.modules, "httpx_aiohttp", None)
    else:
        pytest.importorskip("httpx_aiohttp")
    return str(request.param)


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "_PAUSES", (0.0, 0.0, 0.0))


@pytest.fixture
def ask(kling_simulator: KlingSimulator) -> Ask:
    """Asks about a finished render; the simulator has counted nothing yet."""
    client = KlingClient(Account(kling_simulator.api_key, base_url=kling_simulator.base_url))
    task_id = client.submit(TextToVideo(prompt="a fox", duration=3))
    kling_simulator.finish()
    kling_simulator.reset()
    return lambda: client.get_render(task_id)


@pytest.fixture
def film(ask: Ask, kling_simulator: KlingSimulator) -> bytes:
    """The bytes of that render."""
    content = httpx.get(str(ask().video_url)).content
    kling_simulator.reset()
    return content


@pytest.fixture
def long_film(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """The bytes of every render: more than one segment, one chunk and one step of progress."""
    content = make_film(1_000_000)
    monkeypatch.setattr(FilmStore, "film", lambda *_: content)
    return content
