"""A saved video, opened for reading in parts; through its root only, and only if it looks like an MP4.

Everything here blocks, and none of it lets a store's own exception out: such texts hold addresses and keys.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections import OrderedDict
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from typing import BinaryIO

    from airflow_provider_kling.plugins.roots import Root

_BEGINNING = 12
_PATIENCE = 20.0
"""Seconds for one question to a store."""
_NO_FILE = {errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO, errno.ENAMETOOLONG, errno.EINVAL}
_AS_IT_IS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # a pipe would be waited for
_MARKS = ("ETag", "etag", "generation", "mtime", "LastModified", "last_modified", "updated", "created")
"""What file systems tell of an object that changes whenever its content does."""
_MOST_SEEN = 1024
_films_seen: OrderedDict[tuple[Root, str, str | None], None] = OrderedDict()
"""States of stored objects that are known to look like an MP4, oldest first."""


class NoFilm(Exception):
    """What is there may not be shown: no MP4, no file, or outside of the root."""


class Gone(Exception):
    """There is nothing."""


class StoreTrouble(Exception):
    """It can't be read now; the text names the kind of trouble and no more."""


class Film(Protocol):
    """A video that is open.

    :param size: in bytes
    :param etag: a strong tag, in quotes; None when the store tells nothing to make one of
    """

    @property
    def size(self) -> int: ...  # noqa: D102

    @property
    def etag(self) -> str | None: ...  # noqa: D102

    def read(self, start: int, stop: int) -> bytes:
        """All bytes of a part.

        :param start: its first byte
        :param stop: the byte after its last
        :raises StoreTrouble: when they can't be had
        """

    def close(self) -> None:
        """Let go of it."""


def open_film(root: Root, rest: str) -> Film:
    """Open a video.

    :param root: the folder that it lies below
    :param rest: its path from there
    :raises Gone: when there is nothing
    :raises NoFilm: when it is nothing to show
    :raises StoreTrouble: when that can't be told now
    """
    try:
        return _open_local(root, rest) if root.scheme == "file" else _open_stored(root, rest)
    except (NoFilm, StoreTrouble):
        raise
    except FileNotFoundError:
        raise Gone from None
    except Exception as error:  # noqa: BLE001  # any store's own, and Airflow's where a connection is missing
        if isinstance(error, OSError) and error.errno in _NO_FILE:
            raise NoFilm from None
        raise StoreTrouble(type(error).__name__) from None


class _LocalFilm:
    def __init__(self, file: BinaryIO) -> None:
        found = os.fstat(file.fileno())
        self._file = file
        self.size: int = found.st_size
        self.etag: str | None = _tag(found.st_ino, found.st_mtime_ns, found.st_size)

    def read(self, start: int, stop: int) -> bytes:
        try:
            return _whole(os.pread(self._file.fileno(), stop - start, start), stop - start)
        except OSError as error:
            raise StoreTrouble(type(error).__name__) from None

    def close(self) -> None:
        self._file.close()


class _StoredFilm:
    """Asks for each part anew: nothing is held open while a player pauses, nothing is read ahead for nobody."""

    def __init__(self, files: Any, path: str) -> None:
        from fsspec.asyn import AsyncFileSystem

        self._files, self._path = files, path
        self._options = {"timeout": _PATIENCE} if isinstance(files, AsyncFileSystem) else {}
        files.invalidate_cache(path)
        found = files.info(path, **self._options)
        if found.get("type") != "file":
            raise NoFilm
        self.size: int = int(found["size"])
        marks = [str(found[mark]) for mark in _MARKS if found.get(mark)]
        self.etag: str | None = _tag(*marks, self.size) if marks else None

    def read(self, start: int, stop: int) -> bytes:
        try:
            content: bytes = self._files.cat_file(self._path, start=start, end=stop, **self._options)
        except Exception as error:  # noqa: BLE001  # any store's own
            raise StoreTrouble(type(error).__name__) from None
        return _whole(content, stop - start)

    def close(self) -> None:
        """Nothing is open."""


def _open_local(root: Root, rest: str) -> Film:
    home = os.path.realpath(root.folder)
    real = os.path.realpath(os.path.join(home, rest))
    if home == os.sep or os.path.commonpath([home, real]) != home:
        raise NoFilm
    with contextlib.ExitStack() as stack:
        film = _LocalFilm(stack.enter_context(_descend(home, os.path.relpath(real, home).split(os.sep))))
        _check(film)
        stack.pop_all()
    return film


def _descend(home: str, names: list[str]) -> BinaryIO:
    """Open a file folder by folder and follow no link: one that was put there a moment ago leads nowhere."""
    folder = os.open(home, _AS_IT_IS | os.O_DIRECTORY)
    try:
        for name in names[:-1]:
            inner = os.open(name, _AS_IT_IS | os.O_DIRECTORY, dir_fd=folder)
            os.close(folder)
            folder = inner
        file = os.open(names[-1], _AS_IT_IS, dir_fd=folder)
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise NoFilm
    return os.fdopen(file, "rb", buffering=0)


def _open_stored(root: Root, rest: str) -> Film:
    from airflow.sdk import ObjectStoragePath

    files = _files(root)
    path = ObjectStoragePath(root.url(rest)).path  # it names objects for this file system as it did when one was saved
    names = (*root.path, *rest.split("/"))
    if tuple(path.lstrip("/").split("/")) not in {names, (root.bucket, *names)}:
        raise NoFilm
    film = _StoredFilm(files, path)
    seen = (root, rest, film.etag)
    if film.etag is None or seen not in _films_seen:
        _check(film)
        _films_seen[seen] = None
        if len(_films_seen) > _MOST_SEEN:
            _films_seen.popitem(last=False)
    return film


def _files(root: Root) -> Any:
    """The file system of a root; a connection that has been changed or removed counts at once."""
    if root.conn_id is None:
        return _attach(root.scheme, None, "")
    from airflow.sdk import BaseHook

    connection = BaseHook.get_connection(root.conn_id)  # some providers fall back on the machine's own rights without
    return _attach(root.scheme, root.conn_id, hashlib.sha256(connection.get_uri().encode()).hexdigest())


@lru_cache(maxsize=32)
def _attach(scheme: str, conn_id: str | None, _: str) -> Any:
    from airflow.sdk.io import get_fs

    return get_fs(scheme, conn_id)


def _check(film: Film) -> None:
    if film.size < _BEGINNING or film.read(0, _BEGINNING)[4:8] != b"ftyp":
        raise NoFilm


def _whole(content: bytes, length: int) -> bytes:
    if len(content) != length:
        raise StoreTrouble("it is shorter than it was")
    return content


def _tag(*marks: object) -> str:
    return f'"{hashlib.sha256(repr(marks).encode()).hexdigest()[:32]}"'
