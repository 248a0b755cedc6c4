"""How patiently a video is fetched, and what is told of it."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from films import film

from airflow_provider_kling import fetching
from airflow_provider_kling.api.downloads import Piece
from airflow_provider_kling.api.errors import AuthenticationFailed, KlingError, PollFailed, VideoUnavailable
from airflow_provider_kling.api.models import Render, RenderStatus
from airflow_provider_kling.api.video import Download
from airflow_provider_kling.fetching import Fetched, Hopeless, ask_for_link, fetch, patiently

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sources import Downloads

DONE = Render(task_id="t", status=RenderStatus.SUCCEED, raw_status="TASK_STATUS_SUCCEED", video_url="https://v?sign=1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "parts").mkdir()
    return tmp_path / "parts" / "video.mp4"


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses that are only noted."""
    slept: list[float] = []
    monkeypatch.setattr(fetching, "time", SimpleNamespace(sleep=slept.append))
    monkeypatch.setattr(fetching, "_PAUSES", (1.0, 3.0, 9.0))
    return slept


def failing(*errors: KlingError | None) -> Callable[[], str]:
    """Something that fails so, one after the other, and then comes off."""
    left = iter(errors)

    def attempt() -> str:
        if error := next(left, None):
            raise error
        return "done"

    return attempt


def test_what_was_fetched_is_told(downloads: Downloads, path: Path) -> None:
    fetched = fetch(lambda: DONE, path)
    assert fetched == Fetched(DONE, 200, hashlib.sha256(downloads.film).hexdigest(), 3.0)
    assert path.read_bytes() == downloads.film


