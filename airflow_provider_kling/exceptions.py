"""Each outcome's face in Airflow: fail, retry or step aside, and the sentence about the money.

`api.errors` says what happened; the classes here say what Airflow does about it. Those that also derive from
`AirflowFailException` fail the task at once, all others leave the decision to the task's `retries`.
"""

from __future__ import annotations

from typing import Literal

from airflow_provider_kling._compat import AirflowException, AirflowFailException
from airflow_provider_kling.api import errors
from airflow_provider_kling.api.waiting import Outcome, Verdict


class KlingException(errors.KlingError, AirflowException):
    """Base of what operators and sensors raise; carries `task_id`, `reason` and `bought`."""


class InvalidRequest(KlingException, errors.InvalidRequest, AirflowFailException):
    """The request breaks a rule of the API page; nothing was sent. No retry."""


class InvalidConnection(KlingException, errors.InvalidConnection, AirflowFailException):
    """The connection can't be used; nothing was sent. No retry."""


class InvalidTarget(KlingException, AirflowFailException):
    """`save_to` can't be written to; nothing was sent. No retry."""


class RequestRejected(KlingException, errors.RequestRejected, AirflowFailException):
    """The API refused the request; not bought. No retry."""


class ContentRejected(KlingException, errors.ContentRejected, AirflowFailException):
    """Moderation refused the prompt or the video. No retry."""


class AuthenticationFailed(KlingException, errors.AuthenticationFailed, AirflowFailException):
    """The key was refused at the submit; not bought. No retry."""


class AuthenticationLost(KlingException, errors.AuthenticationFailed):
    """The key was refused while the render was going on; a retry goes on with the same render."""

    bought = "yes"


class BalanceTooLow(KlingException, errors.BalanceTooLow):
    """Not bought; Airflow's retries apply, as the service says it may be a rate limit or billing lag."""


class RateLimited(KlingException, errors.RateLimited):
    """Rate limited for longer than the task's `timeout` allows; not bought."""


class ServiceUnavailable(KlingException, errors.ServiceUnavailable):
    """The service still could not take the request when the task's `timeout` was over; not bought."""


class Unreachable(KlingException, errors.Unreachable):
    """The API was still out of reach when the task's `timeout` was over; not bought."""


class SubmitUncertain(KlingException, errors.SubmitUncertain, AirflowFailException):
    """Perhaps bought; never sent again by itself. No retry."""


class SubmitUncertainResubmit(KlingException, errors.SubmitUncertain):
    """Perhaps bought, and `on_uncertain_submit="resubmit"` allows the next attempt to send it again."""


class RenderFailed(KlingException, errors.RenderFailed):
    """The service failed to render; a retry buys a new render."""


class RenderLost(KlingException, errors.RenderLost):
    """The service has forgotten the render; a retry buys a new one."""


class RenderTimeout(KlingException, errors.RenderTimeout):
    """The deadline passed; the render goes on and a retry goes on waiting for it."""


class VideoUnavailable(KlingException, errors.VideoUnavailable):
    """Rendered and paid, but not delivered; a retry asks again and pays nothing."""


class LedgerUnavailable(KlingException):
    """The record of what was bought can't be read or written; nothing was sent."""


STEP_ASIDE = (errors.RateLimited, errors.ServiceUnavailable, errors.Unreachable)
"""Nothing was bought and time may cure it: try again later without using up a retry."""

_SUBMIT_FACES: dict[type[errors.KlingError], tuple[type[KlingException], str]] = {
    errors.InvalidRequest: (InvalidRequest, "Nothing was sent or paid. Correct the task; if it has run, clear it."),
    errors.InvalidConnection: (
        InvalidConnection,
        "Nothing was sent or paid. Correct the connection and clear the task.",
    ),
    errors.RequestRejected: (RequestRejected, "Nothing was bought. It is not retried: correct the task and clear it."),
    errors.ContentRejected: (
        ContentRejected,
        "Nothing was bought. It is not retried: change the prompt and clear the task.",
    ),
    errors.AuthenticationFailed: (
        AuthenticationFailed,
        "Nothing was bought. It is not retried: correct the key in the connection, then clear the task.",
    ),
    errors.BalanceTooLow: (
        BalanceTooLow,
        "Nothing was bought. A retry submits again; the service says this may also be a rate limit or billing lag.",
    ),
    errors.RateLimited: (
        RateLimited,
        "Nothing was bought, and `timeout` leaves no time to try again. A retry or a clear submits again.",
    ),
    errors.ServiceUnavailable: (
        ServiceUnavailable,
        "Nothing was bought, and `timeout` leaves no time to try again. A retry or a clear submits again.",
    ),
    errors.Unreachable: (
        Unreachable,
        "Nothing was bought, and `timeout` leaves no time to try again. A retry or a clear submits again.",
    ),
    errors.SubmitUncertain: (
        SubmitUncertain,
        "It is unknown whether this render was bought. It is not sent again by itself: look at the account's usage. "
        "To submit again, clear the task: that may buy a second time.",
    ),
}


