"""Is a file a whole MP4? Reads the box headers only, whatever the file's size."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_NEEDED = {b"ftyp", b"moov", b"mdat"}


def check_mp4(path: Path) -> None:
    """Check that a file is made of whole top-level boxes and has the three that every video needs.

    :param path: the file
    :raises ValueError: with what is wrong: no MP4 at all, cut off, or a part missing
    """
    end = path.stat().st_size
    found: set[bytes] = set()
    with path.open("rb") as file:
        at = 0
        while at < end:
            file.seek(at)
            kind, size = _box(file.read(16), left=end - at)
            if not found and kind != b"ftyp":
                raise ValueError("it does not begin like an MP4")
            if size > end - at:
                raise ValueError(
                    f"its part {kind.decode('latin-1')!r} is cut off, {size - (end - at)} bytes are missing"
                )
            found.add(kind)
            at += size
    if missing := _NEEDED - found:
        raise ValueError(f"it has no {', '.join(sorted(kind.decode() for kind in missing))} part")


def _box(header: bytes, *, left: int) -> tuple[bytes, int]:
    """Kind and size of the box that starts with these bytes (ISO/IEC 14496-12, 4.2)."""
    if len(header) < 8:
        raise ValueError("it ends in the middle of a header")
    size, kind, least = int.from_bytes(header[:4], "big"), header[4:8], 8
    if size == 1:
        size, least = int.from_bytes(header[8:16], "big"), 16
    elif size == 0:
        size = left
    if size < least:
        raise ValueError(f"its part {kind.decode('latin-1')!r} has an impossible size")
    return kind, size
