"""Whatever a card holds, pages get known fields of the right kind."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_kling.card import Card
from airflow_provider_kling.plugins.cards import read_card

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=20,
)
FIELDS = set(read_card("{}") or {})


def test_no_field_of_a_card_is_forgotten() -> None:
    assert set(Card.model_fields) == FIELDS


def test_a_card_is_read_as_it_is() -> None:
    card = {"prompt": "fox", "duration": 5, "percent": 12.5, "sound": True, "created_at": "2026-01-01T00:00:00+00:00"}
    shots = [{"prompt": "a", "duration": 2}, {"prompt": "b", "duration": 3}]
    read = read_card(json.dumps({**card, "multi_prompt": shots, "unknown": 1}))
    assert read == dict.fromkeys(FIELDS) | card | {"multi_prompt": shots}


def test_the_text_of_a_card_is_read_too() -> None:
    assert (read_card(json.dumps('{"prompt": "fox"}')) or {})["prompt"] == "fox"


@pytest.mark.parametrize(
    "text",
    [None, "", "null", "5", "true", "NaN", "[]", "[{}]", '"s3://bucket/xcom"', '"[1]"', "{", "[" * 10**5, "9" * 10**4],
)
def test_what_is_no_card_is_none(text: str | None) -> None:
    assert read_card(text) is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 2**53, True, "5", [5], {"a": 5}])
def test_what_is_no_number_for_a_browser_is_unknown(value: Any) -> None:
    assert (read_card(json.dumps({"percent": value})) or {})["percent"] is None


def test_an_absurd_card_stays_small() -> None:
    shots = [{"prompt": "y" * 10**5, "more": "z" * 10**5}] * 20
    card = read_card(json.dumps({"prompt": "x" * 10**7, "multi_prompt": shots, "junk": "z" * 10**6}))
    assert len(json.dumps(card)) < 200_000


@given(st.dictionaries(st.sampled_from(sorted(FIELDS)), ANYTHING))
def test_any_card_can_be_sent_to_a_browser(value: dict[str, Any]) -> None:
    card = read_card(json.dumps(value))
    assert card is not None
    assert set(card) == FIELDS
    json.dumps(card, allow_nan=False, ensure_ascii=False).encode()


def test_half_a_character_is_replaced() -> None:
    assert (read_card(json.dumps({"prompt": "a\ud800b"})) or {})["prompt"] == "a?b"
