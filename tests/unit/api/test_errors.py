"""The outcome tables as pure classification: what was it, and was it bought?"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import JSON, patient

from airflow_provider_kling.api import errors
from airflow_provider_kling.api.answers import Answer
from airflow_provider_kling.api.errors import (
    AuthenticationFailed,
    BalanceTooLow,
    ContentRejected,
    KlingError,
    PollFailed,
    RateLimited,
    RenderNotFound,
    RequestRejected,
    ServiceUnavailable,
    SubmitUncertain,
    classify_poll,
    classify_submit,
    speaks_of_moderation,
)

HTML = b"<html>nginx</html>"


def own(status: int, reason: str, code: int | None = None, **headers: str) -> Answer:
    """The service's own error body."""
    body = {"code": status if code is None else code, "reason": reason, "message": "words", "metadata": {}}
    return Answer(status, json.dumps(body).encode(), {name.replace("_", "-"): text for name, text in headers.items()})


def said(value: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(value).encode())


SUBMIT_TABLE = [
    (own(400, "INVALID_REQUEST_BODY"), RequestRejected),
    (own(404, "MODEL_NOT_FOUND"), RequestRejected),
    (own(404, "API_NOT_FOUND"), RequestRejected),
    (own(422, "INVALID_REQUEST_BODY"), RequestRejected),
    (Answer(400, HTML), RequestRejected),
    (Answer(404, b"404 page not found"), RequestRejected),
    (Answer(422), RequestRejected),
    (Answer(413, HTML), RequestRejected),
    (own(400, "ILLEGAL_PROMPT"), ContentRejected),
    (own(400, "ILLEGAL_IMAGE_CONTENT"), ContentRejected),
    (own(403, "ILLEGAL_SOMETHING_NEW"), ContentRejected),
    (own(500, "ILLEGAL_PROMPT"), ContentRejected),
    (own(401, "FAILED_TO_AUTH"), AuthenticationFailed),
    (own(401, "SOMETHING_NEW"), AuthenticationFailed),
    (Answer(401, HTML), AuthenticationFailed),
    (own(403, "INVALID_API_KEY"), AuthenticationFailed),
    (own(403, "ACCESS_DENY"), AuthenticationFailed),
    (own(403, "API_NOT_ALLOWED"), AuthenticationFailed),
    (own(403, "FEATURE_NOT_ALLOWED"), AuthenticationFailed),
    (own(403, "BILLING_AUTH_FAILED"), AuthenticationFailed),
    (own(403, "NEED_REAL_NAME_VERIFY"), AuthenticationFailed),
    (own(403, "SOMETHING_NEW"), AuthenticationFailed),
    (Answer(403, HTML), AuthenticationFailed),
    (own(400, "MISSING_API_KEY"), AuthenticationFailed),
    (own(402, "SOMETHING_NEW"), BalanceTooLow),
    (Answer(402), BalanceTooLow),
    (own(403, "NOT_ENOUGH_BALANCE"), BalanceTooLow),
    (own(400, "NOT_ENOUGH_BALANCE"), BalanceTooLow),
    (own(400, "BILLING_BALANCE_NOT_ENOUGH"), BalanceTooLow),
    (own(403, "BILLING_BALANCE_NOT_ENOUGH"), BalanceTooLow),
    (Answer(403, b"insufficient Balance"), BalanceTooLow),
    (own(429, "RATE_LIMIT_EXCEEDED"), RateLimited),
    (own(429, "TOKEN_LIMIT_EXCEEDED"), RateLimited),
    (Answer(429, b"server overload"), RateLimited),
    (own(500, "RATE_LIMIT_EXCEEDED"), RateLimited),
    (own(503, "SERVICE_NOT_AVAILABLE"), ServiceUnavailable),
    (own(500, "CREATE_TASK_FAILED"), ServiceUnavailable),
    (own(500, "BILLING_FAILED"), ServiceUnavailable),
    (own(502, "SERVICE_NOT_AVAILABLE"), SubmitUncertain),
    (own(504, "SERVICE_NOT_AVAILABLE"), SubmitUncertain),
    (own(504, "LOAD_BALANCER_TIMEOUT"), SubmitUncertain),
    (own(502, "RATE_LIMIT_EXCEEDED"), SubmitUncertain),
    (own(500, "LOAD_BALANCER_ERROR"), ServiceUnavailable),
    (said({"code": "INTERNAL", "message": "x"}, 500), SubmitUncertain),
    (said({"error": {"code": "UPSTREAM_RESET"}}, 503), SubmitUncertain),
    (said({"task_id": "abc", "reason": "INTERNAL_ERROR"}, 500), SubmitUncertain),
    (said({"task_id": "abc"}, 409), SubmitUncertain),
    (Answer(500, HTML), SubmitUncertain),
    (Answer(502, HTML), SubmitUncertain),
    (Answer(503, HTML), SubmitUncertain),
    (Answer(503, b'{"message": "busy"}'), SubmitUncertain),
    (Answer(504), SubmitUncertain),
    (Answer(524, HTML), SubmitUncertain),
    (Answer(408, HTML), SubmitUncertain),
    (Answer(499), SubmitUncertain),
    (Answer(301, HTML, {"Location": "https://elsewhere"}), RequestRejected),
    (Answer(302), RequestRejected),
    (Answer(307), RequestRejected),
    (Answer(308), RequestRejected),
    (Answer(200), SubmitUncertain),
    (Answer(200, HTML), SubmitUncertain),
    (Answer(204), SubmitUncertain),
    (said({"task_id": ""}), SubmitUncertain),
    (said({"code": 0, "message": "success"}), SubmitUncertain),
    (own(200, "RATE_LIMIT_EXCEEDED", code=429), RateLimited),
    (own(200, "SOMETHING_NEW", code=429), RateLimited),
    (own(200, "SERVICE_NOT_AVAILABLE", code=503), ServiceUnavailable),
    (own(200, "CREATE_TASK_FAILED", code=500), ServiceUnavailable),
    (own(200, "SOMETHING_NEW", code=502), SubmitUncertain),
    (own(200, "NOT_ENOUGH_BALANCE", code=403), BalanceTooLow),
    (own(200, "INVALID_API_KEY", code=403), AuthenticationFailed),
    (own(200, "INVALID_REQUEST_BODY", code=400), RequestRejected),
    (own(200, "ILLEGAL_PROMPT", code=400), ContentRejected),
    (own(200, "SOMETHING_NEW", code=0), SubmitUncertain),
]


