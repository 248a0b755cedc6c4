"""What like renders teach."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_kling.api.durations import BASE, Durations


def taught(*took: float) -> Durations:
    durations = Durations()
    for seconds in took:
        durations.learn(running=seconds, ended=seconds)
    return durations


def questions(durations: Durations, took: float) -> tuple[int, float]:
    """How often a render of some length is asked for, and how late its end is seen."""
    age, asked = 0.0, 0
    while age < took:
        age += durations.delay(age) or BASE
        asked += 1
    return asked, age - took


def sample(count: int, median: float, seed: int = 1) -> list[float]:
    rng = random.Random(seed)
    return [median * rng.lognormvariate(0, 0.35) for _ in range(count)]


def test_a_few_renders_teach_nothing_yet() -> None:
    assert taught(*sample(4, 240)).delay(0) is None
    assert taught(*sample(5, 240)).delay(0) is not None


def test_nothing_is_asked_before_a_render_may_be_done_and_often_when_most_are() -> None:
    durations = taught(*sample(50, 240))
    first = durations.delay(0) or 0
    assert 100 < first <= 150
    assert 10 <= (durations.delay(240) or 0) < (durations.delay(first) or 0)


def test_an_early_end_is_noticed_in_time_whatever_was_learned() -> None:
    durations = taught(*sample(200, 900))
    assert max(questions(durations, took)[1] for took in range(10, 900, 7)) <= 150


def test_a_render_that_takes_unusually_long_is_asked_for_steadily() -> None:
    assert taught(*sample(50, 240)).delay(1500) is None


@pytest.mark.parametrize("median", [60, 240, 900])
def test_it_takes_far_fewer_questions_to_notice_the_end_as_soon(median: float) -> None:
    durations = taught(*sample(200, median))
    asked = [questions(durations, took) for took in sample(2000, median, seed=2)]
    fixed = [questions(Durations(), took) for took in sample(2000, median, seed=2)]
    assert sum(late for _, late in asked) <= sum(late for _, late in fixed)
    assert sum(count for count, _ in asked) < sum(count for count, _ in fixed) / 1.3


def test_the_quick_ones_of_a_crowd_do_not_make_the_others_seem_late() -> None:
    crowd, now = sorted(sample(300, 240)), 150.0
    unwarned, warned = Durations(), Durations()
    for took in crowd:
        warned.note(took, age=now - 5)
    for took in crowd:
        if took <= now:
            unwarned.learn(running=took, ended=took)
            warned.forget(took)
            warned.learn(running=took, ended=took)
    assert (warned.delay(150) or BASE) > (unwarned.delay(150) or 0)


def test_the_service_may_become_slower() -> None:
    durations = taught(*sample(200, 60), *sample(400, 240))
    assert (durations.delay(0) or 0) > 1.5 * (taught(*sample(200, 60)).delay(0) or 0)


def test_a_service_that_has_become_faster_is_noticed() -> None:
    assert questions(taught(*sample(50, 3000)), took=60)[1] <= 90


@given(st.lists(st.floats(0, 1e9), max_size=40), st.floats(0, 1e9))
def test_whatever_was_seen_a_delay_is_of_ten_to_a_hundred_and_fifty_seconds(took: list[float], age: float) -> None:
    delay = taught(*took).delay(age)
    assert delay is None or 10 <= delay <= 150


def test_nobody_knows_when_the_first_ones_will_be_done() -> None:
    assert taught(*sample(4, 240)).expected(0) is None


def test_a_new_render_is_expected_to_take_as_long_as_its_like_took() -> None:
    assert taught(*sample(200, 240)).expected(0) == pytest.approx(240, rel=0.15)


def test_one_that_runs_for_longer_is_expected_later_and_at_last_not_at_all() -> None:
    durations = taught(*sample(200, 240))
    ages = range(0, 900, 10)
    expected = [durations.expected(age) for age in ages]
    known = [end for end in expected if end is not None]
    assert known == sorted(known)
    assert all(end > age for end, age in zip(known, ages, strict=False))
    assert expected[-1] is None
