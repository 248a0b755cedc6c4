"""What a file host's answer means for a download that may have begun before: pure, nothing is read or sent."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_kling.api.errors import VideoUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MOST_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Piece:
    """What an answer brings.

    :param start: offset of its first byte in the video
    :param total: length of the whole video in bytes, when the host tells it
    :param etag: the host's name for exactly these bytes, when it has one that a later part can be asked for with
    :param ends: whether nothing more is to come
    """

    start: int = 0
    total: int | None = None
    etag: str | None = None
    ends: bool = False


class OtherVideo(VideoUnavailable):
    """What comes does not continue what is here: begin anew."""


def range_headers(have: int, etag: str | None) -> dict[str, str]:
    """The headers of a request: the rest of what is here already, or all of it.

    Without an ETag nobody can promise that the rest belongs to the same file (RFC 9110, 13.1.5).

    :param have: bytes that are here
    :param etag: their ETag
    """
    headers = {"Accept-Encoding": "identity"}
    if have and etag:
        headers |= {"Range": f"bytes={have}-", "If-Range": etag}
    return headers


def read_answer(status: int, headers: Mapping[str, str], *, have: int, etag: str | None) -> Piece | None:
    """What an answer to `range_headers` brings; None when it brings no video.

    :param status: HTTP status
    :param headers: of the answer, lower-case names
    :param have: bytes that are here
    :param etag: their ETag
    :raises OtherVideo: when a part was sent that does not continue them
    """
    plain = headers.get("content-encoding", "identity") == "identity"
    named = headers.get("etag", "")
    # a weak ETag stands for the same picture, not for the same bytes; of a packed body the offsets mean nothing
    strong = named if plain and re.fullmatch(r'"[\x21\x23-\x7e\x80-\xff]*"', named) else None
    if status == 200:
        return Piece(total=_number(headers.get("content-length")) if plain else None, etag=strong)
    if not have or not etag or status not in {206, 416}:
        return None
    first, total = _content_range(headers.get("content-range", ""))
    if status == 416:
        if total != have or named not in {"", etag}:
            raise OtherVideo(f"the file host has no bytes behind {have}")
        return Piece(start=have, total=have, etag=etag, ends=True)
    if first != have or not plain or named not in {"", etag}:
        raise OtherVideo("the file host sent a part that does not continue the download")
    return Piece(start=have, total=total, etag=etag)


def unpacked(chunks: Iterator[bytes], coding: str) -> Iterator[bytes]:
    """The bytes of a body that was packed although that was not asked for, in pieces that memory can hold.

    :param chunks: as they come
    :param coding: the answer's Content-Encoding
    :raises VideoUnavailable: a coding that is not known, or a packed body that ends too early
    """
    if coding in {"", "identity"}:
        yield from chunks
        return
    if coding not in {"gzip", "x-gzip"}:
        raise VideoUnavailable(f"the file host packs the video as {coding[:40]!r}")
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        for chunk in chunks:
            rest = chunk
            while rest and not unpacker.eof:
                yield unpacker.decompress(rest, _MOST_AT_ONCE)
                rest = unpacker.unconsumed_tail
    except zlib.error:
        raise VideoUnavailable("the file host packs the video as gzip, and it can't be unpacked") from None
    if not unpacker.eof:
        raise VideoUnavailable("the packed video ended too early")


def _content_range(value: str) -> tuple[int | None, int | None]:
    match = re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)", value.strip(), re.ASCII)
    if not match:
        return None, None
    first, last, total = (_number(match[group]) for group in (1, 2, 3))
    if first is not None and (last is None or last < first or (total is not None and total <= last)):
        return None, None  # such a range must not be put to use (RFC 9110, 14.4)
    return first, total


def _number(digits: str | None) -> int | None:
    return int(digits) if digits and re.fullmatch(r"\d{1,18}", digits, re.ASCII) else None
