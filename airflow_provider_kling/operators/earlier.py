"""What became of what an earlier attempt of this task instance has bought."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from airflow_provider_kling.api.errors import KlingError, RenderNotFound, SubmitUncertain
from airflow_provider_kling.api.waiting import Outcome, Verdict, judge
from airflow_provider_kling.exceptions import submit_failed, waiting_failed
from airflow_provider_kling.ledger import Phase

if TYPE_CHECKING:
    from airflow_provider_kling.hooks.kling import KlingHook
    from airflow_provider_kling.ledger import Ledger, Record, Refuse
    from airflow_provider_kling.operators.kling import KlingTextToVideoOperator


def look(operator: KlingTextToVideoOperator, hook: KlingHook, record: Record) -> Verdict | None:
    """Ask once how the render stands; None while it goes on or can't be asked for.

    :param operator: the operator
    :param hook: leads to its connection
    :param record: of the render
    """
    operator.log.info("This task has bought render %s already: going on with it.", record.task_id)
    rendered = Verdict(Outcome.SUCCEEDED) if record.phase is Phase.RENDERED else None
    try:
        return judge(hook.get_render(str(record.task_id))) or rendered
    except RenderNotFound as error:
        # of a finished render, and in the service's own words: a proxy's 404 page means nothing
        return Verdict(Outcome.LOST, error.reason) if rendered and error.reason else rendered
    except KlingError as error:
        operator.log.warning("%s", error.message)
        return rendered


def refuse(operator: KlingTextToVideoOperator, refusal: Refuse, ledger: Ledger) -> NoReturn:
    """Stop, as only a person may buy again.

    :param operator: the operator
    :param refusal: what the record says
    :param ledger: what this task instance has bought
    :raises ContentRejected: when moderation has refused the render
    :raises SubmitUncertain: when nobody knows whether there is one
    """
    if refusal.moderated:
        operator.render_id = refusal.moderated.task_id
        verdict = Verdict(Outcome.CONTENT_REJECTED, "an earlier attempt was told so")
        raise waiting_failed(verdict, str(refusal.moderated.task_id), retry=ledger.retry)
    earlier = "An earlier attempt submitted and did not learn or record the answer."
    adopt = "If its log names a render, KlingRenderSensor can fetch it by that id."
    raise submit_failed(SubmitUncertain(f"{earlier} {adopt}"))
