"""When to ask again and when to stop."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import patient

from airflow_provider_kling.api import waiting
from airflow_provider_kling.api.durations import BASE, Durations
from airflow_provider_kling.api.errors import (
    AuthenticationFailed,
    KlingError,
    PollFailed,
    RateLimited,
    RenderNotFound,
)
from airflow_provider_kling.api.models import Render, RenderStatus
from airflow_provider_kling.api.waiting import (
    LOST_AFTER,
    MAX_QUESTIONS_WITHOUT_LINK,
    MAX_REFUSED_KEYS,
    Outcome,
    Verdict,
    Watch,
    judge,
)

if TYPE_CHECKING:
    from collections.abc import Callable

DAY = 86400.0
TIMES = st.floats(0, 2 * DAY)


def watch(*, submitted_at: float = 0, deadline: float = DAY, started_at: float = 0) -> Watch:
    return Watch(submitted_at, deadline, started_at, _rng=random.Random(1))


def render(status: RenderStatus = RenderStatus.PROCESSING, **fields: Any) -> Render:
    return Render(task_id="t", status=status, raw_status=status.value, **fields)


DONE = render(RenderStatus.SUCCEED, video_url="https://v")
LINKLESS = render(RenderStatus.SUCCEED)
TROUBLES: list[KlingError] = [
    PollFailed("x"),
    RenderNotFound("x"),
    RateLimited("x", retry_after=1e9),
    AuthenticationFailed("x"),
]
SIGHTS = st.sampled_from([render(), render(eta=1e9), render(RenderStatus.OTHER), LINKLESS, *TROUBLES])


@pytest.fixture
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_JITTER", 0.0)


class TestVerdicts:
    def test_a_finished_render_with_a_link_has_succeeded(self) -> None:
        assert judge(DONE) == Verdict(Outcome.SUCCEEDED)

    @pytest.mark.parametrize("status", [RenderStatus.QUEUED, RenderStatus.PROCESSING, RenderStatus.OTHER])
    def test_a_render_on_its_way_goes_on_whatever_its_progress(self, status: RenderStatus) -> None:
        assert judge(render(status, progress_percent=100, video_url="https://v")) is None

    def test_a_failed_render_is_told_apart_by_its_reason(self) -> None:
        assert judge(render(RenderStatus.FAILED, reason="oom")) == Verdict(Outcome.FAILED, "oom")
        assert judge(render(RenderStatus.FAILED)) == Verdict(Outcome.FAILED, None)
        rejected = judge(render(RenderStatus.FAILED, reason="content policy"))
        assert rejected == Verdict(Outcome.CONTENT_REJECTED, "content policy")

    def test_a_link_that_stays_away_is_reported_in_the_end(self) -> None:
        watching = watch()
        verdicts = [watching.see(LINKLESS, 10) for _ in range(MAX_QUESTIONS_WITHOUT_LINK)]
        assert verdicts[:-1] == [None] * (MAX_QUESTIONS_WITHOUT_LINK - 1)
        assert verdicts[-1]
        assert verdicts[-1].outcome is Outcome.NO_VIDEO

    def test_a_link_that_comes_late_is_taken(self) -> None:
        watching = watch()
        assert watching.see(LINKLESS, 10) is None
        assert watching.see(DONE, 20) == Verdict(Outcome.SUCCEEDED)

    def test_failed_questions_never_end_the_waiting_before_the_deadline(self) -> None:
        watching = watch()
        assert [watching.see(PollFailed("x"), at) for at in range(0, int(DAY), 600)] == [None] * 144

    def test_a_result_at_the_deadline_still_counts(self) -> None:
        assert watch(deadline=10).see(DONE, 99) == Verdict(Outcome.SUCCEEDED)

    def test_past_the_deadline_waiting_ends_and_says_how_it_stood(self) -> None:
        ended = watch(deadline=10).see(render(), 10)
        assert ended == Verdict(Outcome.TIMED_OUT, "the last status was TASK_STATUS_PROCESSING")
        ended = watch(deadline=10).see(PollFailed("no answer"), 11)
        assert ended == Verdict(Outcome.TIMED_OUT, "the last question failed: no answer")

    def test_a_moment_before_the_deadline_it_goes_on(self) -> None:
        assert watch(deadline=10).see(render(), 9.99) is None


class TestARefusedKey:
    def test_it_counts_only_when_refused_several_times_in_a_row(self) -> None:
        watching = watch()
        refusal = AuthenticationFailed("bad key", reason="FAILED_TO_AUTH")
        for other in (render(), PollFailed("x")):
            assert [watching.see(refusal, 1) for _ in range(MAX_REFUSED_KEYS - 1)] == [None] * (MAX_REFUSED_KEYS - 1)
            assert watching.see(other, 1) is None
        verdicts = [watching.see(refusal, 1) for _ in range(MAX_REFUSED_KEYS)]
        assert verdicts == [None] * (MAX_REFUSED_KEYS - 1) + [
            Verdict(Outcome.AUTHENTICATION_FAILED, "FAILED_TO_AUTH"),
        ]


class TestALostRender:
    def test_only_30_minutes_without_ever_being_found_count_as_lost(self) -> None:
        watching = watch()
        assert watching.see(RenderNotFound("x"), LOST_AFTER) is None
        lost = watching.see(RenderNotFound("x", reason="TASK_NOT_FOUND"), LOST_AFTER + 1)
        assert lost == Verdict(Outcome.LOST, "TASK_NOT_FOUND")

    def test_the_30_minutes_begin_with_this_watch(self) -> None:
        watching = watch(started_at=10_000)
        assert watching.see(RenderNotFound("x"), 10_000 + LOST_AFTER) is None
        assert watching.see(RenderNotFound("x"), 10_001 + LOST_AFTER)

    def test_a_render_that_was_found_once_is_never_lost(self) -> None:
        watching = watch()
        watching.see(render(), 1)
        assert watching.see(RenderNotFound("x"), 10 * LOST_AFTER) is None

    def test_other_trouble_is_no_loss(self) -> None:
        assert watch().see(PollFailed("x"), 10 * LOST_AFTER) is None


class TestTheSchedule:
    @pytest.mark.usefixtures("no_jitter")
    @pytest.mark.parametrize(("now", "delay"), [(0, 10), (2, 8), (-5, 10)])
    def test_the_first_seconds_need_no_question(self, now: float, delay: float) -> None:
        assert watch().first_delay(now) == delay

    def test_the_first_question_comes_before_the_deadline(self) -> None:
        assert watch(deadline=2).first_delay(1) == 1

    def test_a_restarted_triggerer_does_not_ask_for_all_its_old_renders_at_once(self) -> None:
        delays = sorted(Watch(0, DAY, 500).first_delay(500) for _ in range(300))
        assert delays[0] < 2
        assert delays[-1] > 13
        assert max(after - before for before, after in itertools.pairwise(delays)) < 2

    @pytest.mark.usefixtures("no_jitter")
    @pytest.mark.parametrize(("now", "delay"), [(10, 28), (23, 15), (38, 15), (300, 15), (1800, 15), (1801, 30)])
    def test_of_an_unknown_kind_it_asks_steadily_once_a_render_may_be_done(self, now: float, delay: float) -> None:
        watching = watch()
        watching.see(render(), now)
        assert watching.next_delay(now) == delay

    @pytest.mark.usefixtures("no_jitter")
    def test_what_like_renders_took_says_when_to_ask(self) -> None:
        durations = Durations()
        for took in range(200, 300, 10):
            durations.learn(running=took - 5, ended=took + 5)
        watching = Watch(0, DAY, 0, durations)
        assert watching.first_delay(0) > 100
        watching.see(render(), 200)
        assert 10 <= watching.next_delay(200) <= 30

    @pytest.mark.usefixtures("no_jitter")
    def test_an_eta_that_counts_down_says_when_to_ask(self) -> None:
        watching = watch()
        watching.see(render(eta=200), 10)
        assert watching.next_delay(10) == 40
        watching.see(render(eta=160), 50)
        assert watching.next_delay(50) == 60
        watching.see(render(), 110)
        assert watching.next_delay(110) == BASE

    @pytest.mark.usefixtures("no_jitter")
    def test_trouble_backs_off_and_an_answer_ends_it(self) -> None:
        watching = watch()
        delays = []
        for _ in range(6):
            watching.see(PollFailed("x"), 50)
            delays.append(watching.next_delay(50))
        assert delays == [15, 30, 60, 120, 120, 120]
        watching.see(render(), 50)
        assert watching.next_delay(50) == 15

    @pytest.mark.usefixtures("no_jitter")
    @pytest.mark.parametrize(("wish", "delay"), [(90, 90), (1, 15), (None, 15), (9999, 300)])
    def test_the_wish_of_the_service_is_honoured_within_reason(self, wish: float | None, delay: float) -> None:
        watching = watch()
        watching.see(RateLimited("x", retry_after=wish), 50)
        assert watching.next_delay(50) == delay
        watching.see(render(), 50)
        assert watching.next_delay(50) == 15

    def test_a_crowd_does_not_ask_in_step(self) -> None:
        delays = {Watch(0, DAY, 0).next_delay(40) for _ in range(50)}
        assert len(delays) > 40
        assert all(13.5 <= delay <= 16.5 for delay in delays)

    @patient
    @given(st.lists(st.tuples(SIGHTS, st.floats(0, 600)), max_size=60), TIMES, TIMES, st.integers())
    def test_delays_are_never_negative_never_past_the_deadline_and_bounded(
        self, sights: list[tuple[Render | KlingError, float]], submitted_at: float, deadline: float, seed: int
    ) -> None:
        watching = Watch(submitted_at, deadline, started_at=0, _rng=random.Random(seed))
        now = 0.0
        for sight, passed in sights:
            now += passed
            watching.see(sight, now)
            for delay in (watching.next_delay(now), watching.first_delay(now)):
                assert delay >= 0
                assert delay == 0 or now + delay <= deadline + 1e-6
            assert watching.next_delay(now) <= 300

    @patient
    @given(st.lists(SIGHTS, max_size=200))
    def test_every_wait_comes_to_an_end(self, sights: list[Render | KlingError]) -> None:
        watching = watch(deadline=3600)
        now = 0.0
        endless = iter([*sights, *[render()] * 2000])
        verdict = None
        while verdict is None:
            now += max(watching.next_delay(now), 0.001)
            verdict = watching.see(next(endless), now)
        assert now <= 3601


class TestLearning:
    """Lessons show in the schedule of the next render: its first question comes later."""

    @staticmethod
    def wiser(teach: Callable[[Watch], object], *, submitted_at: float = 0, started_at: float = 0) -> bool:
        durations = Durations()
        for _ in range(9):
            teach(Watch(submitted_at, DAY, started_at, durations))
        return durations.delay(0.0) is not None

    def test_a_render_that_was_seen_running_teaches(self) -> None:
        assert self.wiser(lambda it: [it.see(render(), 100), it.see(DONE, 110)])

    def test_so_does_one_that_was_done_at_the_first_question(self) -> None:
        assert self.wiser(lambda it: it.see(DONE, 110))

    def test_so_does_one_whose_end_the_api_tells(self) -> None:
        assert self.wiser(lambda it: it.see(DONE.model_copy(update={"finished_at": 90.0}), 5000), started_at=5000)

    def test_a_render_that_was_done_when_the_watch_began_teaches_nothing(self) -> None:
        assert not self.wiser(lambda it: it.see(DONE, 5000), started_at=5000)

    def test_a_failure_teaches_nothing(self) -> None:
        assert not self.wiser(lambda it: [it.see(render(), 100), it.see(render(RenderStatus.FAILED), 110)])

    @pytest.mark.parametrize("finished_at", [-5.0, 9999.0])
    def test_an_end_outside_of_the_wait_is_not_believed(self, finished_at: float) -> None:
        done = DONE.model_copy(update={"finished_at": finished_at})
        assert not self.wiser(lambda it: it.see(done, 5000), started_at=5000)


class TestExpectedEnd:
    def test_without_a_word_and_without_its_like_nobody_knows(self) -> None:
        assert watch().expected_end(10) is None

    def test_what_its_like_took_is_expected(self) -> None:
        durations = Durations()
        for seconds in (200, 220, 240, 260, 280, 300):
            durations.learn(running=seconds, ended=seconds)
        assert Watch(1000, DAY, 1000, durations).expected_end(1010) == pytest.approx(1240, abs=40)

    def test_the_services_own_word_counts_more(self) -> None:
        watching = watch(submitted_at=1000)
        watching.see(render(eta=30), 1050)
        assert watching.expected_end(1050) == 1080
