"""Players ask for parts; attackers ask for anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_kling.plugins.ranges import Part, Unsatisfiable, is_known, wanted_part

NUMBERS = st.integers(0, 1200)
SIZES = st.integers(0, 1000)
TAG = '"abc"'


def asked(wanted: str | None, size: int = 1000) -> Part | None:
    return wanted_part(size, wanted=wanted)


def bytes_of(part: Part | None, size: int) -> list[int]:
    body = list(range(size))
    return body if part is None else body[part.start : part.stop]


@given(size=SIZES, first=NUMBERS, last=NUMBERS)
def test_a_closed_range_is_those_bytes_that_there_are(size: int, first: int, last: int) -> None:
    there = [byte for byte in range(size) if first <= byte <= last]
    if last < first:
        assert asked(f"bytes={first}-{last}", size) is None
    elif there:
        assert bytes_of(asked(f"bytes={first}-{last}", size), size) == there
    else:
        with pytest.raises(Unsatisfiable):
            asked(f"bytes={first}-{last}", size)


@given(size=SIZES, first=NUMBERS)
def test_an_open_range_goes_to_the_end(size: int, first: int) -> None:
    there = [byte for byte in range(size) if byte >= first]
    if there:
        assert bytes_of(asked(f"bytes={first}-", size), size) == there
    else:
        with pytest.raises(Unsatisfiable):
            asked(f"bytes={first}-", size)


@given(size=SIZES, count=NUMBERS)
def test_a_suffix_is_the_last_bytes(size: int, count: int) -> None:
    there = [byte for byte in range(size) if byte >= size - count]
    if there:
        assert bytes_of(asked(f"bytes=-{count}", size), size) == there
    else:
        with pytest.raises(Unsatisfiable):
            asked(f"bytes=-{count}", size)


@given(size=SIZES, wanted=st.text() | st.text("bytes=0123456789-, \t", max_size=300).map("bytes={}".format))
def test_whatever_is_asked_only_bytes_that_exist_are_sent(size: int, wanted: str) -> None:
    try:
        part = asked(wanted, size)
    except Unsatisfiable:
        return
    if part is not None:
        assert 0 <= part.start < part.stop <= size
        assert part.content_range(size) == f"bytes {part.start}-{part.stop - 1}/{size}"


@pytest.mark.parametrize(
    "wanted",
    [
        None, "", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=1", "bytes=1-2-3", "bytes=--5", "bytes=5-2",
        "bytes=0-1,5-6", "bytes=0-0,0-0", "bytes=" + ",".join(["0-"] * 5000), "bytes=+1-2", "bytes=1_0-2_0",
        "bytes=0x1-0x2", "bytes=1 - 2", "items=0-5", "=0-5", "bytes=\u0661-\u0662", "bytes=0-" + "9" * 5000,
        "bytes=" + "9" * 41 + "-", "bytes 0-5", "bytes=0-5;q=1", "bytes=0-5\n",
    ],
)  # fmt: skip
def test_what_is_no_single_range_gets_the_whole_body(wanted: str | None) -> None:
    assert asked(wanted) is None


@pytest.mark.parametrize(
    ("wanted", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, 1000),
        ("BYTES=5-9", 5, 10),
        ("bytes= 5-9\t", 5, 10),
        ("bytes=,5-9, ,", 5, 10),
        ("bytes=0005-0009", 5, 10),
        ("bytes=999-" + "9" * 40, 999, 1000),
        ("bytes=-" + "9" * 40, 0, 1000),
    ],
)
def test_one_range_is_read_in_every_spelling(wanted: str, start: int, stop: int) -> None:
    assert asked(wanted) == Part(start, stop)


def test_a_place_far_beyond_the_end_is_nowhere() -> None:
    with pytest.raises(Unsatisfiable):
        asked("bytes=" + "9" * 40 + "-")


@pytest.mark.parametrize(
    ("only_if", "etag", "is_part"),
    [
        (TAG, TAG, True),
        (f" {TAG} ", TAG, True),
        (f"W/{TAG}", TAG, False),
        ('"other"', TAG, False),
        ("", TAG, False),
        ("Wed, 21 Oct 2026 07:28:00 GMT", TAG, False),
        (TAG, None, False),
    ],
)
def test_a_part_is_only_sent_of_the_body_that_the_player_knows(only_if: str, etag: str | None, is_part: bool) -> None:
    part = wanted_part(1000, wanted="bytes=5-9", only_if=only_if, etag=etag)
    assert part == (Part(5, 10) if is_part else None)


def test_another_body_makes_even_an_impossible_range_harmless() -> None:
    assert wanted_part(10, wanted="bytes=500-", only_if='"older"', etag=TAG) is None


@pytest.mark.parametrize(
    ("etag", "known", "is_it"),
    [
        (TAG, TAG, True),
        (TAG, f'"x", W/{TAG}', True),
        (TAG, '"x"', False),
        (TAG, "", False),
        (TAG, None, False),
        (None, TAG, False),
        (None, "None", False),
    ],
)
def test_a_body_is_known_by_its_tag(etag: str | None, known: str | None, is_it: bool) -> None:
    assert is_known(etag, known=known) is is_it
