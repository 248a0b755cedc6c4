"""Where a video goes: what can be said of a target before money is spent, and how a file gets there whole.

A file is published in one step: a rename for local paths, one upload that the store completes for object storage,
an upload beside it and a rename for any other file system. (Writing into an opened remote file would publish a torn
object when it breaks, because closing such a stream completes the upload.)
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import logging
import os
import re
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_kling._compat import AirflowNotFoundException
from airflow_provider_kling.renaming import move

if TYPE_CHECKING:
    from typing import BinaryIO

    from airflow.sdk import ObjectStoragePath

log = logging.getLogger(__name__)

_READ_ONLY = {"http", "https", "data"}
_PACKAGES = {
    "s3": "'apache-airflow-providers-amazon[s3fs]'",
    "gs": "apache-airflow-providers-google",
    "abfs": "apache-airflow-providers-microsoft-azure",
    "abfss": "apache-airflow-providers-microsoft-azure",
}
_CHATTY = ("azure.core.pipeline.policies.http_logging_policy",)
"""Loggers that fill the task's log with a page of headers per request at INFO."""
_UPLOAD_SECONDS = 3600.0
"""A store that falls silent would be waited for without end."""
_CHUNK = 8 << 20
_S3: dict[str, Any] = {"chunksize": _CHUNK, "max_concurrency": 2}
_GS: dict[str, Any] = {"chunksize": _CHUNK}
_AZURE: dict[str, Any] = {"overwrite": True, "max_concurrency": 1}  # by default it holds the whole file in memory
_COMPLETES_UPLOADS: dict[str, dict[str, Any]] = {
    "s3": _S3,
    "s3a": _S3,
    "gs": _GS,
    "gcs": _GS,
    "abfs": _AZURE,
    "abfss": _AZURE,
}
"""Stores that show an object once its upload is complete, and what keeps their uploads small in memory."""


class InvalidPath(ValueError):
    """A path to save to that can't work; the message says what to change."""


class AlreadyThere(Exception):
    """Something else is at the target, and it must not be replaced."""


