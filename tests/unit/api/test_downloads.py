"""What a file host's answer means for a download that may have begun before."""

from __future__ import annotations

import gzip
import random
import tracemalloc
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_kling.api.downloads import OtherVideo, Piece, range_headers, read_answer, unpacked
from airflow_provider_kling.api.errors import VideoUnavailable

HAVE, ETAG = 50, '"a"'
REST = "bytes 50-99/100"


@pytest.mark.parametrize(("have", "etag"), [(0, None), (0, ETAG), (50, None)])
def test_all_of_it_is_asked_for_unless_a_rest_can_be(have: int, etag: str | None) -> None:
    assert range_headers(have, etag) == {"Accept-Encoding": "identity"}


def test_a_rest_is_asked_for_only_of_the_same_file() -> None:
    assert range_headers(HAVE, ETAG) == {"Accept-Encoding": "identity", "Range": "bytes=50-", "If-Range": ETAG}


@pytest.mark.parametrize(("have", "asked_with"), [(0, None), (HAVE, ETAG), (HAVE, None)])
@pytest.mark.parametrize(
    ("headers", "piece"),
    [
        ({}, Piece()),
        ({"content-length": "100", "etag": '"b"'}, Piece(total=100, etag='"b"')),
        ({"content-length": "100", "etag": 'W/"b"'}, Piece(total=100)),
        ({"content-length": "100", "etag": "b"}, Piece(total=100)),
        ({"content-length": "100", "etag": '"b", "c"'}, Piece(total=100)),
        ({"content-length": "100", "etag": '"'}, Piece(total=100)),
        ({"content-length": "100", "etag": ""}, Piece(total=100)),
        ({"content-length": "x"}, Piece()),
        ({"content-length": "-1"}, Piece()),
        ({"content-length": "٣"}, Piece()),
        ({"content-length": "9" * 19}, Piece()),
        ({"content-length": "60", "content-encoding": "gzip", "etag": ETAG}, Piece()),
        ({"content-length": "60", "content-encoding": "identity", "etag": ETAG}, Piece(total=60, etag=ETAG)),
        ({"content-range": REST, "content-length": "100"}, Piece(total=100)),
    ],
)
def test_200_is_all_of_it_whatever_was_asked_for(
    headers: dict[str, str], piece: Piece, have: int, asked_with: str | None
) -> None:
    assert read_answer(200, headers, have=have, etag=asked_with) == piece


@pytest.mark.parametrize(
    ("headers", "total"),
    [
        ({"content-range": REST}, 100),
        ({"content-range": REST, "etag": ETAG}, 100),
        ({"content-range": " bytes 50-99/100 "}, 100),
        ({"content-range": "bytes 50-59/100"}, 100),
        ({"content-range": "bytes 50-50/*"}, None),
    ],
)
def test_206_that_fits_goes_on(headers: dict[str, str], total: int | None) -> None:
    assert read_answer(206, headers, have=HAVE, etag=ETAG) == Piece(start=HAVE, total=total, etag=ETAG)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-range": "bytes 49-99/100"},
        {"content-range": "bytes 51-99/100"},
        {"content-range": "bytes 0-99/100"},
        {"content-range": "bytes */100"},
        {"content-range": "bytes 50-49/100"},
        {"content-range": "bytes 50-100/100"},
        {"content-range": "bytes 50-60/50"},
        {"content-range": "bytes 50-/100"},
        {"content-range": "bytes=50-99/100"},
        {"content-range": "items 50-99/100"},
        {"content-range": REST, "etag": '"b"'},
        {"content-range": REST, "etag": 'W/"a"'},
        {"content-range": REST, "content-encoding": "gzip"},
        {"content-type": "multipart/byteranges; boundary=x"},
    ],
    ids=str,
)
def test_206_that_does_not_fit_is_another_video(headers: dict[str, str]) -> None:
    with pytest.raises(OtherVideo, match="does not continue"):
        read_answer(206, headers, have=HAVE, etag=ETAG)


def test_416_behind_the_last_byte_means_that_all_of_it_is_here() -> None:
    whole = Piece(start=HAVE, total=HAVE, etag=ETAG, ends=True)
    assert read_answer(416, {"content-range": "bytes */50"}, have=HAVE, etag=ETAG) == whole
    assert read_answer(416, {"content-range": "bytes */50", "etag": ETAG}, have=HAVE, etag=ETAG) == whole


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-range": "bytes */49"},
        {"content-range": "bytes */51"},
        {"content-range": "bytes */*"},
        {"content-range": "bytes */50", "etag": '"b"'},
    ],
    ids=str,
)
def test_416_anywhere_else_means_another_video(headers: dict[str, str]) -> None:
    with pytest.raises(OtherVideo, match="no bytes behind 50"):
        read_answer(416, headers, have=HAVE, etag=ETAG)


