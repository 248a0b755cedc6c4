"""One exception per outcome, and the two functions that read an outcome from an answer.

Pure: no I/O, no Airflow. `classify_submit` reads what the POST was told, `classify_poll` what the GET was told;
both branch on the service's `reason` first and on the HTTP status second, because the same trouble comes under
different statuses (a missing balance as 400, 402 or 403).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from airflow_provider_kling.api.answers import Answer, ServiceError

Bought = Literal["yes", "no", "perhaps"]
"""Whether the render was paid for."""


class KlingError(Exception):
    """Base of all that can go wrong between us and the API.

    :param message: what happened, in words a user understands; never holds a key or a signed link
    :param reason: the service's own word or sentence for it, when it gave one
    :param http_status: HTTP status, when there was an answer
    :param task_id: the render concerned, when its id is known
    :param trace_id: the request id of the answer, for the service's support
    :param retry_after: seconds the service asks us to stay away, when it said so
    """

    bought: Bought = "no"

    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        http_status: int | None = None,
        task_id: str | None = None,
        trace_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.http_status = http_status
        self.task_id = task_id
        self.trace_id = trace_id
        self.retry_after = retry_after


class InvalidRequest(KlingError, ValueError):
    """The request breaks a rule of the API page; it was never sent."""


class InvalidConnection(KlingError, ValueError):
    """The connection can't be used: missing, without key, or with a base URL that is none; nothing was sent."""


class RequestRejected(KlingError):
    """The API refused the request as it stands; sending it again changes nothing."""


class ContentRejected(KlingError):
    """Moderation refused the prompt (`stage="input"`, not bought) or the finished video (`stage="output"`)."""

    def __init__(self, message: str, *, stage: Literal["input", "output"] = "input", **details: Any) -> None:
        super().__init__(message, **details)
        self.stage = stage
        if stage == "output":
            self.bought = "perhaps"  # the API does not say whether a refused render is charged


class AuthenticationFailed(KlingError):
    """The API does not accept the key, or the key may not use this model."""


class BalanceTooLow(KlingError):
    """The account has too little money; the service says it may also be a rate limit or billing lag."""


class RateLimited(KlingError):
    """Too many requests; nothing was bought."""


class ServiceUnavailable(KlingError):
    """The service itself said that it can't take the request now; nothing was bought."""


class Unreachable(KlingError):
    """The request never left: DNS, refused connection, proxy or TLS."""


class SubmitUncertain(KlingError):
    """The POST was on its way and its answer is lost or unreadable: perhaps bought, never sent again by itself."""

    bought = "perhaps"


class PollFailed(KlingError):
    """A question about a render got no usable answer; the render itself is untouched."""

    bought = "yes"


class RenderNotFound(PollFailed):
    """The API does not know this task id (yet, or any more)."""


class RenderFailed(KlingError):
    """The service reports that the render failed."""

    bought = "perhaps"


class RenderLost(KlingError):
    """The API has not known the task id for 30 minutes: the service's advice is to take it as failed."""

    bought = "perhaps"


class RenderTimeout(KlingError):
    """The deadline passed while the render was still going on."""

    bought = "yes"


class VideoUnavailable(KlingError):
    """The render is finished and paid, but its video can't be fetched or stored now."""

    bought = "yes"


_AUTHENTICATION = {
    "MISSING_API_KEY", "INVALID_API_KEY", "FAILED_TO_AUTH", "ACCESS_DENY", "API_NOT_ALLOWED",
    "FEATURE_NOT_ALLOWED", "BILLING_AUTH_FAILED", "NEED_REAL_NAME_VERIFY",
}  # fmt: skip
_RATE_LIMIT = {"RATE_LIMIT_EXCEEDED", "TOKEN_LIMIT_EXCEEDED"}
_UNCERTAIN_4XX = {408, 499}  # a proxy's words for "the exchange broke off", not the service's refusal

_MODERATION = re.compile(
    r"moderat|risk.?control|content.?(policy|polic|filter|review|safety|violation)"
    r"|violat\w* (of |the |our |any )*(content|polic|guideline|terms|rules|usage)|policy.?violation|sensitive|nsfw"
    r"|illegal[ _](content|prompt|image|input|word)|prohibited.?content|inappropriate"
    r"|safety.?(system|filter|polic|check|review)|审核|敏感|违规|风控|违禁",
    re.IGNORECASE,
)


