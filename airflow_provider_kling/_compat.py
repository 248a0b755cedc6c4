"""The few names that live elsewhere in Airflow 3.1."""

from __future__ import annotations

from importlib import import_module
from typing import Any

try:  # Airflow 3.2+
    from airflow.sdk.exceptions import (
        AirflowException,
        AirflowFailException,
        AirflowNotFoundException,
        AirflowRescheduleException,
        AirflowSensorTimeout,
        TaskDeferralError,
        TaskDeferralTimeout,
    )

    _WORKERS_ASK_ASYNC = True
except ImportError:  # Airflow 3.1
    from airflow.exceptions import (  # type: ignore[no-redef,attr-defined]
        AirflowException,
        AirflowFailException,
        AirflowNotFoundException,
        AirflowRescheduleException,
        AirflowSensorTimeout,
        TaskDeferralError,
        TaskDeferralTimeout,
    )

    _WORKERS_ASK_ASYNC = False

try:  # Airflow 3.2+
    from airflow.sdk.lineage import get_hook_lineage_collector
except ImportError:  # Airflow 3.1
    from airflow.lineage.hook import get_hook_lineage_collector  # type: ignore[no-redef,import-not-found]


def api_base_url() -> str:
    """Where people find Airflow's API server, as the worker is told; a path of the same server when it is not told."""
    try:
        from airflow.sdk.configuration import conf  # Airflow 3.2+
    except ImportError:
        from airflow.configuration import conf
    return str(conf.get("api", "base_url", fallback="/"))


def must_block() -> bool:
    """Whether connections can only be read blockingly: in `dag.test()`, and on a worker of Airflow 3.1."""
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import CommsDecoder

    comms = getattr(task_runner, "SUPERVISOR_COMMS", None)
    is_stub = not _WORKERS_ASK_ASYNC and type(comms) is CommsDecoder  # the triggerer has its own kind
    return comms is not None and (is_stub or not hasattr(comms, "asend"))


def stats() -> Any:
    """Airflow's metrics; since 3.2 there are two copies: a task sets up the SDK's, the triggerer the core's."""
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import CommsDecoder

    comms = getattr(task_runner, "SUPERVISOR_COMMS", None)
    in_triggerer = isinstance(comms, CommsDecoder) and type(comms) is not CommsDecoder  # it has its own kind
    package = "airflow" if in_triggerer else "airflow.sdk"
    try:
        return import_module(f"{package}.observability.stats").Stats
    except ImportError:  # Airflow 3.1
        from airflow.stats import Stats

        return Stats


__all__ = [
    "AirflowException",
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowRescheduleException",
    "AirflowSensorTimeout",
    "TaskDeferralError",
    "TaskDeferralTimeout",
    "api_base_url",
    "get_hook_lineage_collector",
    "must_block",
    "stats",
]
