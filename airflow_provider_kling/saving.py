"""Fetch, verify, publish: a finished video reaches the user's storage whole, or not at all.

The bytes go to a local temporary file first, are checked there, and are then published in one step: a rename for
local paths, one completed upload for object storage. (Writing straight into an opened remote file would publish a
torn object when it breaks, because closing such a stream completes the upload.)
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_kling.api.client import open_video
from airflow_provider_kling.api.errors import KlingError, VideoUnavailable
from airflow_provider_kling.mp4 import check_mp4

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import ObjectStoragePath

    from airflow_provider_kling.api.models import Render

log = logging.getLogger(__name__)

_PAUSES = (1.0, 3.0, 9.0)
"""Seconds between the attempts to fetch one video."""
T = TypeVar("T")
MAX_BYTES = 8 << 30
"""More than any video of this service; an endless body ends here."""
_GRACE, _SLOWEST = 30.0, 1024.0
"""Seconds after which a download must have come at so many bytes per second."""
_READ_ONLY = {"http", "https", "data"}
_PACKAGES = {
    "s3": "'apache-airflow-providers-amazon[s3fs]'",
    "gs": "apache-airflow-providers-google",
    "abfs": "apache-airflow-providers-microsoft-azure",
    "abfss": "apache-airflow-providers-microsoft-azure",
}


@dataclass(frozen=True)
class Saved:
    """A published video.

    :param path: where it is
    :param size: its length in bytes
    :param sha256: hash of its bytes
    """

    path: str
    size: int
    sha256: str


class InvalidPath(ValueError):
    """A path to save to that can't work; the message says what to change."""


def check_path(path: str) -> None:
    """Check what can be known of a target without touching it: used when the DAG is parsed.

    :param path: local path or object-storage URL
    :raises InvalidPath: blank, a folder, or a scheme that nothing can write to
    """
    if not isinstance(path, str) or not path.strip():
        raise InvalidPath(f"save_to={path!r}: must be a local path or a URL such as s3://bucket/video.mp4")
    if path != path.strip() or "\0" in path:
        raise InvalidPath(
            f"save_to={path!r}: has blanks, a line break or a zero byte at its ends or in it; remove them"
        )
    if path.endswith(("/", "\\")):
        raise InvalidPath(f"save_to={path!r}: is a folder; name the file, such as {path}video.mp4")
    scheme = _scheme(path)
    if scheme in _READ_ONLY:
        raise InvalidPath(f"save_to={path!r}: {scheme} can't be written to; use a local path, s3://, gs:// or abfs://")
    if scheme and scheme != "file" and not _is_known(scheme):
        raise InvalidPath(
            f"save_to={path!r}: unknown scheme {scheme!r}; use a local path, file://, s3://, gs:// or abfs://"
        )


def check_target(path: str, *, conn_id: str | None = None) -> None:
    """Check, before money is spent, that a target can be opened on this machine.

    :param path: local path or object-storage URL
    :param conn_id: Airflow connection of the storage; default: none
    :raises InvalidPath: when it can't, with what to install or to change
    """
    check_path(path)
    if local := _local(path):
        try:
            local.parent.mkdir(parents=True, exist_ok=True)
            is_folder = local.is_dir()
        except OSError as error:
            raise InvalidPath(f"save_to={path!r}: its folder can't be made or used ({error.strerror})") from None
        if is_folder or not os.access(local.parent, os.W_OK):
            raise InvalidPath(f"save_to={path!r}: {'is a folder' if is_folder else 'its folder is not writable'}")
        return
    try:
        _ = _remote(path, conn_id).fs
    except (ImportError, ValueError) as error:
        package = _PACKAGES.get(_scheme(path))
        fix = f"pip install {package}" if package else "install the Airflow provider that serves it, or use another"
        raise InvalidPath(
            f"save_to={path!r}: this worker has no package for {_scheme(path)}:// ({error}); {fix}"
        ) from None
    except Exception as error:
        raise InvalidPath(f"save_to={path!r}: can't be opened ({type(error).__name__}: {error})") from error


