"""When a submit that was not taken is tried again: alone, and in a crowd of 500."""

from __future__ import annotations

import random
from typing import Any

import pytest
from crowds import LIMITS, Crowd, backing_off, lining_up
from hypothesis import given
from hypothesis import strategies as st
from properties import patient

from airflow_provider_kling.api import lining_up as rules
from airflow_provider_kling.api.errors import KlingError, RateLimited, ServiceUnavailable, Unreachable
from airflow_provider_kling.api.lining_up import LONGEST_IN_LINE, Place, Waiting, must_stand_back, next_turn

FRONT = Place()
HOUR = 3600.0
PLACES = st.builds(Place, ahead=st.integers(0, 2000), refused=st.integers(0, 2000), bought=st.integers(0, 2000))
TROUBLES = st.builds(
    lambda kind, wish: kind("no", retry_after=wish),
    st.sampled_from([RateLimited, ServiceUnavailable, Unreachable]),
    st.none() | st.floats(0, 2 * HOUR),
)
HOURS = st.floats(0, 4 * HOUR)
RATES = st.floats(0.1, 1000)


def turn(
    error: KlingError | None = None,
    place: Place | None = None,
    *,
    waited: float = 0,
    patience: float = 1e9,
    run_age: float | None = None,
    rate: float = 30,
) -> float | None:
    waiting = Waiting(waited, patience, run_age)
    return next_turn(error, place, waiting, submits_per_minute=rate, rng=random.Random(1))


def refused(retry_after: float | None = None) -> RateLimited:
    return RateLimited("no", retry_after=retry_after)


@pytest.fixture
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "_JITTER", 0.0)
    monkeypatch.setattr(rules, "_LONGEST_SPREAD", 0.0)


class TestAlone:
    @pytest.mark.usefixtures("no_jitter")
    @pytest.mark.parametrize(
        ("waited", "wish", "delay"),
        [(0, None, 10), (100, None, 50), (9999, None, 300), (0, 60, 60), (100, 3, 50), (9999, 7200, 7200)],
    )
    def test_it_grows_and_honours_the_wish_of_the_service(
        self, waited: float, wish: float | None, delay: float
    ) -> None:
        assert turn(refused(wish), waited=waited) == delay

    def test_it_is_spread_by_a_fifth(self) -> None:
        delays = {next_turn(refused(), None, Waiting(100, HOUR), submits_per_minute=30) for _ in range(50)}
        assert len(delays) == 50
        assert all(delay and 40 <= delay <= 60 for delay in delays)


@pytest.mark.usefixtures("no_jitter")
class TestInLine:
    def test_each_task_ahead_takes_its_share_of_a_minute(self) -> None:
        assert turn(refused(), FRONT) == 60, "a minute ends within a minute"
        assert turn(refused(), Place(ahead=10)) == 80
        assert turn(refused(), Place(ahead=10), rate=600) == 61

    def test_the_line_begins_when_the_service_says(self) -> None:
        assert turn(refused(25), Place(ahead=10)) == 45
        assert turn(refused(1), Place(ahead=10)) == 30, "never sooner than anybody else"

    def test_time_spent_in_line_does_not_make_it_longer(self) -> None:
        assert turn(refused(), Place(ahead=1, bought=500), waited=900) == 62

    def test_an_outage_backs_off_and_lines_up_too(self) -> None:
        for trouble in (ServiceUnavailable("no"), Unreachable("no")):
            assert turn(trouble, FRONT) == 10
            assert turn(trouble, Place(ahead=10)) == 30
            assert turn(trouble, FRONT, waited=100) == 50

    def test_whoever_stands_back_first_goes_behind_those_refused(self) -> None:
        assert turn(None, Place(ahead=40, refused=40)) == turn(refused(), Place(ahead=40, refused=40))
        assert turn(None, Place(ahead=40, bought=900), waited=900) == 90, "in line already: no second minute"

    def test_the_end_of_a_long_line_looks_again_sooner(self) -> None:
        assert turn(refused(), Place(ahead=1000)) == LONGEST_IN_LINE
        assert turn(refused(2 * HOUR), Place(ahead=1000)) == 2 * HOUR

    def test_a_line_that_moves_more_slowly_than_thought_is_believed(self) -> None:
        slowly = Place(ahead=50, bought=49)
        assert turn(refused(10), slowly, waited=300) == pytest.approx(10 + 50 * 6)

    def test_a_run_that_bought_much_more_than_thought_is_believed(self) -> None:
        fast = Place(ahead=100, bought=400)
        assert turn(refused(10), fast, run_age=120) == pytest.approx(10 + 100 * 0.3)
        assert turn(refused(10), fast, run_age=1e6) == pytest.approx(10 + 100 * 2)
        assert turn(refused(10), fast) == pytest.approx(10 + 100 * 2)

    def test_a_minutes_worth_of_refused_ones_ahead_is_a_reason_not_to_ask(self) -> None:
        assert must_stand_back(Place(ahead=30, refused=30), submits_per_minute=30)
        assert not must_stand_back(Place(ahead=99, refused=29), submits_per_minute=30)
        assert not must_stand_back(None, submits_per_minute=30)

    def test_a_place_far_back_comes_once_more_when_patience_ends(self) -> None:
        assert turn(refused(), Place(ahead=300), patience=300) == 300
        assert turn(refused(), Place(ahead=300, bought=300), waited=200, patience=300) == 100
        assert turn(refused(), Place(ahead=300), waited=250, patience=300) is None


