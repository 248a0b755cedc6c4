"""Which part of a body a request wants (RFC 9110, sections 13 and 14); pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_RANGE = re.compile(r"([0-9]{0,40})-([0-9]{0,40})")  # 40 digits are more than any file has, and quick to read
_LONGEST = 200
"""No honest header with one range is longer."""


class Unsatisfiable(Exception):
    """The range lies outside of the body: the answer is 416."""


@dataclass(frozen=True)
class Part:
    """A part of a body.

    :param start: its first byte
    :param stop: the byte after its last
    """

    start: int
    stop: int

    def content_range(self, size: int) -> str:
        """The header that says which part it is.

        :param size: of the whole body, in bytes
        """
        return f"bytes {self.start}-{self.stop - 1}/{size}"


def wanted_part(size: int, *, wanted: str | None, only_if: str | None = None, etag: str | None = None) -> Part | None:
    """Read a request's headers; None stands for the whole body.

    What is no single range of bytes counts as no range at all, which the RFC allows: several would have to be sent as
    a body of many parts, and that serves attackers rather than players.

    :param size: of the body, in bytes
    :param wanted: the header `Range`; default: none
    :param only_if: the header `If-Range`: a part is of use only while the body is still the one with this tag
    :param etag: the body's strong tag; default: it has none
    :raises Unsatisfiable: when there are no such bytes
    """
    if wanted is None or len(wanted) > _LONGEST or (only_if is not None and only_if.strip() != etag):
        return None
    unit, _, ranges = wanted.partition("=")
    found = [one.strip(" \t") for one in ranges.split(",") if one.strip(" \t")]
    match = _RANGE.fullmatch(found[0]) if len(found) == 1 and unit.strip(" \t").lower() == "bytes" else None
    if match is None or match.group() == "-":
        return None
    first, last = (int(digits) if digits else None for digits in match.groups())
    if first is None:
        start, stop = max(size - (last or 0), 0), size
    else:
        if last is not None and last < first:
            return None
        start, stop = first, size if last is None else min(last + 1, size)
    if start >= stop:
        raise Unsatisfiable
    return Part(start, stop)


def is_known(etag: str | None, *, known: str | None) -> bool:
    """Whether the asker has the body already: the answer is 304.

    :param etag: the body's tag; default: it has none
    :param known: the header `If-None-Match`; default: none
    """
    if etag is None or known is None:
        return False
    return etag in {tag.strip(" \t").removeprefix("W/") for tag in known.split(",")}