def deliver(ask: Callable[[], Render], path: str | None, *, conn_id: str | None = None) -> tuple[Render, Saved | None]:
    """Fetch a finished video by a link that is asked for afresh, verify it and publish it.

    :param ask: asks the API how the render stands; called once per attempt
    :param path: local path or object-storage URL (an object that is already there is replaced); None: only the link
    :param conn_id: Airflow connection of the storage; default: none
    :raises VideoUnavailable: when it can't be fetched or published; nothing is left under the final name then
    """
    if path is None:
        return _with_patience(lambda: _ask_for_link(ask)), None
    local = _local(path)
    try:
        if local:
            local.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".kling-", dir=local.parent if local else None) as folder:
            part = Path(folder) / "video.mp4"
            render, sha256 = _with_patience(lambda: _fetch(_ask_for_link(ask), part))
            size = part.stat().st_size
            if local:
                part.replace(local)
            else:
                _upload(part, _remote(path, conn_id))
    except KlingError:
        raise
    except Exception as error:  # any store's own exception
        raise VideoUnavailable(f"{path} could not be written ({type(error).__name__}: {error})") from error
    return render, Saved(path=str(local) if local else path, size=size, sha256=sha256)


def is_saved(saved_to: str | None, path: str) -> bool:
    """Whether a path is where a video was saved before; a local one must still be there.

    :param saved_to: what the manifest says
    :param path: the path to save to now
    """
    local = _local(path)
    return saved_to == path if local is None else saved_to == str(local) and local.is_file()


def _with_patience(attempt: Callable[[], T]) -> T:
    """Try a few times: a question or a download that breaks is tried again, a render is never bought again."""
    for pause in _PAUSES:
        try:
            return attempt()
        except KlingError as error:
            log.warning("%s; trying again in %.0f s with a fresh link.", error.message.rstrip("."), pause)
            time.sleep(pause)
    try:
        return attempt()
    except VideoUnavailable:
        raise
    except KlingError as error:
        raise VideoUnavailable(error.message, reason=error.reason, http_status=error.http_status) from None


def _ask_for_link(ask: Callable[[], Render]) -> Render:
    render = ask()
    if not render.video_url:
        raise VideoUnavailable(f"the API gives no link to the video (status {render.raw_status})")
    return render


def _fetch(render: Render, part: Path) -> tuple[Render, str]:
    sha256 = hashlib.sha256()
    size = 0
    try:
        with open_video(str(render.video_url)) as video, part.open("wb") as file:
            limit = MAX_BYTES if video.length is None else video.length
            began = time.monotonic()
            for chunk in video.chunks:
                file.write(chunk)
                sha256.update(chunk)
                size += len(chunk)
                _check_progress(size, limit, time.monotonic() - began)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise VideoUnavailable(f"the video could not be kept in {part.parent.parent} ({error.strerror})") from error
    if video.length is not None and size != video.length:
        raise VideoUnavailable(f"the video is {size} bytes long, {video.length} were announced")
    try:
        check_mp4(part)
    except ValueError as error:
        raise VideoUnavailable(f"what was downloaded ({size} bytes) is no whole MP4: {error}") from None
    return render, sha256.hexdigest()


def _check_progress(size: int, limit: int, seconds: float) -> None:
    if size > limit:
        raise VideoUnavailable(f"the file host sent more than {limit} bytes")
    if seconds > _GRACE and size < seconds * _SLOWEST:
        raise VideoUnavailable(f"the file host sent {size} bytes in {seconds:.0f} s, which is no download")


def _upload(part: Path, target: ObjectStoragePath) -> None:
    """One upload that the store makes visible when it is complete."""
    target.fs.put_file(str(part), target.path)
    size, found = part.stat().st_size, target.fs.info(target.path).get("size")
    if found != size:
        with contextlib.suppress(Exception):  # whatever a store raises; the torn object is told of all the same
            target.fs.rm_file(target.path)
        raise VideoUnavailable(f"{target} holds {found} bytes after the upload, {size} were sent")


def _scheme(path: str) -> str:
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]+)://", path)
    return match.group(1).lower() if match else ""


def _local(path: str) -> Path | None:
    scheme = _scheme(path)
    if scheme not in {"", "file"}:
        return None
    try:
        return Path(path[len("file://") :] if scheme else path).expanduser().absolute()
    except RuntimeError:
        raise InvalidPath(f"save_to={path!r}: nobody has this home folder; write the path out") from None


def _remote(path: str, conn_id: str | None) -> ObjectStoragePath:
    from airflow.sdk import ObjectStoragePath

    return ObjectStoragePath(path, conn_id=conn_id)


def _is_known(scheme: str) -> bool:
    from fsspec.registry import known_implementations

    if scheme in known_implementations:
        return True
    from airflow.sdk.io.fs import has_fs  # loads all providers, so it is asked last

    return has_fs(scheme)
