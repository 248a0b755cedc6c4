"""An HTTP answer, read liberally and without surprises."""

from __future__ import annotations

import json
import time
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import JSON, patient

from airflow_provider_kling.api.answers import Answer

ERROR = {"code": 503, "reason": "SERVICE_NOT_AVAILABLE", "message": "busy", "metadata": {}}


def answer(value: Any, status: int = 200, **headers: str) -> Answer:
    return Answer(status, json.dumps(value).encode(), {name.replace("_", "-"): text for name, text in headers.items()})


@pytest.mark.parametrize(
    ("body", "task_id"),
    [
        ({"task_id": "abc"}, "abc"),
        ({"task_id": " abc "}, "abc"),
        ({"task_id": 12}, "12"),
        ({"data": {"task_id": "abc"}}, "abc"),
        ({"data": {"task_id": 12}, "code": 0}, "12"),
        ({"data": {}, "task_id": "abc"}, "abc"),
        ({"data": None, "task_id": "abc"}, "abc"),
        ({"task_id": ""}, None),
        ({"task_id": "  "}, None),
        ({"task_id": None}, None),
        ({"task_id": True}, None),
        ({"task_id": 1.5}, None),
        ({"task_id": ["abc"]}, None),
        (["task_id"], None),
        ("task_id", None),
        ({}, None),
    ],
)
def test_the_task_id_is_a_text_or_a_whole_number(body: Any, task_id: str | None) -> None:
    assert answer(body).task_id == task_id


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"task_id": "a"', b"[" * 100_000, b"\xff\xfe", b"null", b"7"])
def test_a_body_that_is_no_json_object_reads_as_nothing(body: bytes) -> None:
    read = Answer(200, body)
    assert (read.json, read.task_id, read.error) == (None, None, None)


@pytest.mark.parametrize(
    ("body", "reason", "message", "status"),
    [
        (ERROR, "SERVICE_NOT_AVAILABLE", "busy", 503),
        ({"reason": "TASK_NOT_FOUND"}, "TASK_NOT_FOUND", "", 418),
        ({"code": "403", "reason": "ACCESS_DENY", "message": None}, "ACCESS_DENY", "", 403),
        ({"code": 0, "reason": "ACCESS_DENY"}, "ACCESS_DENY", "", 418),
        ({"reason": "ACCESS_DENY", "message": 5}, "ACCESS_DENY", "5", 418),
        ({"error": {"reason": "ACCESS_DENY", "message": "no"}}, "ACCESS_DENY", "no", 418),
        ({"data": ERROR}, "SERVICE_NOT_AVAILABLE", "busy", 503),
        ({**ERROR, "data": {}}, "SERVICE_NOT_AVAILABLE", "busy", 503),
    ],
)
def test_the_services_own_error_body_is_recognised(body: Any, reason: str, message: str, status: int) -> None:
    error = answer(body, 418).error
    assert error
    assert (error.reason, error.message, error.status) == (reason, message, status)


@pytest.mark.parametrize(
    "body",
    [
        {"code": 503, "message": "no reason given"},
        {"reason": "the render failed"},
        {"reason": "", "code": ""},
        {"reason": 7},
        {"code": "INTERNAL_ERROR", "message": "a proxy's words"},
        {"error": {"code": "UNAVAILABLE", "message": "a proxy's words"}},
        {"error": "Bad Gateway"},
        {"task": {"reason": "TASK_FAILED"}},
    ],
)
def test_other_bodies_are_not_the_services_error_body(body: Any) -> None:
    assert answer(body, 503).error is None


def test_a_long_message_is_cut() -> None:
    error = answer({**ERROR, "message": "x" * 10_000}).error
    assert error
    assert len(error.message) == 500


@pytest.mark.parametrize("name", ["X-Trace-Id", "x-request-id", "X-RequestId", "Trace"])
def test_a_request_id_is_kept_under_any_usual_name(name: str) -> None:
    assert Answer(500, headers={"Date": "now", name: "t" * 300}).trace_id == "t" * 200
    assert Answer(500, headers={"Date": "now"}).trace_id is None


@pytest.mark.parametrize("name", ["Retry-After", "retry-after"])
@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        (" 7.5 ", 7.5),
        ("0", 0),
        ("9" * 400, 86400),
        ("", None),
        ("-1", None),
        ("soon", None),
        ("1e3", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2999 07:28:00 GMT", 86400),
        ("Wed, 99 Oct 2015 07:28:00 GMT", None),
    ],
)
def test_retry_after_is_read_or_unknown(name: str, text: str, seconds: float | None) -> None:
    assert Answer(429, headers={name: text}).retry_after == seconds


def test_retry_after_may_be_an_http_date() -> None:
    wait = answer({}, 429, Retry_After=formatdate(time.time() + 90, usegmt=True)).retry_after
    assert wait == pytest.approx(90, abs=5)
    assert answer({}, 429).retry_after is None


@patient
@given(st.text() | st.from_regex(r"\A[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ \d+:\d+:\d+ [-+A-Z0-9]*\Z"))
def test_no_retry_after_surprises_us(text: str) -> None:
    wait = Answer(429, headers={"Retry-After": text}).retry_after
    assert wait is None or 0 <= wait <= 86400


@patient
@given(st.integers(100, 599), st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_body_surprises_us(status: int, body: bytes) -> None:
    read = Answer(status, body)
    assert read.task_id is None or read.task_id.strip()
    assert read.error is None or read.error.reason


class TestSecrets:
    SECRET = "sk_hush"

    def test_an_echoed_key_is_blotted_out_of_message_and_request_id(self) -> None:
        body = json.dumps({**ERROR, "message": f"key {self.SECRET} is bad"}).encode()
        read = Answer(503, body, {"X-Request-Id": self.SECRET}, secret=self.SECRET)
        assert read.error
        assert (read.error.message, read.trace_id) == ("key *** is bad", "***")
        assert self.SECRET not in repr(Answer(200, secret=self.SECRET))

    def test_an_escaped_key_is_blotted_out_too(self) -> None:
        body = rb'{"reason": "ACCESS_DENY", "message": "sk\/h\u0075sh"}'
        error = Answer(403, body, secret="sk/hush").error
        assert error
        assert error.message == "***"

    @pytest.mark.parametrize("at", range(490, 501))
    def test_cutting_a_message_does_not_lay_half_a_key_open(self, at: int) -> None:
        body = json.dumps({**ERROR, "message": "x" * at + self.SECRET}).encode()
        error = Answer(503, body, secret=self.SECRET).error
        assert error
        assert "s" not in error.message

    def test_a_key_that_looks_like_a_field_changes_no_meaning(self) -> None:
        error = Answer(503, json.dumps(ERROR).encode(), secret="reason").error
        assert error
        assert error.reason == "SERVICE_NOT_AVAILABLE"


def test_a_body_of_nothing_but_links_is_hushed_in_one_pass() -> None:
    links = "https://" * 30_000  # took minutes when each of them was followed to the end
    assert Answer(500).hush(links) == links
