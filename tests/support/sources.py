"""Where a video comes from and where it goes, without a network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from films import film

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fsspec.implementations.memory import MemoryFileSystem


@dataclass
class Store:
    """A file system in memory, which Airflow knows as s3:// and others; it can be told to fail."""

    files: MemoryFileSystem
    conn_ids: list[str | None] = field(default_factory=list)
    trouble: Exception | None = None

    def content(self) -> dict[str, bytes]:
        """All that is in it."""
        return {path: file.getvalue() for path, file in self.files.store.items()}


@dataclass
class Downloads:
    """What links give; it can be told to come otherwise."""

    film: bytes = field(default_factory=lambda: film(200))
    opened: list[str] = field(default_factory=list)
    come: Iterable[bytes] | None = None
    """The chunks that come; None: the film in two of them."""
