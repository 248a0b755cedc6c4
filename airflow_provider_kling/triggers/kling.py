"""A thin poller: asks how a render stands until it is over, and never buys anything."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_kling import card
from airflow_provider_kling.api.waiting import Outcome, Verdict
from airflow_provider_kling.hooks.kling import KlingHook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_provider_kling.api.models import Render
    from airflow_provider_kling.hooks.telling import Tell

log = logging.getLogger(__name__)


class KlingRenderTrigger(BaseTrigger):
    """Waits for a render in the triggerer and fires one event: how it ended.

    Its arguments lie as plain JSON in Airflow's database, so they hold no prompt, no key and no link. Two copies may
    run at once after a triggerer was lost: asking is all they do.

    :param kling_conn_id: Airflow connection of type `kling`
    :param kling_task_id: the render's id at the API
    :param submitted_at: epoch seconds of the submit
    :param deadline: epoch seconds at which waiting ends
    :param like: label of the render's model and length, to learn how long such renders take; default None
    """

    def __init__(
        self,
        *,
        kling_conn_id: str,
        kling_task_id: str,
        submitted_at: float,
        deadline: float,
        like: str | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kling_conn_id = kling_conn_id
        self.kling_task_id = kling_task_id
        self.submitted_at = submitted_at
        self.deadline = deadline
        self.like = like

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments, as Airflow stores them."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "kling_conn_id": self.kling_conn_id,
                "kling_task_id": self.kling_task_id,
                "submitted_at": self.submitted_at,
                "deadline": self.deadline,
                "like": self.like,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then fire `{"outcome", "task_id", "reason"}`."""
        verdict = await self.wait(tell=self._tell)
        yield TriggerEvent({"outcome": verdict.outcome.value, "task_id": self.kling_task_id, "reason": verdict.reason})

    async def wait(self, *, tell: Tell | None = None) -> Verdict:
        """Wait for the end of the render; also what a task does that waits on its worker.

        :param tell: told how the render stands, a few times; default None: nobody listens
        """
        return await KlingHook(self.kling_conn_id).await_render(
            task_id=self.kling_task_id,
            submitted_at=self.submitted_at,
            deadline=self.deadline,
            like=self.like,
            tell=tell,
        )

    async def _tell(self, render: Render, expected: float | None, now: float) -> None:
        ti = getattr(self, "task_instance", None)
        if ti is not None:  # `dag.test()` gives none
            await card.tell(ti, render, expected, now)

    async def on_kill(self) -> None:
        """Say what stopping means; there is no cancel in this API (Airflow 3.3+ calls this, also by mistake)."""
        log.info(
            "Nobody waits here for render %s any more. It goes on and is paid: this API has no cancel. "
            "It can be fetched by its task_id with KlingRenderSensor.",
            self.kling_task_id,
        )


def read_event(event: Any) -> tuple[str, Verdict]:
    """Check what a trigger sent before believing it.

    :param event: what the task was resumed with
    :returns: the render's id at the API, and how waiting for it ended
    :raises ValueError: when it is no event of this trigger
    """
    fits = isinstance(event, dict) and event.get("task_id") and str(event.get("outcome")) in set(Outcome)
    if not fits or not isinstance(event.get("reason"), str | None):
        raise ValueError(f"Resumed with something that is no event of {KlingRenderTrigger.__name__}: {event!r}")
    return str(event["task_id"]), Verdict(Outcome(event["outcome"]), event.get("reason"))
