"""A mapped task among its siblings of the same run: who buys before it."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_provider_kling.api.lining_up import Place, Waiting

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)

_REFUSED = "up_for_reschedule"
_COMING = {_REFUSED, "scheduled", "queued", "running"}
"""On their way to buy. Those without a state are not: in a mapped task group they may wait for somebody else."""
_BOUGHT = {"deferred", "success"}


def is_mapped(context: Context) -> bool:
    """Whether this task has siblings.

    :param context: Airflow's task context
    """
    index = context["ti"].map_index
    return index is not None and index >= 0


def find_place(context: Context) -> Place | None:
    """Where this task stands; None when it is not mapped, and at the front when Airflow can't be asked.

    :param context: Airflow's task context
    """
    ti = context["ti"]
    if not is_mapped(context):
        return None
    try:
        found = ti.get_task_states(dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id])
        states = found.get(ti.run_id, {})
        before = [states.get(f"{ti.task_id}_{index}") for index in range(ti.map_index or 0)]
        return Place(
            ahead=sum(state in _COMING for state in before),
            refused=before.count(_REFUSED),
            bought=sum(state in _BOUGHT for state in before),
        )
    except Exception:  # a render never fails of it: it only comes back too early
        log.warning("Could not ask how many mapped tasks are ahead of this one.", exc_info=True)
        return Place()


def waiting_of(context: Context, *, patience: float) -> Waiting:
    """How long this task has waited for its turn.

    :param context: Airflow's task context
    :param patience: seconds it may wait
    """
    now = datetime.now(UTC)
    began = getattr(context.get("dag_run"), "start_date", None)
    try:
        first = context["ti"].get_first_reschedule_date(context)
    except Exception:
        log.warning("Could not ask since when this task waits for its turn.", exc_info=True)
        first = None
    return Waiting(
        waited=(now - first).total_seconds() if first else 0.0,
        patience=patience,
        run_age=(now - began).total_seconds() if began else None,
    )
