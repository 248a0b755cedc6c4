"""A prompt goes in, a 4K video lies in the user's storage."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider_kling.links import KlingVideoLink, push_link
from airflow_provider_kling.operators.checking import (
    REQUEST_FIELDS,
    check_complete,
    check_known,
    request_bought,
    template_marks,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from airflow_provider_kling.api.models import Shot, TextToVideo
    from airflow_provider_kling.api.waiting import Verdict
    from airflow_provider_kling.card import Display
    from airflow_provider_kling.hooks.kling import KlingHook
    from airflow_provider_kling.ledger import Decision, Ledger, OnClear, OnUncertainSubmit

_BACKSTOP = 300.0
"""Seconds after our own deadline at which Airflow ends the deferral, should the trigger never report."""


class KlingTextToVideoOperator(BaseOperator):
    """Renders a video with Kling v3.0 4K, waits for it without holding a worker, and saves it.

    Fields left at None are not sent, so that the API's default holds (source: the API page). A mistake in a field
    without template fails when the DAG is parsed; otherwise the task fails without a retry, before anything is paid.

    :param prompt: what the video shows, 1 to 2500 characters; or `multi_prompt`, never both
    :param multi_prompt: shots as `Shot(prompt, duration)` or dicts; their lengths add up to `duration`
    :param negative_prompt: what to avoid, at most 2500 characters; default None
    :param duration: length in whole seconds, 3 to 15; API default 5, with shots their sum
    :param aspect_ratio: "16:9", "9:16" or "1:1"; API default "16:9"
    :param cfg_scale: 0 (freer) to 1 (closer to the prompt); default None
    :param sound: a sound track too (costs more); API default false
    :param model: model slug; default `kling-v3.0-4k-t2v`
    :param save_to: local path or object-storage URL for the finished MP4; default None: only the link is returned,
        which dies within the hour
    :param storage_conn_id: Airflow connection of the object storage; default None
    :param write_manifest: write the manifest to `{save_to}.json` too; default False
    :param kling_conn_id: Airflow connection of type `kling`; default `kling_default`
    :param deferrable: wait in the triggerer (default) or on the worker
    :param timeout: how long to wait for a render, timedelta or seconds; default 1 hour. A retry goes on with the
        same render and a fresh timeout (Airflow 3.3+). A refused submit steps aside for at most this long.
    :param on_uncertain_submit: when the answer to a submit was lost: "fail" (default) stops without a retry,
        "resubmit" lets Airflow's retries submit again, which may buy twice
    :param on_clear: when a finished task is cleared: "render" (default) buys anew, "reuse" delivers the same again
    """

    template_fields: Sequence[str] = (*REQUEST_FIELDS, "model", "save_to", "storage_conn_id", "kling_conn_id")
    operator_extra_links = (KlingVideoLink(),)
    ui_color = "#e8e3f6"

    def __init__(
        self,
        *,
        prompt: str | None = None,
        multi_prompt: Sequence[Shot | dict[str, Any]] | str | None = None,
        negative_prompt: str | None = None,
        duration: int | str | None = None,
        aspect_ratio: str | None = None,
        cfg_scale: float | str | None = None,
        sound: bool | str | None = None,
        model: str = "kling-v3.0-4k-t2v",
        save_to: str | os.PathLike[str] | None = None,
        storage_conn_id: str | None = None,
        write_manifest: bool = False,
        kling_conn_id: str = "kling_default",
        deferrable: bool = True,
        timeout: timedelta | float = timedelta(hours=1),
        on_uncertain_submit: OnUncertainSubmit = "fail",
        on_clear: OnClear = "render",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.prompt = prompt
        self.multi_prompt = _as_dicts(multi_prompt)
        self.negative_prompt = negative_prompt
        self.duration = duration
        self.aspect_ratio = aspect_ratio
        self.cfg_scale = cfg_scale
        self.sound = sound
        self.model = model
        self.save_to = str(save_to) if isinstance(save_to, os.PathLike) else save_to
        self.storage_conn_id = storage_conn_id
        self.write_manifest = write_manifest
        self.kling_conn_id = kling_conn_id
        self.deferrable = deferrable
        self.timeout = timeout
        self.on_uncertain_submit = on_uncertain_submit
        self.on_clear = on_clear
        self.submitting = False
        self.render_id: str | None = None
        # a subclass may fill in the prompt later
        check_known(vars(self), complete=type(self) is KlingTextToVideoOperator, marks=template_marks(self))

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Map this operator; what is given here is checked when the DAG is parsed, like any other argument.

        :param kwargs: the arguments that all mapped tasks share
        """
        check_known(kwargs, complete=False, mapped=True)
        return super().partial(**kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """Buy the render, or go on with the one this task instance has bought; then wait and deliver.

        :param context: Airflow's task context
        :returns: the manifest
        :raises KlingException: one of `airflow_provider_kling.exceptions`
        """
        from airflow_provider_kling.card import Display

        with Display(self, context) as display:
            return display.done(self._execute(context, display))

    def _execute(self, context: Context, display: Display) -> dict[str, Any]:
        from airflow_provider_kling import metrics
        from airflow_provider_kling.exceptions import VideoUnavailable
        from airflow_provider_kling.ledger import Ledger, Reattach, Refuse, Reuse, reconsider
        from airflow_provider_kling.operators.delivery import deliver_again
        from airflow_provider_kling.operators.earlier import look, refuse
        from airflow_provider_kling.operators.purchase import buy

        hook, ledger = self._hook(), Ledger(context)
        refusal = self._decide(ledger, fingerprint="")
        if isinstance(refusal, Refuse):  # whatever the inputs are: nobody may hear first that nothing was paid
            refuse(self, refusal, ledger)
        try:
            request, fingerprint = check_complete(self, hook, context, ledger.record, cleared=ledger.cleared)
        except VideoUnavailable:  # a paid render is at stake: its id is needed now
            self._push(context, ledger, display)
            raise
        decision = self._decide(ledger, fingerprint=fingerprint)
        assert not isinstance(decision, Refuse)
        if isinstance(decision, Reuse):
            self._push(context, ledger, display)
            if decision.record.fingerprint != fingerprint:
                self.log.warning(
                    "The inputs have changed since render %s was delivered; it is delivered again as it is. A clear "
                    "with on_clear='render' buys one of the new inputs.",
                    decision.record.task_id,
                )
            return deliver_again(self, hook, context, ledger, record=decision.record, request=request)
        verdict: Verdict | None = None
        described: TextToVideo | None = request
        if isinstance(decision, Reattach):
            decision, verdict = reconsider(decision, look(self, hook, decision.record))
        if isinstance(decision, Reattach) and decision.record.fingerprint not in {"", fingerprint}:
            self.log.warning("The inputs have changed since it was rendered; it is delivered as it is.")
            described = None
        if described:
            display.asked(described, self.model)
        if isinstance(decision, Reattach):
            ledger.advance(decision.record.phase)
            metrics.reattached(model=self.model)
        else:
            buy(self, hook, context, ledger, request, decision=decision, fingerprint=fingerprint)
        self._push(context, ledger, display)
        if verdict is None:
            verdict = self._wait(ledger, request, display)
        return self._finish(context, verdict, ledger, described, display)

    def execute_complete(
        self,
        context: Context,
        event: Any = None,
        submitted_at: float | None = None,
        generation: int = 1,
        fingerprint: str = "",
    ) -> dict[str, Any]:
        """Take over from the trigger.

        :param context: Airflow's task context
        :param event: what the trigger fired
        :param submitted_at: epoch seconds of the submit
        :param generation: of the purchase; default 1
        :param fingerprint: of what was bought
        :returns: the manifest
        :raises KlingException: when the render did not end with a video
        """
        from airflow_provider_kling.card import Display
        from airflow_provider_kling.ledger import Ledger
        from airflow_provider_kling.triggers.kling import read_event

        task_id, verdict = read_event(event)
        with Display(self, context, resumed=True) as display:
            ledger = Ledger(context, resumed=True)
            ledger.follow(task_id, submitted_at=submitted_at, generation=generation, fingerprint=fingerprint)
            self.render_id = task_id
            request = request_bought(self, self._hook(), ledger.record)
            return display.done(self._finish(context, verdict, ledger, request, display))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Turn Airflow's own deferral timeout, which comes a little after ours, or a broken trigger into a timeout.

        :param next_method: as in BaseOperator
        :param next_kwargs: as in BaseOperator
        :param context: Airflow's task context
        """
        from airflow_provider_kling._compat import TaskDeferralError, TaskDeferralTimeout
        from airflow_provider_kling.api.waiting import Outcome, Verdict
        from airflow_provider_kling.card import Display
        from airflow_provider_kling.exceptions import waiting_failed
        from airflow_provider_kling.ledger import Ledger

        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except (TaskDeferralTimeout, TaskDeferralError) as error:
            ledger = Ledger(context, resumed=True)
            task_id = (ledger.record and ledger.record.task_id) or self._pushed_id(context)
            in_time = "in time " if isinstance(error, TaskDeferralTimeout) else ""
            verdict = Verdict(Outcome.TIMED_OUT, f"the triggerer did not report {in_time}how it stands: {error}")
            with Display(self, context, resumed=True):
                raise waiting_failed(verdict, task_id, retry=ledger.retry) from None

    def on_kill(self) -> None:
        """Say what stopping means; there is no cancel in this API."""
        if self.submitting:
            self.log.warning(
                "Stopped while a submit was on its way: it is unknown whether it buys a render. Should its id still be "
                "logged below, KlingRenderSensor can fetch the render. A retry stops (before Airflow 3.3 it submits "
                "again), a clear submits again."
            )
        elif self.render_id:
            self.log.warning(
                "Stopped before render %s was delivered. It goes on and is paid: this API has no cancel. A retry or a "
                "clear goes on with it (Airflow 3.3+); KlingRenderSensor can fetch it by its task_id.",
                self.render_id,
            )

    def _decide(self, ledger: Ledger, *, fingerprint: str) -> Decision:
        from airflow_provider_kling.ledger import decide

        return decide(
            ledger.record,
            fingerprint=fingerprint,
            cleared=ledger.cleared,
            on_uncertain_submit=self.on_uncertain_submit,
            on_clear=self.on_clear,
        )

    def _push(self, context: Context, ledger: Ledger, display: Display) -> None:
        """Hand out the render's id; Airflow forgets it at each attempt, and a paid render never fails of it."""
        self.render_id = ledger.record.task_id if ledger.record else None
        if self.do_xcom_push and ledger.record:
            try:
                context["ti"].xcom_push(key="task_id", value=ledger.record.task_id)
            except Exception:
                self.log.exception("Could not push task_id %s as XCom; the task goes on.", ledger.record.task_id)
        if self.render_id and ledger.record:
            push_link(self, context["ti"])
            display.bought(self.render_id, submitted_at=ledger.record.submitted_at)

    def _pushed_id(self, context: Context) -> str | None:
        """What this attempt has pushed; the only memory before Airflow 3.3."""
        ti = context["ti"]
        with contextlib.suppress(Exception):
            return str(ti.xcom_pull(task_ids=self.task_id, key="task_id", map_indexes=ti.map_index) or "") or None
        return None

    def _wait(self, ledger: Ledger, request: TextToVideo, display: Display) -> Verdict:
        """Wait for the render in the triggerer (this raises TaskDeferred), or here."""
        from airflow_provider_kling.triggers.kling import KlingRenderTrigger

        record = ledger.record
        now = time.time()
        trigger = KlingRenderTrigger(
            kling_conn_id=self.kling_conn_id,
            kling_task_id=str(record and record.task_id),
            submitted_at=(record and record.submitted_at) or now,
            deadline=now + self.patience,
            like=f"{self.model}/{request.seconds}s",
        )
        if self.deferrable:
            self.defer(
                trigger=trigger,
                method_name="execute_complete",
                kwargs={
                    "submitted_at": trigger.submitted_at,
                    "generation": record.generation if record else 1,
                    "fingerprint": record.fingerprint if record else "",
                },
                timeout=timedelta(seconds=self.patience + _BACKSTOP),
            )
        return asyncio.run(trigger.wait(tell=display.tell))

    def _finish(
        self, context: Context, verdict: Verdict, ledger: Ledger, request: TextToVideo | None, display: Display
    ) -> dict[str, Any]:
        """Deliver the video, or raise what became of the render; either way the record says so."""
        from airflow_provider_kling.api.waiting import Outcome
        from airflow_provider_kling.exceptions import waiting_failed
        from airflow_provider_kling.ledger import Phase
        from airflow_provider_kling.operators.delivery import deliver

        task_id = str(ledger.record and ledger.record.task_id)
        if verdict.outcome is Outcome.SUCCEEDED:
            ledger.advance(Phase.RENDERED)
            display.finished()
            return deliver(self, self._hook(), context, ledger, task_id=task_id, request=request)
        if verdict.outcome in {Outcome.FAILED, Outcome.CONTENT_REJECTED, Outcome.LOST}:
            ledger.advance(Phase.FAILED, moderated=verdict.outcome is Outcome.CONTENT_REJECTED)
        elif ledger.record:  # a last chance for the id of a paid render that the store would not take before
            ledger.advance(ledger.record.phase)
        raise waiting_failed(verdict, task_id, retry=ledger.retry)

    def _hook(self) -> KlingHook:
        from airflow_provider_kling.hooks.kling import KlingHook

        return KlingHook(self.kling_conn_id)

    @property
    def patience(self) -> float:
        """`timeout` in seconds."""
        return self.timeout.total_seconds() if isinstance(self.timeout, timedelta) else float(self.timeout)


def _as_dicts(multi_prompt: Any) -> Any:
    """Airflow renders templates inside dicts, not inside models."""
    if not isinstance(multi_prompt, list | tuple):
        return multi_prompt
    return [shot.model_dump() if hasattr(shot, "model_dump") else shot for shot in multi_prompt]
