"""How far the service's own word is trusted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_kling.api.eta import Eta


def heard(*words: tuple[float, float | None]) -> float | None:
    """The delay after some answers.

    :param words: when they came, and what they said
    """
    eta = Eta()
    for now, said in words:
        eta.hear(said, now)
    return eta.delay()


def test_without_a_word_there_is_nothing_to_go_by() -> None:
    assert heard() is None
    assert heard((10, None)) is None
    assert heard((10, 40), (30, None)) is None


@pytest.mark.parametrize(("said", "delay"), [(1, 5), (8, 10), (15, 17), (20, 15), (40, 30), (900, 40)])
def test_the_first_word_is_believed_for_a_little_while(said: float, delay: float) -> None:
    assert heard((10, said)) == delay


@pytest.mark.parametrize(("said", "delay"), [(860, 60), (700, 60), (40, None)])
def test_a_word_that_is_confirmed_is_believed_for_longer(said: float, delay: float | None) -> None:
    assert heard((10, 900), (50, said)) == delay


@pytest.mark.parametrize("second", [30, 31, 9999])
def test_one_that_does_not_count_down_is_not_believed(second: float) -> None:
    assert heard((10, 30), (40, second)) is None


def test_one_that_stands_still_is_not_believed_even_when_little_time_has_passed() -> None:
    assert heard((0, 100), (5, 100)) is None


def test_one_that_counts_down_again_is_believed_again() -> None:
    assert heard((0, 100), (40, 100), (55, 85)) == 60


@given(st.lists(st.tuples(st.floats(0, 1e5), st.none() | st.floats(1e-9, 1e15)), max_size=20))
def test_whatever_it_says_the_next_question_comes_within_a_minute(words: list[tuple[float, float | None]]) -> None:
    delay = heard(*sorted(words, key=lambda word: word[0]))
    assert delay is None or 5 <= delay <= 60


def test_it_tells_the_end_as_long_as_it_is_believed() -> None:
    eta = Eta()
    assert eta.end() is None
    eta.hear(60, 1000)
    assert eta.end() == 1060
    eta.hear(60, 1030)
    assert eta.end() is None
