"""Is a file a whole MP4, and how long does it play? Reads the box headers only, whatever the file's size."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NEEDED = {b"ftyp", b"moov", b"mdat"}


def check_mp4(path: Path) -> float | None:
    """Check that a file is made of whole top-level boxes and has the three that every video needs.

    :param path: the file
    :returns: how long it plays in seconds; None when it does not say
    :raises ValueError: with what is wrong: no MP4 at all, cut off, or a part missing
    """
    found: set[bytes] = set()
    seconds = None
    with path.open("rb") as file:
        head = file.read(8)
        if len(head) == 8 and head[4:] != b"ftyp":
            raise ValueError("it does not begin like an MP4")
        for kind, start, end in _boxes(file, 0, path.stat().st_size):
            found.add(kind)
            if kind == b"moov":
                seconds = _duration(file, start, end)
    if missing := _NEEDED - found:
        raise ValueError(f"it has no {', '.join(sorted(kind.decode() for kind in missing))} part")
    return seconds


def _boxes(file: BinaryIO, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind of each box in a range, and where its content starts and ends (ISO/IEC 14496-12, 4.2)."""
    while at < end:
        file.seek(at)
        header, left = file.read(16), end - at
        if len(header) < 8:
            raise ValueError("it ends in the middle of a header")
        size, kind, length = int.from_bytes(header[:4], "big"), header[4:8], 8
        if size == 1:
            size, length = int.from_bytes(header[8:16], "big"), 16
        elif size == 0:
            size = left
        if size < length:
            raise ValueError(f"its part {kind.decode('latin-1')!r} has an impossible size")
        if size > left:
            raise ValueError(f"its part {kind.decode('latin-1')!r} is cut off, {size - left} bytes are missing")
        yield kind, at + length, at + size
        at += size


def _duration(file: BinaryIO, at: int, end: int) -> float | None:
    """What the movie header says (ISO/IEC 14496-12, 8.2.2); None when it has none that makes sense."""
    try:
        start, end = next((start, end) for kind, start, end in _boxes(file, at, end) if kind == b"mvhd")
    except (StopIteration, ValueError):
        return None
    file.seek(start)
    header = file.read(min(32, end - start))
    wide = header[:1] == b"\1"
    if len(header) < (32 if wide else 20):
        return None
    scale, length = (header[20:24], header[24:32]) if wide else (header[12:16], header[16:20])
    if not (ticks := int.from_bytes(scale, "big")) or length in {b"\xff" * len(length), bytes(len(length))}:
        return None
    return int.from_bytes(length, "big") / ticks
