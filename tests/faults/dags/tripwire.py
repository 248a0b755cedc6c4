"""Sends its own task process SIGKILL, or another signal, at a chosen step of the first attempt."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

PACKAGE = "airflow_provider_kling"
OPERATOR = "operators.kling:KlingTextToVideoOperator"

STEPS = {
    "before the intent": ("before", "ledger:Ledger.intend"),
    "between intent and POST": ("after", "ledger:Ledger.intend"),
    "between answer and record": ("after", "api.client:KlingClient.submit"),
    "between record and defer": ("before", f"{OPERATOR}._wait"),
    "on resume": ("before", f"{OPERATOR}.execute_complete"),
    "between save and done": ("after", "saving:save"),
    "between done and success": ("after", f"{OPERATOR}.execute_complete"),
}


def arm(context: Mapping[str, Any]) -> None:
    """Lay the wire; a `pre_execute` of the task.

    :param context: Airflow's; `dag_run.conf["kill"]` names the steps, one for each second mapped task in turn
    """
    ti, steps = context["ti"], context["dag_run"].conf.get("kill", [])
    turn, spared = divmod(max(ti.map_index, 0), 2)
    if steps and not spared and ti.try_number == 1:
        _lay(*STEPS[steps[turn % len(steps)]], context["dag_run"].conf["signal"])


def _lay(when: str, where: str, sig: int) -> None:
    module, _, path = where.partition(":")
    owner = import_module(f"{PACKAGE}.{module}")
    *classes, name = path.split(".")
    for each in classes:
        owner = getattr(owner, each)
    original = getattr(owner, name)

    def tripped(*args: Any, **kwargs: Any) -> Any:
        if when == "before":
            os.kill(os.getpid(), sig)
        result = original(*args, **kwargs)
        if when == "after":
            os.kill(os.getpid(), sig)
        return result

    setattr(owner, name, tripped)