@pytest.mark.parametrize(
    ("answer", "kind"), [pytest.param(a, k, id=f"{a.status} {a.body[:45]!r} is {k.__name__}") for a, k in SUBMIT_TABLE]
)
def test_the_answer_to_the_post(answer: Answer, kind: type[KlingError]) -> None:
    error = classify_submit(answer)
    assert type(error) is kind
    assert error.bought == ("perhaps" if kind is SubmitUncertain else "no")
    assert error.http_status == answer.status
    assert error.reason == (answer.error.reason if answer.error else None)
    assert f"HTTP {answer.status}" in error.message


@pytest.mark.parametrize(
    "answer",
    [
        said({"task_id": "a"}),
        said({"task_id": 7}),
        said({"data": {"task_id": "a"}}),
        said({"task_id": "a"}, 201),
        said({"task_id": "a"}, 202),
        said({"task_id": "a", "code": 429, "reason": "RATE_LIMIT_EXCEEDED"}),
    ],
)
def test_a_good_answer_with_a_task_id_is_a_purchase(answer: Answer) -> None:
    assert classify_submit(answer) is None


@pytest.mark.parametrize("status", [302, 400, 404, 429, 500, 502])
def test_a_task_id_under_a_bad_status_is_no_purchase(status: int) -> None:
    assert classify_submit(said({"task_id": "a"}, status)) is not None


BODIES = st.binary() | JSON.map(lambda value: json.dumps(value).encode())
HEADERS = st.dictionaries(st.sampled_from(["Retry-After", "X-Trace-Id", "Location"]) | st.text(), st.text())
STATUSES = st.integers(100, 599)


@patient
@given(STATUSES, BODIES, HEADERS)
def test_an_answer_without_a_task_id_never_counts_as_accepted(
    status: int, body: bytes, headers: dict[str, str]
) -> None:
    answer = Answer(status, body, headers)
    error = classify_submit(answer)
    if error is None:
        assert answer.task_id
    else:
        assert isinstance(error, KlingError)
        assert error.bought in {"no", "perhaps"}


@patient
@given(
    st.integers(500, 599) | st.integers(200, 299),
    BODIES.filter(lambda body: not Answer(200, body).task_id and not Answer(200, body).error),
)
def test_a_strange_good_answer_or_server_error_is_never_called_not_bought(status: int, body: bytes) -> None:
    assert isinstance(classify_submit(Answer(status, body)), SubmitUncertain)


POLL_TABLE = [
    (own(404, "TASK_NOT_FOUND"), RenderNotFound),
    (own(500, "TASK_NOT_FOUND"), RenderNotFound),
    (own(200, "TASK_NOT_FOUND", code=404), RenderNotFound),
    (own(400, "TASK_NOT_FOUND"), RenderNotFound),
    (Answer(404, b"404 page not found"), RenderNotFound),
    (own(401, "FAILED_TO_AUTH"), AuthenticationFailed),
    (own(403, "INVALID_API_KEY"), AuthenticationFailed),
    (own(400, "MISSING_API_KEY"), AuthenticationFailed),
    (own(200, "INVALID_API_KEY", code=403), AuthenticationFailed),
    (Answer(401), AuthenticationFailed),
    (Answer(403, HTML), AuthenticationFailed),
    (own(403, "NOT_ENOUGH_BALANCE"), PollFailed),
    (own(429, "RATE_LIMIT_EXCEEDED"), RateLimited),
    (own(200, "RATE_LIMIT_EXCEEDED", code=429), RateLimited),
    (Answer(429, HTML), RateLimited),
    (own(500, "GET_RESULT_FAILED"), PollFailed),
    (own(500, "TASK_FAILED"), PollFailed),
    (own(503, "SERVICE_NOT_AVAILABLE"), PollFailed),
    (own(400, "ILLEGAL_PROMPT"), PollFailed),
    (Answer(502, HTML), PollFailed),
    (Answer(302, b"", {"Location": "https://elsewhere"}), PollFailed),
    (Answer(200), PollFailed),
    (Answer(200, HTML), PollFailed),
    (said({"videos": []}), PollFailed),
    (said({"task": "x"}), PollFailed),
    (said({"task": {"status": "TASK_STATUS_SUCCEED"}}, 500), PollFailed),
    (said({"task": {}, "code": 403, "reason": "INVALID_API_KEY"}), AuthenticationFailed),
]


