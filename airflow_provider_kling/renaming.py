"""A file of this machine gets its final name in one step."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def move(file: Path, to: Path, *, overwrite: bool) -> None:
    """Give a file its final name; a reader sees all of it, or what was there before.

    :param file: in the same file system
    :param to: its final name
    :param overwrite: replace what is there
    :raises FileExistsError: when something is there that must not be replaced
    """
    _sync(file)  # a name must not outlive its bytes when the machine fails
    if not overwrite:
        try:
            os.link(file, to)  # unlike a rename it never replaces
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            with _locked(to.parent):
                if os.path.lexists(to):
                    raise FileExistsError(to) from None
                file.replace(to)
    else:
        file.replace(to)
    with contextlib.suppress(PermissionError):  # a folder may be writable and not readable; the file is there
        _sync(to.parent)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems can't
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        if path.is_file():  # not every file system can sync a folder
            raise
    finally:
        os.close(handle)