def speaks_of_moderation(reason: str | None) -> bool:
    """Whether a failed render's reason is about its content (moderation, risk control, content policy)."""
    return bool(reason and _MODERATION.search(reason))


def classify_submit(answer: Answer) -> KlingError | None:
    """What the answer to the POST meant: None when it was accepted, otherwise the exception to raise.

    :param answer: the answer as it came
    """
    if answer.task_id and answer.status < 300:
        return None
    error = answer.error
    status = error.status if error and answer.status < 300 else answer.status
    kind = _submit_kind(status, error, answer)
    said = f"{error.reason}: {error.message}" if error and error.message else error.reason if error else _words(answer)
    details: dict[str, Any] = {
        "reason": error.reason if error else None,
        "http_status": answer.status,
        "trace_id": answer.trace_id,
        "retry_after": answer.retry_after,
    }
    return kind(f"{_SUBMIT_WORDS[kind]} (HTTP {answer.status}, {said})", **details)


def _submit_kind(status: int, error: ServiceError | None, answer: Answer) -> type[KlingError]:
    reason = error.reason if error else ""
    if answer.task_id or (status >= 500 and status not in {500, 503}):
        return SubmitUncertain  # an id in a refusal, or a gateway between us and the service
    by_reason = _kind_by_reason(reason)
    if by_reason:
        return by_reason
    if status == 402 or (status == 403 and not reason and re.search(rb"\bbalance\b", answer.body.lower())):
        return BalanceTooLow
    if status in {401, 403}:
        return AuthenticationFailed
    if status == 429:
        return RateLimited
    if status in {500, 503} and error:
        return ServiceUnavailable
    if 300 <= status < 500 and status not in _UNCERTAIN_4XX:
        return RequestRejected
    return SubmitUncertain


def _kind_by_reason(reason: str) -> type[KlingError] | None:
    if re.search(r"(^|_)BALANCE(_|$)", reason):
        return BalanceTooLow
    if reason.startswith("ILLEGAL_"):
        return ContentRejected
    if reason in _AUTHENTICATION:
        return AuthenticationFailed
    if reason in _RATE_LIMIT:
        return RateLimited
    return None


_SUBMIT_WORDS: dict[type[KlingError], str] = {
    RequestRejected: "The API rejected the request",
    ContentRejected: "Moderation rejected the prompt",
    AuthenticationFailed: "The API did not accept the key",
    BalanceTooLow: "The API says the account's balance is too low",
    RateLimited: "The API is rate limiting",
    ServiceUnavailable: "The service can't take the request now",
    SubmitUncertain: "The answer to the submit can't be read",
}


def classify_poll(answer: Answer, task_id: str) -> KlingError | None:
    """What the answer to a question about a render meant: None when it can be read as a render.

    :param answer: the answer as it came
    :param task_id: the render that was asked about
    """
    error = answer.error
    if answer.status == 200:
        task = (answer.json or {}).get("task")
        if isinstance(task, dict) and (task.get("status") or not error):
            return None
    by_reason = _kind_by_reason(error.reason) if error else None
    if error and error.reason == "TASK_NOT_FOUND":
        return _poll_error(RenderNotFound, answer, task_id)
    if by_reason in {AuthenticationFailed, RateLimited}:
        return _poll_error(by_reason, answer, task_id)
    if answer.status == 404:
        return _poll_error(RenderNotFound, answer, task_id)
    if answer.status in {401, 403} and by_reason is not BalanceTooLow:
        return _poll_error(AuthenticationFailed, answer, task_id)
    if answer.status == 429:
        return _poll_error(RateLimited, answer, task_id)
    return _poll_error(PollFailed, answer, task_id)


def _poll_error(kind: type[KlingError] | None, answer: Answer, task_id: str) -> KlingError:
    error = answer.error
    said = f"{error.reason}: {error.message}" if error else _words(answer)
    return (kind or PollFailed)(
        f"Asking for task {task_id} was answered with HTTP {answer.status}, {said}",
        reason=error.reason if error else None,
        http_status=answer.status,
        task_id=task_id,
        trace_id=answer.trace_id,
        retry_after=answer.retry_after,
    )


def _words(answer: Answer) -> str:
    """The first words of a body that is not the service's, for the message."""
    if 300 <= answer.status < 400:
        return "a redirect: is the base URL right?"
    text = " ".join(answer.hush(answer.body.decode("utf-8", "replace")).split())
    return f"body: {text[:160]!r}" if text else "empty body"
