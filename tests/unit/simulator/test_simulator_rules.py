"""Whatever the API page forbids is refused, costs nothing, and names the field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow_provider_kling.simulator import KlingSimulator

SHOTS = [{"prompt": "one", "duration": 2}, {"prompt": "two", "duration": 3}]
TOO_LONG = "x" * 2501

WRONG: list[tuple[str, Any]] = [
    ("prompt", {}),
    ("prompt", {"duration": 5}),
    ("prompt", {"prompt": "a", "multi_prompt": SHOTS}),
    ("prompt", {"prompt": ""}),
    ("prompt", {"prompt": " \n\t"}),
    ("prompt", {"prompt": 7}),
    ("prompt", {"prompt": None}),
    ("prompt", {"prompt": TOO_LONG}),
    ("negative_prompt", {"prompt": "a", "negative_prompt": TOO_LONG}),
    ("negative_prompt", {"prompt": "a", "negative_prompt": None}),
    ("duration", {"prompt": "a", "duration": 2}),
    ("duration", {"prompt": "a", "duration": 16}),
    ("duration", {"prompt": "a", "duration": "5"}),
    ("duration", {"prompt": "a", "duration": 5.0}),
    ("duration", {"prompt": "a", "duration": True}),
    ("duration", {"prompt": "a", "duration": None}),
    ("cfg_scale", {"prompt": "a", "cfg_scale": 1.01}),
    ("cfg_scale", {"prompt": "a", "cfg_scale": -0.01}),
    ("cfg_scale", {"prompt": "a", "cfg_scale": "0.5"}),
    ("cfg_scale", {"prompt": "a", "cfg_scale": True}),
    ("aspect_ratio", {"prompt": "a", "aspect_ratio": "4:3"}),
    ("aspect_ratio", {"prompt": "a", "aspect_ratio": ["16:9"]}),
    ("sound", {"prompt": "a", "sound": 1}),
    ("sound", {"prompt": "a", "sound": "true"}),
    ("seed", {"prompt": "a", "seed": 1}),
    ("multi_prompt", {"multi_prompt": []}),
    ("multi_prompt", {"multi_prompt": "one"}),
    ("multi_prompt[0]", {"multi_prompt": ["one"]}),
    ("multi_prompt[0]", {"multi_prompt": [{"prompt": "one"}]}),
    ("multi_prompt[1]", {"multi_prompt": [SHOTS[0], {**SHOTS[1], "index": 2}]}),
    ("multi_prompt[0].prompt", {"multi_prompt": [{"prompt": " ", "duration": 5}]}),
    ("multi_prompt[0].prompt", {"multi_prompt": [{"prompt": TOO_LONG, "duration": 5}]}),
    ("multi_prompt[0].duration", {"multi_prompt": [{"prompt": "a", "duration": "5"}]}),
    ("multi_prompt[1].duration", {"multi_prompt": [SHOTS[1], {"prompt": "a", "duration": 0}]}),
    ("multi_prompt[1].duration", {"multi_prompt": [SHOTS[1], {"prompt": "a", "duration": True}]}),
    ("multi_prompt", {"multi_prompt": SHOTS, "duration": 6}),
    ("duration", {"multi_prompt": [{"prompt": "a", "duration": 2}]}),
    ("duration", {"multi_prompt": [{"prompt": "a", "duration": 8}, {"prompt": "b", "duration": 8}]}),
]

RIGHT: list[tuple[dict[str, Any], int, bool]] = [
    ({"prompt": "a"}, 5, False),
    ({"prompt": "x" * 2500, "negative_prompt": "y" * 2500}, 5, False),
    ({"prompt": "a", "negative_prompt": ""}, 5, False),
    ({"prompt": "a", "duration": 3, "sound": True}, 3, True),
    ({"prompt": "a", "duration": 15, "cfg_scale": 0}, 15, False),
    ({"prompt": "a", "cfg_scale": 1.0, "aspect_ratio": "9:16"}, 5, False),
    ({"prompt": "a", "aspect_ratio": "1:1"}, 5, False),
    ({"multi_prompt": SHOTS}, 5, False),
    ({"multi_prompt": [{"prompt": "a", "duration": 1}] * 7, "duration": 7, "sound": True}, 7, True),
]


@pytest.mark.parametrize(("field", "body"), WRONG)
def test_refuses(caller: Any, simulator: KlingSimulator, field: str, body: Any) -> None:
    answer = caller.submit(body)
    assert answer.status_code == 400
    error = answer.json()
    assert error["message"].startswith(f"{field}:")
    assert (error["code"], error["reason"], error["metadata"]) == (400, "INVALID_REQUEST_BODY", {})
    assert simulator.accepted == []
    assert simulator.submits == 1


@pytest.mark.parametrize(("body", "seconds", "sound"), RIGHT)
def test_accepts(caller: Any, simulator: KlingSimulator, body: Any, seconds: int, sound: bool) -> None:
    answer = caller.submit(body)
    assert answer.status_code == 200
    (bought,) = simulator.accepted
    assert answer.json() == {"task_id": bought.task_id}
    assert (bought.model, bought.body) == ("kling-v3.0-4k-t2v", body)
    assert (bought.seconds, bought.sound, simulator.billed_seconds) == (seconds, sound, seconds)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'"a"', b"\xff", b'{"prompt": "a", "cfg_scale": NaN}'])
def test_refuses_what_is_no_json_object(caller: Any, simulator: KlingSimulator, raw: bytes) -> None:
    headers = {**caller.key, "Content-Type": "application/json"}
    answer = caller.http.post("/v3/async/kling-v3.0-4k-t2v", content=raw, headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (400, "INVALID_REQUEST_BODY")
    assert simulator.accepted == []


def test_refuses_another_content_type(caller: Any, simulator: KlingSimulator) -> None:
    headers = {**caller.key, "Content-Type": "text/plain"}
    answer = caller.http.post("/v3/async/kling-v3.0-4k-t2v", content=b'{"prompt": "a"}', headers=headers)
    assert answer.status_code == 400
    assert "Content-Type" in answer.json()["message"]
    assert simulator.accepted == []


def test_content_type_may_carry_a_charset(caller: Any) -> None:
    headers = {**caller.key, "Content-Type": "application/json; charset=utf-8"}
    answer = caller.http.post("/v3/async/kling-v3.0-4k-t2v", content=b'{"prompt": "a"}', headers=headers)
    assert answer.status_code == 200