@pytest.mark.parametrize("status", [206, 416])
@pytest.mark.parametrize(("have", "etag"), [(0, None), (0, ETAG), (HAVE, None)])
def test_a_part_that_nobody_asked_for_is_no_video(status: int, have: int, etag: str | None) -> None:
    assert read_answer(status, {"content-range": f"bytes {have}-99/100"}, have=have, etag=etag) is None


@pytest.mark.parametrize("status", [100, 201, 204, 301, 302, 304, 307, 400, 403, 404, 410, 429, 500, 503])
def test_anything_else_is_no_video(status: int) -> None:
    assert read_answer(status, {"content-range": REST, "etag": ETAG}, have=HAVE, etag=ETAG) is None


numbers = st.integers(0, 120) | st.sampled_from(["*", "", "٣", "1" * 40])
odd_headers = st.fixed_dictionaries(
    {},
    optional={
        "content-range": st.builds("bytes {}-{}/{}".format, numbers, numbers, numbers)
        | st.builds("bytes */{}".format, numbers)
        | st.text(max_size=20),
        "etag": st.sampled_from([ETAG, '"b"', 'W/"a"', ""]) | st.text(max_size=5),
        "content-encoding": st.sampled_from(["identity", "gzip"]) | st.text(max_size=5),
        "content-length": numbers.map(str) | st.text(max_size=5),
    },
)
statuses = st.sampled_from([200, 206, 416]) | st.integers(100, 599)


@given(statuses, odd_headers, st.integers(0, 100), st.sampled_from([None, ETAG]))
def test_nothing_is_continued_without_all_the_signs(
    status: int, headers: dict[str, str], have: int, etag: str | None
) -> None:
    try:
        piece = read_answer(status, headers, have=have, etag=etag)
    except OtherVideo:
        assert have
        assert etag
        return
    if piece is None:
        assert status != 200
    elif piece.start:
        assert piece.start == have
        assert piece.etag == etag is not None
        assert headers.get("etag", "") in {"", etag}
        assert status == (416 if piece.ends else 206)
        assert piece.ends or headers.get("content-encoding", "identity") == "identity"
        assert piece.total is None or piece.total > have or piece.ends
        assert headers["content-range"].strip().startswith(f"bytes {'*' if piece.ends else have}")
    else:
        assert (status, piece.ends) == (200, False)


files = st.text("ab", min_size=1, max_size=6).map(str.encode)


@given(old=files, new=files, data=st.data())
def test_what_is_put_together_is_what_the_host_has(old: bytes, new: bytes, data: Any) -> None:
    """A host that tells the truth about its bytes, whatever range of whatever file it answers with."""
    have = data.draw(st.integers(1, len(old)))
    first = data.draw(st.integers(0, len(new) - 1))
    last = data.draw(st.integers(first, len(new) - 1))
    status = data.draw(st.sampled_from([200, 206, 416]))
    body = {200: new, 206: new[first : last + 1], 416: b""}[status]
    etags = {old: ETAG, new: ETAG if old == new else '"b"'}
    place = f"{first}-{last}" if status == 206 else "*"
    headers = {"content-range": f"bytes {place}/{len(new)}", "content-length": str(len(body)), "etag": etags[new]}
    try:
        piece = read_answer(status, headers, have=have, etag=etags[old])
    except OtherVideo:
        return
    assert piece
    together = old[: piece.start] + body
    assert new.startswith(together)
    assert not piece.ends or together == new


class TestPackedBodies:
    """Nobody asked for them; what can be read is taken, in constant memory."""

    @given(content=st.binary(max_size=5000), step=st.integers(1, 700))
    def test_what_was_packed_comes_out(self, content: bytes, step: int) -> None:
        packed = gzip.compress(content)
        pieces = (packed[at : at + step] for at in range(0, len(packed), step))
        assert b"".join(unpacked(pieces, "gzip")) == content

    def test_a_plain_one_passes(self) -> None:
        assert list(unpacked(iter([b"a", b"b"]), "identity")) == [b"a", b"b"]

    def test_a_bomb_does_not_fill_the_memory(self) -> None:
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(100)) + packer.flush()
        tracemalloc.start()
        assert sum(map(len, unpacked(iter([bomb]), "gzip"))) == 100 << 20
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
        tracemalloc.stop()

    @pytest.mark.parametrize("coding", ["br", "gzip, gzip", "deflate"])
    def test_another_coding_is_told(self, coding: str) -> None:
        with pytest.raises(VideoUnavailable, match=f"packs the video as '{coding}'"):
            list(unpacked(iter([b"x"]), coding))

    def test_a_body_without_its_end_is_not_whole(self) -> None:
        packed = gzip.compress(random.Random(1).randbytes(5000))
        with pytest.raises(VideoUnavailable, match="ended too early"):
            list(unpacked(iter([packed[:-8]]), "gzip"))
        with pytest.raises(VideoUnavailable, match="can't be unpacked"):
            list(unpacked(iter([b"no gzip at all"]), "gzip"))
