"""Is a file a whole MP4? Judged by its boxes, whatever they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from films import box, mvhd
from hypothesis import given
from hypothesis import strategies as st
from properties import patient

from airflow_provider_kling.mp4 import check_mp4
from airflow_provider_kling.simulator.video import render_video

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def film() -> bytes:
    """A real one, with sound."""
    return render_video(width=64, height=36, seconds=3, sound=True, shots=[("a fox", 3)], fps=8)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mp4") / "film.mp4"


def check(path: Path, content: bytes) -> float | None:
    path.write_bytes(content)
    return check_mp4(path)


def large(kind: bytes, content: bytes, *, size: int | None = None) -> bytes:
    size = 16 + len(content) if size is None else size
    return (1).to_bytes(4, "big") + kind + size.to_bytes(8, "big") + content


FTYP, MOOV, MDAT = box(b"ftyp", b"isom"), box(b"moov", b"header"), box(b"mdat", b"pictures")


def test_a_real_video_is_whole(film: bytes, path: Path) -> None:
    check(path, film)


def test_a_real_video_cut_at_any_byte_is_not(film: bytes, path: Path) -> None:
    path.write_bytes(film)
    with path.open("r+b") as file:
        for end in range(len(film) - 1, -1, -1):
            file.truncate(end)
            with pytest.raises(ValueError, match=r"cut off|has no|middle of a header"):
                check_mp4(path)


@patient
@given(st.binary(min_size=1, max_size=40))
def test_bytes_behind_a_video_are_noticed(film: bytes, path: Path, tail: bytes) -> None:
    try:
        check(path, film + tail)
    except ValueError:
        return
    assert int.from_bytes(tail[:4], "big") in {0, 1, *range(8, 41)}  # the tail is made of boxes itself


@patient
@given(st.binary(max_size=200))
def test_no_bytes_surprise_us(path: Path, content: bytes) -> None:
    with pytest.raises(ValueError, match="it"):
        check(path, content)


@pytest.mark.parametrize(
    "content",
    [
        FTYP + MOOV + MDAT,
        FTYP + MDAT + MOOV,
        FTYP + box(b"free") + MOOV + MDAT + MDAT,
        FTYP + MOOV + large(b"mdat", b"pictures"),
        FTYP + MOOV + box(b"mdat", b"up to the end", size=0),
    ],
)
def test_boxes_may_come_in_any_order_and_size(path: Path, content: bytes) -> None:
    check(path, content)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no ftyp, mdat, moov part"),
        (b"<!doctype html><html>", "does not begin like an MP4"),
        (MOOV + FTYP + MDAT, "does not begin like an MP4"),
        (FTYP, "no mdat, moov part"),
        (FTYP + MOOV, "no mdat part"),
        (FTYP + MDAT, "no moov part"),
        (FTYP + MOOV + MDAT[:-3], "'mdat' is cut off, 3 bytes are missing"),
        (FTYP + MOOV + MDAT[:7], "middle of a header"),
        (FTYP + MOOV + box(b"mdat", size=7), "impossible size"),
        (FTYP + MOOV + large(b"mdat", b"", size=15), "impossible size"),
        (FTYP + MOOV + large(b"mdat", b"")[:12], "impossible size"),
        (FTYP + MOOV + large(b"mdat", b"", size=2**63), "is cut off"),
    ],
)
def test_what_is_wrong_is_told(path: Path, content: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        check(path, content)


def test_only_headers_are_read_whatever_the_size(path: Path) -> None:
    path.write_bytes(FTYP + MOOV + large(b"mdat", b"", size=16 + (1 << 40)))
    with path.open("r+b") as file:
        file.truncate(len(FTYP + MOOV) + 16 + (1 << 40))  # a terabyte of nothing, which takes no room
    check_mp4(path)
    path.unlink()


def plays(path: Path, *headers: bytes) -> float | None:
    """How long a video plays with these boxes in its header."""
    return check(path, FTYP + box(b"moov", b"".join(headers)) + MDAT)


def test_a_real_video_says_how_long_it_plays(film: bytes, path: Path) -> None:
    assert check(path, film) == pytest.approx(3, abs=0.2)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (mvhd(3000), 3),
        (mvhd(7501, 2500), 3.0004),
        (mvhd(3000, version=1), 3),
        (mvhd(2**40, 2**20, version=1), 2**20),
        (mvhd(2**32 - 2, 1), 2**32 - 2),
    ],
)
@pytest.mark.parametrize("before", [b"", box(b"free", b"mvhd")])
def test_the_movie_header_tells_in_either_version_and_anywhere(
    path: Path, header: bytes, seconds: float, before: bytes
) -> None:
    assert plays(path, before, header, box(b"trak")) == seconds


def test_the_header_may_come_behind_the_pictures(path: Path) -> None:
    assert check(path, FTYP + MDAT + box(b"moov", mvhd(3000))) == 3


@pytest.mark.parametrize(
    "header",
    [
        b"",
        box(b"trak"),
        mvhd(0),
        mvhd(0, version=1),
        mvhd(2**32 - 1),
        mvhd(2**64 - 1, version=1),
        mvhd(3000, 0),
        mvhd(3000, 0, version=1),
        box(b"mvhd"),
        box(b"mvhd", b"\0" * 15 + b"\1"),
        box(b"mvhd", b"\0" * 15 + b"\1" + b"\0\7\7"),
        box(b"mvhd", b"\1" + b"\0" * 22 + b"\1" + b"\0\7\7\7\7\7\7"),
        box(b"mvhd", size=7),
        box(b"mvhd", size=2**31),
        b"\0\0\0",
    ],
)
def test_a_video_that_does_not_say_how_long_it_plays_is_fine(path: Path, header: bytes) -> None:
    assert plays(path, header) is None
    assert plays(path, header, box(b"free", b"\7" * 40)) is None  # what comes behind is not read for it


@patient
@given(st.binary(max_size=120))
def test_no_movie_header_surprises_us(path: Path, content: bytes) -> None:
    for header in (box(b"mvhd", content), content):
        seconds = plays(path, header)
        assert seconds is None or 0 < seconds < 2**64
