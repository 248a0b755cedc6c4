"""A download that breaks goes on where it was, and never mixes two files."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from airflow_provider_kling import fetching
from airflow_provider_kling.api.errors import VideoUnavailable
from airflow_provider_kling.saving import save
from airflow_provider_kling.simulator import KlingSimulator, faults
from airflow_provider_kling.targets import Target

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_kling.api.models import Render

    Ask = Callable[[], Render]

pytestmark = [
    pytest.mark.kling_simulator(render_seconds=1e6, speed=1),
    pytest.mark.usefixtures("no_pauses", "long_film"),
]
SIZE = 1_000_000
HALF = SIZE // 2
MORE_BREAKS = len(fetching._PAUSES)


class Downloads:
    """What the file host was asked for and what it answered; a fault is its next misbehaviour."""

    def __init__(self, simulator: KlingSimulator, ask: Ask, path: Path) -> None:
        self.simulator, self.path = simulator, path
        self._ask = ask

    def next(self, *misbehaviours: faults.Fault, times: int | None = 1) -> None:
        for fault in misbehaviours:
            self.simulator.inject(fault, on="download", times=times)

    def bring(self, film: bytes) -> None:
        """Save, and find exactly these bytes."""
        _, saved = save(self._ask, Target(str(self.path)))
        assert hashlib.sha256(self.path.read_bytes()).hexdigest() == hashlib.sha256(film).hexdigest() == saved.sha256
        assert (saved.size, list(self.path.parent.iterdir())) == (len(film), [self.path])
        assert self.simulator.submits == 0

    def bring_nothing(self) -> VideoUnavailable:
        """Fail to save, and leave nothing."""
        with pytest.raises(VideoUnavailable) as caught:
            save(self._ask, Target(str(self.path)))
        assert list(self.path.parent.iterdir()) == []
        assert self.simulator.submits == 0
        return caught.value

    @property
    def asked(self) -> list[tuple[int, int | None]]:
        """Offset asked for (0: for all of it) and status answered."""
        return [
            (int(request.headers.get("range", "bytes=0-")[len("bytes=") : -1]), request.answered)
            for request in self.simulator.requests
            if request.path.startswith("/files/")
        ]

    @property
    def links(self) -> list[str]:
        return [request.query["sign"] for request in self.simulator.requests if request.path.startswith("/files/")]


@pytest.fixture
def host(kling_simulator: KlingSimulator, ask: Ask, tmp_path: Path) -> Downloads:
    return Downloads(kling_simulator, ask, tmp_path / "fox.mp4")


@pytest.mark.parametrize("fraction", [0.01, 0.5, 0.999])
@pytest.mark.parametrize("framing", [None, faults.Chunked()], ids=["length", "chunked"])
def test_a_break_is_gone_on_from(
    host: Downloads, long_film: bytes, fraction: float, framing: faults.Chunked | None
) -> None:
    torn = faults.Torn(fraction)
    host.next(faults.Both(torn, framing) if framing else torn)
    host.bring(long_film)
    assert host.asked == [(0, 200), (int(SIZE * fraction), 206)]
    first, second = (request for request in host.simulator.requests if request.path.startswith("/files/"))
    assert second.headers["if-range"].strip('"') == hashlib.sha256(long_film).hexdigest()[:32]
    assert {"range", "if-range"} & first.headers.keys() == set()
    assert {r.headers["accept-encoding"] for r in (first, second)} == {"identity"}


def test_a_break_before_the_first_byte_begins_anew(host: Downloads, long_film: bytes) -> None:
    host.next(faults.Torn(0.0))
    host.bring(long_film)
    assert host.asked == [(0, 200), (0, 200)]


def test_ten_breaks_that_each_bring_much_are_no_reason_to_give_up(host: Downloads, long_film: bytes) -> None:
    host.next(faults.Torn(after=90_000), times=10)
    host.bring(long_film)
    assert host.asked == [(0, 200), *((90_000 * number, 206) for number in range(1, 11))]


def test_ten_breaks_that_bring_little_are_still_borne(
    host: Downloads, long_film: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "_PAUSES", (0.0,) * MORE_BREAKS)
    host.next(faults.Torn(after=1000), times=10)
    host.bring(long_film)
    assert host.asked == [(0, 200), *((1000 * number, 206) for number in range(1, 11))]


def test_breaks_that_go_on_bringing_little_end_it(host: Downloads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "_PAUSES", (0.0,) * MORE_BREAKS)
    host.next(faults.Torn(after=1000), times=None)
    assert "broke off" in host.bring_nothing().message
    assert len(host.asked) == MORE_BREAKS + 1 == 12


def test_progress_in_between_begins_the_count_anew(host: Downloads, long_film: bytes) -> None:
    host.next(*[faults.Torn(after=1000)] * 3, faults.Torn(after=90_000), *[faults.Torn(after=1000)] * 3)
    host.bring(long_film)
    assert len(host.asked) == 8


class TestHostsThatCanNotGoOn:
    def test_without_range_requests_it_begins_anew(self, host: Downloads, long_film: bytes) -> None:
        host.next(faults.Torn(), faults.Both(faults.NoRanges(), faults.Torn(0.25)), faults.NoRanges())
        host.bring(long_film)
        assert host.asked == [(0, 200), (HALF, 200), (SIZE // 4, 200)]

    def test_coming_to_the_same_byte_again_is_no_progress(self, host: Downloads) -> None:
        host.next(faults.Both(faults.NoRanges(), faults.Torn()), times=None)
        host.bring_nothing()
        assert len(host.asked) == 5

    @pytest.mark.parametrize("etag", [None, 'W/"weak"', "bare", '"a" "b"'])
    def test_without_a_strong_etag_nothing_is_put_together(
        self, host: Downloads, long_film: bytes, etag: str | None
    ) -> None:
        host.next(faults.Both(faults.Torn(), faults.OtherHeaders({"ETag": etag})))
        host.bring(long_film)
        assert host.asked == [(0, 200), (0, 200)]

    def test_a_part_need_not_repeat_the_etag(self, host: Downloads, long_film: bytes) -> None:
        host.next(faults.Torn(), faults.Both(faults.Torn(), faults.OtherHeaders({"ETag": None})))
        host.bring(long_film)
        assert host.asked == [(0, 200), (HALF, 206), (HALF + HALF // 2, 206)]


class TestAnotherFileInBetween:
    def test_it_begins_anew(self, host: Downloads, long_film: bytes) -> None:
        other = faults.OtherVideo()
        host.next(faults.Torn(), faults.Both(other, faults.Torn(0.25)), other)
        host.bring(long_film + b"\0\0\0\x08free")
        assert host.asked == [(0, 200), (HALF, 200), ((SIZE + 8) // 4, 200)]
        etags = [r.headers.get("if-range") for r in host.simulator.requests if r.path.startswith("/files/")]
        assert etags[2] == '"another"' != etags[1]

    @pytest.mark.parametrize(
        "headers",
        [
            {"ETag": '"another"'},
            {"ETag": 'W/"weak"'},
            {"Content-Range": f"bytes {HALF - 1}-{SIZE - 1}/{SIZE}"},
            {"Content-Range": f"bytes {HALF + 1}-{SIZE - 1}/{SIZE}"},
            {"Content-Range": f"bytes 0-{SIZE - 1}/{SIZE}"},
            {"Content-Range": f"bytes {HALF}-{SIZE}/{SIZE}"},
            {"Content-Range": f"bytes {HALF}-{HALF - 1}/{SIZE}"},
            {"Content-Range": f"bits {HALF}-{SIZE - 1}/{SIZE}"},
            {"Content-Range": None},
            {"Content-Encoding": "gzip"},
        ],
        ids=str,
    )
    def test_a_part_that_may_not_fit_is_not_taken(
        self, host: Downloads, long_film: bytes, headers: dict[str, str | None]
    ) -> None:
        host.next(faults.Torn(), faults.OtherHeaders(headers))
        host.bring(long_film)
        assert host.asked == [(0, 200), (HALF, 206), (0, 200)]

    def test_a_packed_part_is_not_taken(self, host: Downloads, long_film: bytes) -> None:
        host.next(faults.Torn(), faults.Gzip())
        host.bring(long_film)
        assert host.asked == [(0, 200), (HALF, 206), (0, 200)]

    def test_of_a_packed_video_nothing_is_gone_on_from(self, host: Downloads, long_film: bytes) -> None:
        host.next(faults.Both(faults.Gzip(), faults.Torn()))
        host.bring(long_film)
        assert host.asked == [(0, 200), (0, 200)]

    def test_a_part_that_nobody_asked_for_is_not_taken(self, host: Downloads, long_film: bytes) -> None:
        part = {"Content-Range": f"bytes 0-{SIZE - 1}/{SIZE}", "ETag": '"e"'}
        host.next(faults.RawAnswer(206, long_film, part))
        host.bring(long_film)
        assert host.asked == [(0, 206), (0, 200)]

    def test_more_than_was_announced_is_not_taken(self, host: Downloads, long_film: bytes) -> None:
        host.next(faults.Torn(), faults.OtherHeaders({"Content-Range": f"bytes {HALF}-{SIZE - 9}/{SIZE - 8}"}))
        host.bring(long_film)
        assert host.asked == [(0, 200), (HALF, 206), (0, 200)]


class TestLengths:
    def test_a_part_may_be_shorter_than_asked_for(self, host: Downloads, long_film: bytes) -> None:
        end = HALF + 100_000
        part = {"Content-Range": f"bytes {HALF}-{end - 1}/{SIZE}"}
        host.next(faults.Torn(), faults.RawAnswer(206, long_film[HALF:end], part))
        host.bring(long_film)
        assert host.asked == [(0, 200), (HALF, 206), (end, 206)]

    def test_a_length_once_told_holds_for_parts_that_do_not_tell_it(self, host: Downloads, long_film: bytes) -> None:
        end = HALF + 100_000
        part = {"Content-Range": f"bytes {HALF}-{end - 1}/*"}
        host.next(faults.Torn(), faults.RawAnswer(206, long_film[HALF:end], part))
        host.bring(long_film)
        assert host.asked == [(0, 200), (HALF, 206), (end, 206)]

    def test_a_host_that_takes_back_what_it_announced_is_not_believed(self, host: Downloads, long_film: bytes) -> None:
        host.next(faults.WrongLength(10))
        host.bring(long_film)
        assert host.asked == [(0, 200), (SIZE, 416), (0, 200)]

    def test_when_nothing_is_left_to_come_it_is_whole(self, host: Downloads, long_film: bytes) -> None:
        host.next(faults.Both(faults.NoLength(), faults.Torn(0.9999999)))
        host.bring(long_film)
        assert host.asked[-1][1] in {200, 206, 416}

    @pytest.mark.parametrize(
        "headers", [{"Content-Range": f"bytes */{SIZE}"}, {"Content-Range": f"bytes */{HALF}", "ETag": '"x"'}, {}]
    )
    def test_when_nothing_is_left_of_another_file_it_begins_anew(
        self, host: Downloads, long_film: bytes, headers: dict[str, str]
    ) -> None:
        host.next(faults.Torn(), faults.RawAnswer(416, b"", headers))
        host.bring(long_film)
        assert host.asked == [(0, 200), (HALF, 416), (0, 200)]

    @pytest.mark.parametrize("framing", [faults.NoLength(), faults.Chunked()], ids=str)
    def test_a_length_that_is_not_told_is_not_missed(
        self, host: Downloads, long_film: bytes, framing: faults.Fault
    ) -> None:
        host.next(framing)
        host.bring(long_film)
        assert host.asked == [(0, 200)]

    def test_an_end_that_can_not_be_told_from_a_break_is_found_out(self, host: Downloads, long_film: bytes) -> None:
        host.next(faults.Both(faults.NoLength(), faults.Torn()))
        host.bring(long_film)
        assert host.asked == [(0, 200), (0, 200)]


class TestLinks:
    def test_one_that_expired_before_the_first_byte_is_asked_for_anew(self, host: Downloads, long_film: bytes) -> None:
        host.next(faults.ExpiredLink())
        host.bring(long_film)
        assert host.asked == [(0, 403), (0, 200)]
        assert len(set(host.links)) == 2

    @pytest.mark.parametrize("status", [403, 404, 410])
    def test_one_that_expired_in_the_middle_is_asked_for_anew_and_gone_on_with(
        self, host: Downloads, long_film: bytes, status: int
    ) -> None:
        host.next(faults.Torn(), faults.RawAnswer(status))
        host.bring(long_film)
        assert host.asked == [(0, 200), (HALF, status), (HALF, 206)]
        assert len(set(host.links)) == host.simulator.polls == 3

    def test_a_good_one_is_used_again_while_the_api_is_down(self, host: Downloads, long_film: bytes) -> None:
        host.next(faults.Torn(), faults.Drop())
        host.simulator.inject(faults.BadGateway(), on="poll", times=None, after=1)
        host.bring(long_film)
        assert host.asked == [(0, 200), (HALF, None), (HALF, 206)]
        assert len(set(host.links)) == 1

    def test_a_refused_one_is_not_used_again_even_while_the_api_is_down(self, host: Downloads) -> None:
        host.next(faults.Torn(), faults.ExpiredLink())
        host.simulator.inject(faults.BadGateway(), on="poll", times=None, after=1)
        assert host.bring_nothing().http_status == 502
        assert host.asked == [(0, 200), (HALF, 403)]