@dataclass(frozen=True)
class Target:
    """A place for one file.

    :param path: local path or object-storage URL
    :param conn_id: Airflow connection of the storage; default: none
    :param field: the argument that it came in, for messages; default `save_to`
    """

    path: str
    conn_id: str | None = None
    field: str = "save_to"

    @property
    def local(self) -> Path | None:
        """The path on this machine, when it is on this machine."""
        scheme = _scheme(self.path)
        if scheme not in {"", "file"}:
            return None
        try:
            return Path(self.path[len("file://") :] if scheme else self.path).expanduser().absolute()
        except RuntimeError:
            raise InvalidPath(f"{self}: nobody has this home folder; write the path out") from None

    @property
    def name(self) -> str:
        """How a manifest names it: an absolute path, or the URL as it was given."""
        return str(self.local or self.path)

    @property
    def uri(self) -> str:
        """How an asset names it."""
        uri = f"file://{self.local}" if self.local else self.path
        return uri.replace("#", "%23").replace("?", "%3F")  # all else would be cut off

    def beside(self, suffix: str) -> Target:
        """The file of the same name with something more at its end.

        :param suffix: what to add
        """
        return Target(self.path + suffix, self.conn_id, self.field)

    def size(self) -> int | None:
        """Length in bytes of what is there now; None when nothing is."""
        if self.local:
            return self.local.stat().st_size if self.local.is_file() else None
        store = self._remote()
        store.fs.invalidate_cache()
        try:
            found = store.fs.info(store.path)
        except FileNotFoundError:
            return None
        return int(found["size"]) if found.get("type") == "file" else None

    def holds(self, *, size: int | None, sha256: str | None) -> bool:
        """Whether a file is there already, by its size and hash; reads it only when the size is right.

        :param size: in bytes
        :param sha256: of its bytes
        """
        if not size or self.size() != size:
            return False
        digest = hashlib.sha256()
        with self._open() as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
        return digest.hexdigest() == sha256

    def check(self) -> None:
        """Check, before money is spent, that it can be opened on this machine.

        :raises InvalidPath: when it can't, with what to install or to change
        """
        check_path(self.path, field=self.field)
        if self.local:
            self._check_folder(self.local)
            return
        self._check_connection()
        try:
            store = self._remote()
            _ = store.fs
        except (ImportError, ValueError) as error:
            package = _PACKAGES.get(_scheme(self.path))
            fix = f"pip install {package}" if package else "install the Airflow provider that serves it, or use another"
            raise InvalidPath(
                f"{self}: this worker has no package for {_scheme(self.path)}:// ({error}); {fix}"
            ) from None
        except Exception as error:
            raise InvalidPath(f"{self}: can't be opened ({type(error).__name__}: {error})") from error
        if _scheme(self.path) in _COMPLETES_UPLOADS:
            if not store.path.strip("/").partition("/")[2]:
                raise InvalidPath(f"{self}: names a bucket only; add the object's name")
            self._check_bucket(store)

    def publish(self, file: Path, *, overwrite: bool = True) -> None:
        """Move a file there in one step: a reader sees all of it, or what was there before.

        :param file: on this machine, for a local target in the same file system; it is gone or left as it is
        :param overwrite: replace what is there; default true
        :raises AlreadyThere: when something is there that must not be replaced
        """
        if not overwrite and self.size() is not None:
            raise AlreadyThere
        if self.local:
            try:
                move(file, self.local, overwrite=overwrite)
            except FileExistsError:
                raise AlreadyThere from None
        else:
            self._upload(file, overwrite=overwrite)

    def _upload(self, file: Path, *, overwrite: bool) -> None:
        target = self._remote()
        options = _COMPLETES_UPLOADS.get(_scheme(self.path))
        if options is not None:
            options = {**options, **({} if overwrite else _refusing(target, options)), "timeout": _UPLOAD_SECONDS}
            try:
                target.fs.put_file(str(file), target.path, **options)
            except FileExistsError:
                raise AlreadyThere from None
            _check_size(target, target.path, file, borne=Exception)  # each store has its own way to say 403
            return
        folder, _, name = target.path.rpartition("/")
        staged = f"{folder}/.{name}.{uuid.uuid4().hex[:8]}.part"
        try:
            with contextlib.suppress(NotImplementedError):
                target.fs.makedirs(folder, exist_ok=True)
            target.fs.put_file(str(file), staged)
            _check_size(target, staged, file)
            target.fs.mv(staged, target.path)
        except BaseException:
            with contextlib.suppress(Exception):  # it may not even be there
                target.fs.rm_file(staged)
            raise

    def _check_connection(self) -> None:
        """Some providers fall back on what they find on the machine when a connection is missing."""
        if self.conn_id is None:
            return
        from airflow.sdk import BaseHook

        try:
            BaseHook.get_connection(self.conn_id)
        except AirflowNotFoundException:
            raise InvalidPath(
                f"storage_conn_id={self.conn_id!r}: there is no such Airflow connection; create it or correct its name"
            ) from None

    def _check_bucket(self, store: ObjectStoragePath) -> None:
        """What is certainly wrong stops the purchase; a store that does not answer now may do so later."""
        bucket = store.path.lstrip("/").partition("/")[0]
        try:
            store.fs.info(bucket)
        except FileNotFoundError:
            raise InvalidPath(
                f"{self}: there is no bucket or container {bucket!r}; create it or correct the URL"
            ) from None
        except Exception as error:  # noqa: BLE001  # any store's own; whoever may write need not be allowed to look
            log.warning("Could not look whether %s is there (%s); going on.", bucket, type(error).__name__)

    def _check_folder(self, local: Path) -> None:
        try:
            local.parent.mkdir(parents=True, exist_ok=True)
            is_folder = local.is_dir()
        except OSError as error:
            raise InvalidPath(f"{self}: its folder can't be made or used ({error.strerror})") from None
        if local.exists() and not is_folder and not local.is_file():
            raise InvalidPath(f"{self}: is a device, pipe or socket, which a video would replace")
        if is_folder or not os.access(local.parent, os.W_OK):
            raise InvalidPath(f"{self}: {'is a folder' if is_folder else 'its folder is not writable'}")

    def _open(self) -> BinaryIO:
        return self.local.open("rb") if self.local else self._remote().open("rb", block_size=_CHUNK)

    def _remote(self) -> ObjectStoragePath:
        from airflow.sdk import ObjectStoragePath

        for name in _CHATTY:
            if not (chatty := logging.getLogger(name)).level:  # left alone when the user has set one
                chatty.setLevel(logging.WARNING)
        self._check_connection()
        scheme = _scheme(self.path)  # in lower case: older releases of universal-pathlib know no other
        return ObjectStoragePath(scheme + self.path[len(scheme) :], conn_id=self.conn_id)

    def __str__(self) -> str:
        return f"{self.field}={self.path!r}"


