"""The one step that costs money: intent, POST, record, so that no crash between two of them buys twice unseen."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NoReturn

from airflow_provider_kling import metrics
from airflow_provider_kling._compat import AirflowRescheduleException
from airflow_provider_kling.api.errors import InvalidConnection, KlingError, SubmitUncertain
from airflow_provider_kling.api.lining_up import must_stand_back, next_turn
from airflow_provider_kling.exceptions import STEP_ASIDE, LedgerUnavailable, submit_failed
from airflow_provider_kling.ledger import Phase
from airflow_provider_kling.operators.siblings import find_place, waiting_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_kling.api.client import KlingClient
    from airflow_provider_kling.api.lining_up import Place
    from airflow_provider_kling.api.models import TextToVideo
    from airflow_provider_kling.hooks.kling import KlingHook
    from airflow_provider_kling.ledger import Ledger, Submit
    from airflow_provider_kling.operators.kling import KlingTextToVideoOperator


def buy(
    operator: KlingTextToVideoOperator,
    hook: KlingHook,
    context: Context,
    ledger: Ledger,
    request: TextToVideo,
    *,
    decision: Submit,
    fingerprint: str,
) -> None:
    """Buy a render with one POST; the ledger knows it afterwards.

    :param operator: the operator
    :param hook: leads to its connection
    :param context: Airflow's task context
    :param ledger: what this task instance has bought
    :param request: what to render
    :param decision: to buy, and why
    :param fingerprint: of the request
    :raises AirflowRescheduleException: nothing was bought, and time may cure it
    :raises KlingException: nothing was bought, or nobody knows
    """
    log = operator.log
    log.info("Submitting a new render%s.", f": {decision.why}" if decision.why else "")
    for caution in request.cautions():
        log.warning(caution)
    if not ledger.durable and operator.retries:
        log.warning("Before Airflow 3.3 a task can't remember what it bought: a retry may buy again.")
    with _client(hook) as client:  # whatever can fail before the intent does so here
        limit = client.account.submits_per_minute
        place = _stand_back(operator, context, limit)
        before = ledger.intend(generation=decision.generation, fingerprint=fingerprint)
        try:
            operator.submitting = True
            task_id = client.submit(request, model=operator.model)
        except KlingError as error:
            operator.submitting = False
            settled = isinstance(error, SubmitUncertain) or ledger.take_back(before)
            metrics.submitted(model=operator.model, refusal=error)
            if not settled:
                raise LedgerUnavailable(
                    f"{error.message.rstrip('.')}. Nothing was bought, but the intent could not be taken back: a "
                    "retry stops, as if an answer had been lost, and a clear submits again."
                ) from None
            _not_bought(operator, context, error, place=place, limit=limit)
    log.info("Submitted render %s: %s, %s s. It is paid from here on.", task_id, operator.model, request.seconds)
    ledger.advance(Phase.SUBMITTED, task_id=task_id, submitted_at=time.time())
    operator.submitting = False
    metrics.submitted(model=operator.model)


def _client(hook: KlingHook) -> KlingClient:
    try:
        return hook.get_conn()
    except InvalidConnection as error:
        raise submit_failed(error) from None


def _stand_back(operator: KlingTextToVideoOperator, context: Context, limit: float) -> Place | None:
    """Line up without asking when many mapped tasks before this one were refused; returns the place, if asked for."""
    if (context["ti"].map_index or 0) < limit:  # so many can't be before it
        return None
    place = find_place(context)
    if place and must_stand_back(place, submits_per_minute=limit):
        waiting = waiting_of(context, patience=operator.patience)
        delay = next_turn(None, place, waiting, submits_per_minute=limit)
        if delay is not None:
            _step_aside(operator, "Many mapped tasks before this one wait for their turn", delay, place)
    return place


def _not_bought(
    operator: KlingTextToVideoOperator, context: Context, error: KlingError, *, place: Place | None, limit: float
) -> NoReturn:
    """Step aside without using up a retry when time may cure it, otherwise fail."""
    if isinstance(error, STEP_ASIDE):
        place = place or find_place(context)
        waiting = waiting_of(context, patience=operator.patience)
        delay = next_turn(error, place, waiting, submits_per_minute=limit)
        if delay is not None:
            _step_aside(operator, error.message.rstrip("."), delay, place)
    raise submit_failed(error, resubmit=operator.on_uncertain_submit == "resubmit") from None


def _step_aside(operator: KlingTextToVideoOperator, why: str, delay: float, place: Place | None) -> NoReturn:
    operator.log.warning(
        "%s. Nothing was bought; trying again in %.0f s%s, without using up a retry or holding a worker.",
        why,
        delay,
        f", after {place.ahead} mapped tasks before this one" if place and place.ahead else "",
    )
    raise AirflowRescheduleException(datetime.now(UTC) + timedelta(seconds=delay))