@pytest.mark.parametrize(
    ("answer", "kind"), [pytest.param(a, k, id=f"{a.status} {a.body[:45]!r} is {k.__name__}") for a, k in POLL_TABLE]
)
def test_the_answer_to_a_question(answer: Answer, kind: type[KlingError]) -> None:
    error = classify_poll(answer, "t")
    assert type(error) is kind
    assert (error.task_id, error.http_status) == ("t", answer.status)
    assert "task t" in error.message


@pytest.mark.parametrize(
    "body",
    [
        {"task": {"status": "TASK_STATUS_QUEUED"}},
        {"task": {"status": "TASK_STATUS_NEW"}, "videos": None},
        {"data": {"task": {"status": "TASK_STATUS_QUEUED"}}},
        {"code": 0, "reason": "SUCCESS", "task": {"status": "TASK_STATUS_SUCCEED"}},
    ],
)
def test_an_answer_with_a_task_can_be_read(body: Any) -> None:
    assert classify_poll(said(body), "t") is None


@patient
@given(STATUSES, BODIES, HEADERS)
def test_no_answer_to_a_question_surprises_us(status: int, body: bytes, headers: dict[str, str]) -> None:
    error = classify_poll(Answer(status, body, headers), "t")
    assert error is None or isinstance(error, PollFailed | AuthenticationFailed | RateLimited)


@pytest.mark.parametrize("classify", [classify_submit, lambda answer: classify_poll(answer, "t")])
def test_what_support_and_patience_need_is_on_the_exception(classify: Any) -> None:
    error = classify(own(429, "RATE_LIMIT_EXCEEDED", Retry_After="7", X_Trace_Id="abc"))
    assert (error.retry_after, error.trace_id, error.reason) == (7, "abc", "RATE_LIMIT_EXCEEDED")
    assert "words" in error.message


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty body"),
        (b"404  page\n not found", "'404 page not found'"),
        (b"x" * 9999, "'" + "x" * 160 + "'"),
        (b"\xff\xfe", "body:"),
    ],
)
def test_a_foreign_body_is_quoted_in_short(body: bytes, words: str) -> None:
    error = classify_submit(Answer(502, body))
    assert error
    assert words in error.message
    assert len(error.message) < 300


@pytest.mark.parametrize("at", range(150, 162))
def test_a_foreign_body_never_lays_half_a_key_open(at: int) -> None:
    error = classify_submit(Answer(502, b"x" * at + b"KEY", secret="KEY"))
    assert error
    assert "K" not in error.message


def test_a_redirect_asks_whether_the_base_url_is_right() -> None:
    error = classify_submit(Answer(302, b"", {"Location": "https://elsewhere"}))
    assert error
    assert "is the base URL right?" in error.message


@pytest.mark.parametrize(
    "reason",
    [
        "content policy rejected", "Content policy violation", "flagged by moderation", "Illegal prompt",
        "Failure to pass the risk control system", "risk-control", "NSFW", "sensitive words",
        "内容审核未通过", "触发风控",
    ],
)  # fmt: skip
def test_reasons_about_the_content_are_recognised(reason: str) -> None:
    assert speaks_of_moderation(reason)


@pytest.mark.parametrize("reason", [None, "", "quota exceeded", "internal worker error", "render timed out"])
def test_other_reasons_are_not_about_the_content(reason: str | None) -> None:
    assert not speaks_of_moderation(reason)


def test_each_exception_says_whether_the_render_was_bought() -> None:
    bought = {kind.__name__: kind.bought for kind in vars(errors).values() if isinstance(kind, type)
              and issubclass(kind, KlingError)}  # fmt: skip
    assert {name for name, value in bought.items() if value == "yes"} == {
        "PollFailed", "RenderNotFound", "RenderTimeout", "VideoUnavailable",
    }  # fmt: skip
    assert {name for name, value in bought.items() if value == "perhaps"} == {
        "SubmitUncertain", "RenderFailed", "RenderLost",
    }  # fmt: skip
    assert ContentRejected("x").bought == "no"
    assert ContentRejected("x", stage="output").bought == "perhaps"
