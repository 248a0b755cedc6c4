"""MP4 files made by hand: right in form and of any size, with noise for pictures."""

from __future__ import annotations

import random


def box(kind: bytes, content: bytes = b"", *, size: int | None = None) -> bytes:
    """A box of an MP4.

    :param kind: its four letters
    :param content: what is in it
    :param size: what it claims as its size; default the right one
    """
    return (8 + len(content) if size is None else size).to_bytes(4, "big") + kind + content


def mvhd(ticks: int, scale: int = 1000, *, version: int = 0) -> bytes:
    """A movie header.

    :param ticks: how long it plays, in units of the scale
    :param scale: units per second; default 1000
    :param version: 0 (default) with short numbers, 1 with long ones
    """
    width = 8 if version else 4
    times, length = bytes(2 * width), ticks.to_bytes(width, "big")
    return box(b"mvhd", bytes([version, 0, 0, 0]) + times + scale.to_bytes(4, "big") + length + bytes(80))


def film(size: int = 200, *, seconds: float = 3, seed: int = 0) -> bytes:
    """A whole MP4.

    :param size: its length in bytes, 200 at least
    :param seconds: how long it says that it plays; default 3
    :param seed: another one makes other pictures; default 0
    """
    head = box(b"ftyp", b"isom") + box(b"moov", mvhd(round(seconds * 1000)))
    return head + box(b"mdat", random.Random(seed).randbytes(size - len(head) - 8))
