"""What differs between the versions of Airflow."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import CommsDecoder

from airflow_provider_kling._compat import must_block


def test_a_worker_that_can_not_ask_asynchronously_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """In Airflow 3.1 `asend` is there and not implemented."""
    comms: Any = CommsDecoder.__new__(CommsDecoder)
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", comms, raising=False)
    with pytest.raises((NotImplementedError, AttributeError)) as refusal:
        asyncio.run(comms.asend(None))
    assert must_block() is (refusal.type is NotImplementedError)