def check_path(path: str, *, field: str = "save_to") -> None:
    """Check what can be known of a target without touching it: used when the DAG is parsed.

    :param path: local path or object-storage URL
    :param field: the argument that it came in; default `save_to`
    :raises InvalidPath: blank, a folder, or a scheme that nothing can write to
    """
    told = f"{field}={path!r}"
    if not isinstance(path, str) or not path.strip():
        raise InvalidPath(f"{told}: must be a local path or a URL such as s3://bucket/video.mp4")
    if path != path.strip() or "\0" in path:
        raise InvalidPath(f"{told}: has blanks, a line break or a zero byte at its ends or in it; remove them")
    if path.endswith(("/", "\\")):
        raise InvalidPath(f"{told}: is a folder; name the file, such as {path}video.mp4")
    scheme = _scheme(path)
    if scheme == "file" and path[7:8] not in {"/", "~"}:
        raise InvalidPath(f"{told}: names a host; write file:///folder/video.mp4 or a plain path")
    if not scheme and re.match(r"[A-Za-z][A-Za-z0-9+.-]+:{1,2}[/A-Za-z]", path):
        raise InvalidPath(f"{told}: looks like a URL, but has no ://")
    if re.match(r"[^/]*://[^/@]*:[^/@]*@", path):
        raise InvalidPath(f"{field}: has a password in its URL; put it into the Airflow connection of storage_conn_id")
    if scheme in _READ_ONLY:
        raise InvalidPath(f"{told}: {scheme} can't be written to; use a local path, s3://, gs:// or abfs://")
    if scheme and scheme != "file" and not _is_known(scheme):
        raise InvalidPath(f"{told}: unknown scheme {scheme!r}; use a local path, file://, s3://, gs:// or abfs://")


def _refusing(target: ObjectStoragePath, options: dict[str, Any]) -> dict[str, Any]:
    """What makes the store itself refuse to replace an object: a look beforehand is old when the upload is done."""
    if "overwrite" in options:
        return {"overwrite": False}
    known = inspect.signature(getattr(target.fs, "_put_file", target.fs.put_file)).parameters
    return {"mode": "create"} if "mode" in known else {}  # older releases of s3fs and gcsfs can't


def _check_size(target: ObjectStoragePath, path: str, file: Path, *, borne: type[Exception] = PermissionError) -> None:
    """Compare what is there with what was sent; whoever may write need not be allowed to look."""
    target.fs.invalidate_cache()
    try:
        size, found = file.stat().st_size, target.fs.info(path).get("size")
    except FileNotFoundError:
        raise
    except borne as error:
        log.warning("Could not look at %s after the upload (%s).", path, type(error).__name__)
        return
    if found != size:
        raise OSError(f"it holds {found} bytes after the upload, {size} were sent; does another task write there too?")


def _scheme(path: str) -> str:
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]+)://", path)
    return match.group(1).lower() if match else ""


def _is_known(scheme: str) -> bool:
    from fsspec.registry import known_implementations

    if scheme in known_implementations:
        return True
    from airflow.sdk.io.fs import has_fs  # loads all providers, so it is asked last

    return has_fs(scheme)
