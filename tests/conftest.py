"""What all tests share: an Airflow that needs no database, hardly any waiting, and one task instance."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

# Airflow reads these when it is first imported.
_HOME = tempfile.mkdtemp(prefix="kling-tests-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = _HOME
os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = "sqlite:////nowhere/no.db"
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logs import Logs
    from task_runs import TaskRun

    from airflow_provider_kling.simulator import KlingSimulator


def _has_task_state_store() -> bool:
    try:
        from airflow.sdk.execution_time.context import NEVER_EXPIRE  # noqa: F401
    except ImportError:
        return False
    return True


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all-events", action="store_true", help="the whole fault table, not only its quick rows")
    parser.addoption("--pictures", type=Path, help="a folder for pictures of the pages in Airflow's UI; default: none")


def pytest_configure(config: pytest.Config) -> None:
    settings.register_profile("kling", deadline=None)  # a busy machine is no bug
    settings.load_profile("kling")
    config.addinivalue_line("markers", "needs_task_state_store: only Airflow 3.3+ remembers what a task has bought")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    needing = [item for item in items if item.get_closest_marker("needs_task_state_store")]
    if needing and not _has_task_state_store():
        for item in needing:
            item.add_marker(pytest.mark.skip(reason="the task state store came with Airflow 3.3"))


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture(autouse=True)
def _no_patience_with_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider_kling import ledger

    monkeypatch.setattr(ledger, "_PAUSES", (0.0, 0.0))


@pytest.fixture(autouse=True)
def _nothing_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider_kling.hooks import sharing

    monkeypatch.setattr(sharing, "_learned", {})


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again at once: the same decisions, next to no time between them."""
    from airflow_provider_kling import fetching
    from airflow_provider_kling.api import durations, eta, pacing, waiting
    from airflow_provider_kling.hooks import kling, sharing

    for name in ("FIRST_QUESTION", "SECOND_QUESTION", "BASE", "_LATE_DELAY", "_LONGEST_BACK_OFF"):
        monkeypatch.setattr(waiting, name, 0.001)
    monkeypatch.setattr(eta, "_LONGEST_AT_FIRST", 0.001)
    monkeypatch.setattr(eta, "_SHORTEST", 0.001)
    monkeypatch.setattr(pacing, "_PAUSE", 0.001)
    monkeypatch.setattr(durations, "_ENOUGH", 10**9)
    monkeypatch.setattr(fetching, "_PAUSES", (0.0, 0.0, 0.0))
    monkeypatch.setattr(kling, "DEFAULT_REQUESTS_PER_SECOND", 1000.0)
    monkeypatch.setattr(sharing, "_REFRESH_AT_MOST_EVERY", 0.0)


@pytest.fixture
def task_run(kling_simulator: KlingSimulator, impatient: None) -> TaskRun:
    """A task instance; it remembers what it bought where Airflow can (3.3+)."""
    from task_runs import TaskRun

    return TaskRun(kling_simulator, remembers=_has_task_state_store())


@pytest.fixture
def forgetful_run(kling_simulator: KlingSimulator, impatient: None) -> TaskRun:
    """A task instance before Airflow 3.3, where nothing is remembered."""
    from task_runs import TaskRun

    return TaskRun(kling_simulator, remembers=False)


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture) -> Iterator[Logs]:
    """What is logged during the test, DEBUG included."""
    from logs import Logs
    from structlog.testing import capture_logs

    caplog.set_level(logging.DEBUG)
    with capture_logs() as structured:
        yield Logs(caplog, structured)