WAITING = st.builds(Waiting, waited=HOURS, patience=HOURS, run_age=st.none() | HOURS)


@patient
@given(TROUBLES | st.none(), PLACES | st.none(), WAITING, RATES, st.integers())
def test_nobody_comes_before_the_service_says_nor_after_his_patience(
    error: Any, place: Place | None, waiting: Waiting, rate: float, seed: int
) -> None:
    delay = next_turn(error, place, waiting, submits_per_minute=rate, rng=random.Random(seed))
    wish = (error.retry_after if error else None) or 0.0
    left = waiting.patience - waiting.waited
    if delay is None:
        assert left < max(wish, 360), "there was time enough"
    else:
        assert max(wish, 8) <= delay <= max(wish, LONGEST_IN_LINE) + 5
        assert delay <= left


@patient
@given(st.integers(0, 400), RATES, st.integers(), st.integers())
def test_jitter_makes_nobody_overtake(ahead: int, rate: float, one: int, other: int) -> None:
    def delay(place: int, seed: int) -> float:
        waiting = Waiting(0, 1e9)
        found = next_turn(refused(), Place(ahead=place), waiting, submits_per_minute=rate, rng=random.Random(seed))
        assert found is not None
        return found

    sooner, later = delay(ahead, one), delay(ahead + 1, other)
    assert sooner <= later + 1e-6 or sooner >= LONGEST_IN_LINE


@pytest.mark.parametrize("tell", [False, True], ids=["", "retry-after"])
@pytest.mark.parametrize("kind", LIMITS)
class TestCrowdOf500:
    def test_at_the_fitting_rate_they_buy_in_order_with_two_starts_each(self, kind: str, tell: bool) -> None:
        crowd = Crowd(500, LIMITS[kind](30), lining_up(30), tell=tell).play()
        assert sorted(crowd.order) == list(range(500))
        assert crowd.out_of_place <= 60, "two minutes' worth"
        assert crowd.starts_per_render < 2.2
        assert max(crowd.starts) <= 6
        assert crowd.minutes < 1.3 * 500 / 30

    @pytest.mark.parametrize("limit", [10, 100, 200])
    def test_a_wrong_guess_costs_little(self, kind: str, tell: bool, limit: int) -> None:
        crowd = Crowd(500, LIMITS[kind](limit), lining_up(30), tell=tell).play()
        alone = Crowd(500, LIMITS[kind](limit), backing_off, tell=tell).play()
        assert sorted(crowd.order) == list(range(500))
        assert crowd.submits <= alone.submits
        assert crowd.starts_per_render < 5
        assert crowd.starts_per_render < 1.1 * alone.starts_per_render
        assert crowd.minutes < 1.2 * 500 / limit + 4
        assert crowd.out_of_place < 150


@pytest.mark.parametrize(("workers", "startup"), [(4, 4.0), (64, 5.0)])
def test_order_and_starts_hardly_depend_on_the_workers(workers: int, startup: float) -> None:
    crowd = Crowd(500, LIMITS["any minute"](30), lining_up(30), workers=workers, startup=startup).play()
    assert sorted(crowd.order) == list(range(500))
    assert crowd.starts_per_render < 2.3
    assert crowd.out_of_place <= 120


def test_a_crowd_within_the_limit_is_never_held_back() -> None:
    crowd = Crowd(500, LIMITS["any minute"](500), lining_up(30)).play()
    assert set(crowd.starts) == {1}
