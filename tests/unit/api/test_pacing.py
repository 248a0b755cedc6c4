"""How fast one connection may ask."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_kling.api.pacing import Pace


def leave_when_due(pace: Pace, now: float) -> float:
    now += max(0.0, pace.wait(now))
    pace.leave(now)
    return now


def departures(pace: Pace, count: int, now: float = 0.0) -> list[float]:
    """When so many questions leave that all want to at once."""
    times = []
    for _ in range(count):
        now = leave_when_due(pace, now)
        times.append(now)
    return times


class TestTheCap:
    def test_questions_leave_one_by_one(self) -> None:
        assert [round(at, 3) for at in departures(Pace(10), 4)] == [0.0, 0.125, 0.25, 0.375]

    def test_without_a_cap_nobody_waits(self) -> None:
        assert departures(Pace(None), 3) == [0.0] * 3

    def test_idle_time_is_not_saved_up_for_a_burst(self) -> None:
        pace = Pace(10)
        departures(pace, 1)
        times = departures(pace, 3, now=100.0)
        assert times[-1] - times[0] > 0.19

    def test_a_late_loop_makes_up_for_it(self) -> None:
        pace = Pace(10)
        pace.leave(0.0)
        pace.leave(0.15)  # due at 0.125, but the loop was busy
        assert round(pace.wait(0.15), 3) == 0.1

    @given(st.lists(st.floats(0, 3), min_size=1, max_size=200), st.sampled_from([1.0, 7.5, 40.0]))
    def test_in_no_second_leave_more_than_it_allows(self, gaps: list[float], cap: float) -> None:
        pace, now, times = Pace(cap), 0.0, []
        for gap in gaps:
            now = leave_when_due(pace, now + gap)
            times.append(now)
        for time in times:
            assert sum(time <= other < time + 1 for other in times) <= max(cap, 1)


class TestARefusal:
    def test_told_to_one_it_is_a_pause_for_all(self) -> None:
        pace = Pace(10)
        pace.refused(100.0, None)
        assert pace.wait(100.0) == 5.0

    def test_the_service_may_say_how_long(self) -> None:
        pace = Pace(10)
        pace.refused(100.0, 30.0)
        assert pace.wait(100.0) == 30.0
        pace.refused(100.0, 9999.0)
        assert pace.wait(100.0) == 60.0

    def test_one_after_the_other_pauses_grow_and_the_pace_halves_down_to_an_eighth(self) -> None:
        pace, now, pauses = Pace(10), 0.0, []
        for _ in range(6):
            pace.refused(now, None)
            pauses.append(pace.wait(now))
            now += pauses[-1]
        assert pauses == [5, 10, 20, 30, 30, 30]
        assert round(departures(pace, 2, now=200.0)[1], 3) == 201.0

    def test_those_that_were_under_way_already_count_as_one(self) -> None:
        pace = Pace(10)
        for _ in range(30):
            pace.refused(100.0, None)
        assert pace.wait(100.0) == 5.0
        assert round(departures(pace, 2, now=106.0)[1], 3) == 106.25

    def test_good_answers_bring_the_old_pace_back(self) -> None:
        pace = Pace(10)
        pace.refused(0.0, None)
        for _ in range(100):
            pace.answered()
        pace.refused(50.0, None)
        assert pace.wait(50.0) == 5.0, "the next trouble begins anew"
        for _ in range(100):
            pace.answered()
        assert round(departures(pace, 2, now=60.0)[1], 3) == 60.125


class TestSpacing:
    def test_below_the_cap_everybody_asks_as_often_as_they_like(self) -> None:
        pace = Pace(10)
        assert [pace.seat().stretched(15) for _ in range(100)] == [15] * 100

    def test_above_it_all_give_way_by_the_same_factor(self) -> None:
        pace = Pace(10)
        seats = [pace.seat() for _ in range(1000)]
        for number, seat in enumerate(seats):
            seat.stretched(10 if number % 2 else 15)
        seldom, often = seats[0].stretched(15), seats[1].stretched(10)
        assert round(seldom / often, 9) == 1.5
        assert sum(1 / seat.stretched(10 if number % 2 else 15) for number, seat in enumerate(seats)) <= 10

    def test_a_long_delay_grows_no_more_than_a_usual_one(self) -> None:
        pace = Pace(1)
        seats = [pace.seat() for _ in range(100)]
        usual = [seat.stretched(15) for seat in seats][-1] - 15
        assert abs(pace.seat().stretched(200) - 200 - usual) < 1

    def test_a_pace_that_is_slow_for_a_while_plans_nobody_far_ahead(self) -> None:
        pace = Pace(10)
        seats = [pace.seat() for _ in range(60)]
        for number in range(3):
            pace.refused(1e6 * number, None)
        assert {seat.stretched(10) for seat in seats} == {10}

    def test_who_leaves_makes_room(self) -> None:
        pace = Pace(1)
        stays, *others = [pace.seat() for _ in range(100)]
        for seat in others:
            seat.stretched(15)
        assert stays.stretched(15) > 100
        for seat in others:
            seat.want(0.0)
        assert stays.stretched(15) == 15
        stays.want(0.0)
        assert abs(pace.load) < 1e-9


def test_a_crowd_that_comes_back_does_not_push_each_other_far_away() -> None:
    pace = Pace(10)
    first = [seat.stretched(0.1 + 14.9 * number / 400) for number, seat in enumerate(pace.seat() for _ in range(400))]
    assert max(first) < 2 * 15 * 400 / 15 / 9
