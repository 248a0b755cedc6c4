"""A bucket on a real server of each kind; a kind that is not installed is skipped with one line."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from stores import SERVERS, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stores import Server


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip here and not in a fixture: pytest then tells it in one line for all tests of a store."""
    scheme = item.callspec.params.get("scheme") if hasattr(item, "callspec") else None
    if scheme and (missing := SERVERS[scheme].missing()):
        pytest.skip(missing)


@pytest.fixture(scope="session")
def server_of() -> Iterator[Callable[[str], Server]]:
    """The server of a scheme, started when it is first asked for."""
    servers: dict[str, Server] = {}
    with ExitStack() as stack:

        def start(scheme: str) -> Server:
            if scheme not in servers:
                servers[scheme] = stack.enter_context(SERVERS[scheme]())
            return servers[scheme]

        yield start


@pytest.fixture(params=list(SERVERS))
def scheme(request: pytest.FixtureRequest) -> str:
    """Each kind of store."""
    kind: str = request.param
    return kind


@pytest.fixture
def store(scheme: str, server_of: Callable[[str], Server], monkeypatch: pytest.MonkeyPatch) -> Store:
    """An empty bucket, and the Airflow connection that leads to it."""
    return _connected(Store(server_of(scheme)), monkeypatch)


@pytest.fixture
def mortal_store(scheme: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The same on a server of its own, which the test may stop."""
    with SERVERS[scheme]() as server:
        yield _connected(Store(server), monkeypatch)


@pytest.fixture(autouse=True)
def _no_log_of_every_request() -> None:
    logging.getLogger("azure.core.pipeline.policies.http_logging_policy").setLevel(logging.WARNING)


def _connected(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv(store.variable, store.connection_json)
    return store