def test_each_attempt_asks_for_a_fresh_link(downloads: Downloads, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    links = iter(range(9))
    torn = iter([True, True, False])

    def check(_: Path) -> None:
        if next(torn):
            raise ValueError("torn")

    monkeypatch.setattr(fetching, "check_mp4", check)
    fetched = fetch(lambda: DONE.model_copy(update={"video_url": f"https://v/{next(links)}"}), path)
    assert downloads.opened == ["https://v/0", "https://v/1", "https://v/2"]
    assert (fetched.render.video_url, fetched.seconds) == ("https://v/2", None)


class TestPatience:
    def test_pauses_grow_and_the_last_failure_is_raised(
        self, slept: list[float], caplog: pytest.LogCaptureFixture
    ) -> None:
        def ask() -> Render:
            raise PollFailed("no answer.", reason="GET_RESULT_FAILED", http_status=500)

        with pytest.raises(VideoUnavailable, match=r"^no answer\.$") as caught:
            ask_for_link(ask)
        assert slept == [1, 3, 9]
        assert (caught.value.reason, caught.value.http_status, caught.value.bought) == ("GET_RESULT_FAILED", 500, "yes")
        assert "no answer; trying again in 3 s." in caplog.messages

    def test_the_pauses_of_one_attempt_come_to_about_two_minutes(self) -> None:
        assert 110 <= sum(fetching._PAUSES) <= 130
        assert list(fetching._PAUSES) == sorted(fetching._PAUSES)
        assert len(fetching._PAUSES) > 10  # ten breaks in a row are borne

    def test_progress_makes_the_pauses_short_again(self, slept: list[float]) -> None:
        came = iter([0, 10, 10, 20, 20, 20 + fetching._PROGRESS, 30 + fetching._PROGRESS, 31 + fetching._PROGRESS, 0])
        broke = VideoUnavailable("broke")
        assert patiently(failing(broke, broke, broke, broke), progress=lambda: next(came)) == "done"
        assert slept == [1, 3, 1, 1]

    def test_a_break_with_progress_never_ends_it(self, slept: list[float]) -> None:
        came = iter(range(0, 10**9, fetching._PROGRESS))
        assert patiently(failing(*[VideoUnavailable("broke")] * 50), progress=lambda: next(came)) == "done"
        assert slept == [1] * 50

    def test_what_is_hopeless_is_not_tried_again(self, slept: list[float]) -> None:
        with pytest.raises(Hopeless, match="no room"):
            patiently(failing(Hopeless("no room")))
        assert slept == []

    def test_other_exceptions_are_not_swallowed(self, slept: list[float]) -> None:
        def attempt() -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            patiently(attempt)
        assert slept == []


class TestLinks:
    def test_a_render_without_one_says_how_it_stands(self, slept: list[float]) -> None:
        with pytest.raises(VideoUnavailable, match=r"no link to the video \(status TASK_STATUS_QUEUED\)"):
            ask_for_link(lambda: Render(task_id="t", status=RenderStatus.QUEUED, raw_status="TASK_STATUS_QUEUED"))
        assert slept == [1, 3, 9]

    @pytest.mark.parametrize("answer", [PollFailed("no answer"), AuthenticationFailed("bad key"), None], ids=repr)
    def test_the_one_from_before_is_used_while_there_is_no_other(
        self, downloads: Downloads, path: Path, caplog: pytest.LogCaptureFixture, answer: KlingError | None
    ) -> None:
        answers = iter([DONE])

        def ask() -> Render:
            if done := next(answers, None):
                return done
            if answer:
                raise answer
            return DONE.model_copy(update={"video_url": None})

        downloads.come = [b"torn"]
        with pytest.raises(VideoUnavailable, match="4 bytes long, 200 were announced"):
            fetch(ask, path)
        assert downloads.opened == ["https://v?sign=1"] * 4
        assert len([m for m in caplog.messages if m.endswith("; going on with the link from before.")]) == 3


class TestKeeping:
    def test_the_last_video_is_not_mixed_with_a_shorter_one_before_it(
        self, downloads: Downloads, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        turns = iter([(film(300, seed=1)[:250], 300), (downloads.film, 200)])

        @contextlib.contextmanager
        def open_video(*_: Any, **__: Any) -> Iterator[Download]:
            content, total = next(turns)
            yield Download(Piece(total=total), iter([content]))

        monkeypatch.setattr(fetching, "open_video", open_video)
        assert fetch(lambda: DONE, path).sha256 == hashlib.sha256(downloads.film).hexdigest()
        assert path.read_bytes() == downloads.film

    @pytest.mark.parametrize("seconds", [None, 2.0, 3, 3.9, 4])
    def test_a_length_within_a_second_is_right(self, downloads: Downloads, path: Path, seconds: float | None) -> None:
        assert fetch(lambda: DONE, path, seconds=seconds).seconds == 3

    @pytest.mark.parametrize("seconds", [1.9, 4.1, 15])
    def test_another_length_is_not_tried_again(self, downloads: Downloads, path: Path, seconds: float) -> None:
        with pytest.raises(Hopeless, match=rf"plays for 3.0 s, {seconds:g} s were expected"):
            fetch(lambda: DONE, path, seconds=seconds)
        assert len(downloads.opened) == 1

    def test_a_video_that_does_not_say_its_length_passes(self, downloads: Downloads, path: Path) -> None:
        downloads.film = film(200, seconds=0)
        assert fetch(lambda: DONE, path, seconds=5).seconds is None


class TestPace:
    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
        """Time that passes only when told."""
        clock = SimpleNamespace(now=0.0, slept=[])
        monkeypatch.setattr(fetching, "_PAUSES", ())
        monkeypatch.setattr(fetching, "time", SimpleNamespace(sleep=clock.slept.append, monotonic=lambda: clock.now))
        return clock

    @staticmethod
    def drip(downloads: Downloads, clock: SimpleNamespace, *, size: int, seconds: float) -> None:
        """Let the film come so many bytes at a time, each so many seconds after the other."""

        def drops() -> Iterator[bytes]:
            for at in range(0, len(downloads.film), size):
                clock.now += seconds
                yield downloads.film[at : at + size]

        downloads.come = drops()

    def test_a_slow_start_is_borne(self, downloads: Downloads, path: Path, clock: SimpleNamespace) -> None:
        self.drip(downloads, clock, size=20, seconds=3)
        assert fetch(lambda: DONE, path).size == 200  # 200 bytes in 30 s

    def test_a_drip_is_a_break(self, downloads: Downloads, path: Path, clock: SimpleNamespace) -> None:
        self.drip(downloads, clock, size=20, seconds=3.1)
        with pytest.raises(VideoUnavailable, match="the file host sent 200 bytes in 31 s"):
            fetch(lambda: DONE, path)

    @pytest.mark.parametrize(("rate", "comes"), [(1030, True), (1020, False)])
    def test_slow_is_less_than_a_kilobyte_in_a_second(
        self, downloads: Downloads, path: Path, clock: SimpleNamespace, rate: int, comes: bool
    ) -> None:
        downloads.film = film(100 * rate)
        self.drip(downloads, clock, size=rate, seconds=1)
        with contextlib.nullcontext() if comes else pytest.raises(VideoUnavailable, match="in 31 s"):
            assert fetch(lambda: DONE, path).size == 100 * rate

    def test_no_more_than_a_chunk_waits_to_be_hashed(
        self, downloads: Downloads, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pulled, hashed = [0], [0]

        class SlowHash:
            def update(self, _: bytes) -> None:
                time.sleep(0.01)
                hashed[0] += 1

            def hexdigest(self) -> str:
                return "hash"

        def chunks() -> Iterator[bytes]:
            for at in range(0, 200, 40):
                pulled[0] += 1
                assert pulled[0] - hashed[0] <= 2
                yield downloads.film[at : at + 40]

        monkeypatch.setattr(hashlib, "sha256", SlowHash)
        downloads.come = chunks()
        assert fetch(lambda: DONE, path).sha256 == "hash"
        assert hashed == [5]


class TestLog:
    @pytest.fixture(autouse=True)
    def _clock(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each look at the clock takes six seconds."""
        now = iter(range(0, 10**6, 6))
        monkeypatch.setattr(fetching, "time", SimpleNamespace(sleep=None, monotonic=lambda: next(now)))

    def test_it_shows_progress_at_times_and_a_summary(
        self, downloads: Downloads, path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        downloads.film = film(1_000_000)
        downloads.come = [downloads.film[at : at + 100_000] for at in range(0, 1_000_000, 100_000)]
        fetch(lambda: DONE, path)
        assert caplog.messages == [
            "Fetching: 300.0 kB of 1.0 MB, 16.7 kB/s.",
            "Fetching: 600.0 kB of 1.0 MB, 16.7 kB/s.",
            "Fetching: 900.0 kB of 1.0 MB, 16.7 kB/s.",
            "Fetched 1.0 MB in 72.0 s (13.9 kB/s).",
        ]

    def test_large_numbers_can_be_read(self) -> None:
        assert [fetching._bytes(count) for count in (0, 999_900_000, 1e9, 2 << 30)] == [
            "0.0 kB",
            "999.9 MB",
            "1.00 GB",
            "2.15 GB",
        ]
