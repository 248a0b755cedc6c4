"""Retries that go on with a paid render are free, retries that buy anew are not: a policy that counts purchases.

Airflow 3.3+. It asks a policy on the worker, right after a failure, and never about an `AirflowFailException`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

try:
    from airflow.sdk import RetryDecision, RetryPolicy
except ImportError:
    raise ImportError(
        "KlingRetryPolicy needs Airflow 3.3 or later, which brought retry policies. Leave it out and set retries=0: "
        "before 3.3 a task can't remember what it bought, so that every retry may buy again."
    ) from None

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context

    from airflow_provider_kling.exceptions import KlingException
    from airflow_provider_kling.ledger import Record


@dataclass(frozen=True, kw_only=True)  # its repr is the same in every parse, wherever Airflow may write it down
class KlingRetryPolicy(RetryPolicy):
    """Limits how many renders a task's retries buy; `retries` still limits how often it is tried at all.

    A retry that buys anew (after `RenderFailed`, `RenderLost`, `SubmitUncertainResubmit`) waits the task's own
    `retry_delay`, and so does one after a refused submit, or for as long as the service asks (`Retry-After`) if that
    is longer. Sensors buy nothing, and other people's exceptions say nothing about money: there Airflow's own rules
    hold. Two purchases can't be seen from here, as there is no failure in between: a retry (after `RenderTimeout`,
    `AuthenticationLost` or the death of a worker) that finds that its paid render has failed meanwhile, or that its
    inputs have changed.

    :param max_renders: how many renders one task instance may have bought, those after clears included, before a
        failure whose retry would buy another one fails the task; default 2. A clear may always buy one more.
    :param free_delay: how long a retry waits that goes on with a paid render or asks Airflow's task state store
        again; default 2 minutes: well within the hour after which the link to a video dies (`video_url_ttl`)
    :param balance_delay: how long a retry waits at least after `BalanceTooLow`; default 10 minutes, as the service
        says that this may be its billing lagging behind (source: its billing FAQ)
    """

    max_renders: int = 2
    free_delay: timedelta = timedelta(minutes=2)
    balance_delay: timedelta = timedelta(minutes=10)

    def __post_init__(self) -> None:
        if not isinstance(self.max_renders, int) or self.max_renders < 1:
            raise ValueError(f"max_renders={self.max_renders!r}: must be a whole number from 1")
        for name in ("free_delay", "balance_delay"):
            delay = getattr(self, name)
            if not isinstance(delay, timedelta) or delay < timedelta(0):
                raise ValueError(f"{name}={delay!r}: must be a timedelta from 0")

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Decide what Airflow does after a failure.

        :param exception: what the attempt ended with
        :param try_number: number of the attempt, from 1; not used, Airflow counts by itself
        :param max_tries: how many tries Airflow allows; not used
        :param context: the task's context; without it no retry buys
        """
        from airflow.sdk import BaseSensorOperator

        from airflow_provider_kling.exceptions import KlingException, LedgerUnavailable
        from airflow_provider_kling.ledger import Ledger

        task = context["ti"].task if context else None
        if not isinstance(exception, KlingException) or isinstance(task, BaseSensorOperator):
            return RetryDecision.default()
        if exception.bought == "no":
            return self._submit_again(exception, task)
        try:
            record = Ledger(context).record if context else None
        except LedgerUnavailable:
            if exception.bought == "yes":  # failing would cost the video
                why = "The render is paid. Its record can't be read, and a retry buys nothing as long as that is so."
                return RetryDecision.retry(self.free_delay, why)
            return RetryDecision.fail(
                "The record of what this task has bought can't be read, so no retry may buy another render. "
                "A clear buys one if the record can be read by then."
            )
        return self._go_on(exception, record) if exception.bought == "yes" else self._buy_anew(record)

    def _submit_again(self, refusal: KlingException, task: BaseOperator | None) -> RetryDecision:
        from airflow_provider_kling.exceptions import BalanceTooLow, LedgerUnavailable

        if isinstance(refusal, LedgerUnavailable):
            why = "This attempt bought nothing, and a retry buys nothing as long as the record of it does not work."
            return RetryDecision.retry(self.free_delay, why)
        least = timedelta(seconds=refusal.retry_after or 0.0)
        if isinstance(refusal, BalanceTooLow):
            least = max(least, self.balance_delay)
        # None is the task's own delay, with its exponential backoff
        delay = least if task is None or least > task.retry_delay else None
        return RetryDecision.retry(delay, "This attempt bought nothing: a retry tries the same purchase again.")

    def _go_on(self, failure: KlingException, record: Record | None) -> RetryDecision:
        from airflow_provider_kling.ledger import Phase

        if record is None or not record.task_id:
            return RetryDecision.fail(
                "The render is paid, but its id is not on record, so no retry can go on with it. Fetch it with "
                f"KlingRenderSensor(kling_task_id={failure.task_id!r}); a clear buys a new one."
            )
        why = "The render is paid: a retry goes on with it and pays nothing"
        if record.phase is Phase.SUBMITTED:
            why += ", unless it has failed or the inputs have changed by then: that retry buys another one"
        return RetryDecision.retry(self.free_delay, f"{why}.")

    def _buy_anew(self, record: Record | None) -> RetryDecision:
        from airflow_provider_kling.ledger import Phase

        if record is None:
            return RetryDecision.fail(
                "There is no record of what this task has bought, so no retry may buy another render. A clear buys one."
            )
        perhaps = ", the last one perhaps" if record.phase is Phase.INTENT else ""
        count = f"Renders bought by this task: {record.generation}{perhaps} (max_renders={self.max_renders})."
        if record.generation < self.max_renders:
            return RetryDecision.retry(None, f"{count} A retry buys another one.")
        return RetryDecision.fail(f"{count} No retry buys another one; a clear does.")