def submit_failed(error: errors.KlingError, *, resubmit: bool = False) -> KlingException:
    """The Airflow face of a submit that did not come off.

    :param error: what the client raised
    :param resubmit: whether an uncertain submit may be sent again by a retry
    """
    if resubmit and isinstance(error, errors.SubmitUncertain):
        return _face(
            SubmitUncertainResubmit,
            error,
            "It is unknown whether this render was bought. on_uncertain_submit='resubmit': a retry or a clear "
            "submits again, which may buy a second time.",
        )
    kind, money = _SUBMIT_FACES[type(error)]
    return _face(kind, error, money)


_NEW = "A retry or a clear buys a new render."
_SAME = "A retry or a clear goes on with the same render and pays nothing."
_FETCH = (
    "A retry asks for it again and pays nothing; so does a clear, unless the API has forgotten it: then a clear buys a "
    "new render."
)
_HANDED_OUT = "A retry asks for it again and pays nothing; a clear buys a new render, as on_clear='render'."
_AGAIN: dict[bool | None, str] = {
    True: _HANDED_OUT,
    False: "A retry or a clear asks for it again and pays nothing, as on_clear='reuse'.",
    None: _FETCH,
}
_WAIT_FACES: dict[Outcome, tuple[type[KlingException], str, str]] = {
    Outcome.FAILED: (RenderFailed, "failed", f"The API does not say whether it is charged. {_NEW}"),
    Outcome.CONTENT_REJECTED: (
        ContentRejected,
        "was refused by moderation",
        "The API does not say whether it is charged. It is not retried; a clear buys a new render.",
    ),
    Outcome.LOST: (
        RenderLost,
        "has been unknown to the API for 30 minutes",
        f"The service's advice is to take it as failed. {_NEW}",
    ),
    Outcome.TIMED_OUT: (RenderTimeout, "was not finished in time", f"It is paid and may still finish. {_SAME}"),
    Outcome.AUTHENTICATION_FAILED: (
        AuthenticationLost,
        "can't be asked about any more, as the API refuses the key",
        f"It is paid and goes on. Correct the key in the connection. {_SAME}",
    ),
    Outcome.NO_VIDEO: (VideoUnavailable, "succeeded, but there is no video to fetch", f"It is paid. {_FETCH}"),
}
_NO_LEDGER = (
    "Before Airflow 3.3 a task can't remember what it bought: a retry or a clear buys a NEW render; "
    "fetch this one by its task_id with KlingRenderSensor instead."
)
_UNRECORDED = (
    "Its id could not be recorded: a retry stops without buying, a clear buys a NEW render; "
    "fetch this one by its task_id with KlingRenderSensor instead."
)
WATCHING = "This task buys nothing: a retry or a clear asks again."
"""What another attempt of a sensor or a transfer means."""

Retry = Literal["remembers", "refuses", "forgets", "watches"]
"""What another attempt does: it knows what was bought (Airflow 3.3+), knows that something was but not its id, knows
nothing (before 3.3), or never buys (sensors, transfers)."""


def _in_words_of(retry: Retry, money: str) -> str:
    if retry in {"forgets", "refuses"}:
        for sentence in (_SAME, _FETCH):
            money = money.replace(sentence, _NO_LEDGER if retry == "forgets" else _UNRECORDED)
    if retry == "watches":
        for sentence in (_SAME, _FETCH, _NEW, "It is not retried; a clear buys a new render."):
            money = money.replace(sentence, WATCHING)
    return money


def waiting_failed(verdict: Verdict, task_id: str | None, *, retry: Retry) -> KlingException:
    """The Airflow face of a render that did not end with a video.

    :param verdict: how waiting ended
    :param task_id: the render; None when nobody knows its id any more
    :param retry: what another attempt of this task would do
    """
    kind, what, money = _WAIT_FACES[verdict.outcome]
    money = _in_words_of(retry, money)
    reason = f" ({verdict.reason.rstrip('.')})" if verdict.reason else ""
    message = f"Render {task_id or 'of this task'} {what}{reason}. {money}"
    if kind is ContentRejected:
        return ContentRejected(message, stage="output", task_id=task_id, reason=verdict.reason)
    return kind(message, task_id=task_id, reason=verdict.reason)


def not_delivered(
    error: errors.KlingError, task_id: str, *, retry: Retry, clear_buys: bool | None = None
) -> VideoUnavailable:
    """The Airflow face of a finished render whose video could not be fetched or stored.

    :param error: what went wrong
    :param task_id: the render
    :param retry: what another attempt of this task would do
    :param clear_buys: whether a clear buys a new render; default None: only if the API has forgotten this one
    """
    money = _in_words_of(retry, f"It is rendered and paid. {_AGAIN[clear_buys]}")
    return VideoUnavailable(
        f"The video of render {task_id} was not delivered: {error.message.rstrip('.')}. {money}",
        task_id=task_id,
        reason=error.reason,
        http_status=error.http_status,
    )


def _face(kind: type[KlingException], error: errors.KlingError, money: str) -> KlingException:
    end = "" if error.message.endswith((".", "!", "?")) else "."
    return kind(
        f"{error.message}{end} {money}",
        reason=error.reason,
        http_status=error.http_status,
        task_id=error.task_id,
        trace_id=error.trace_id,
        retry_after=error.retry_after,
    )
