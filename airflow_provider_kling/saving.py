"""Fetch, verify, publish: a finished video reaches the user's storage whole, or not at all."""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_kling import fetching, metrics
from airflow_provider_kling.api.errors import KlingError, VideoUnavailable
from airflow_provider_kling.targets import AlreadyThere

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_kling.api.models import Render
    from airflow_provider_kling.targets import Target

log = logging.getLogger(__name__)

_PREFIX, _VIDEO, _TEXT = ".kling-part-", "video.mp4.part", "text.part"
_ABANDONED = 86400.0
"""Seconds after which a folder of ours belongs to a worker that was killed: no download takes so long."""


@dataclass(frozen=True)
class Saved:
    """A published video.

    :param path: where it is
    :param size: its length in bytes
    :param sha256: hash of its bytes
    :param seconds: how long it plays, when it says so
    """

    path: str
    size: int
    sha256: str
    seconds: float | None = None


def save(
    ask: Callable[[], Render], target: Target, *, overwrite: bool = True, seconds: float | None = None
) -> tuple[Render, Saved]:
    """Fetch a finished video by a link that is asked for afresh, verify it and publish it.

    :param ask: asks the API how the render stands; called once per attempt
    :param target: where to
    :param overwrite: replace what is there; default true. The same video there already is fine either way
    :param seconds: how long it must play; default: not checked
    :raises VideoUnavailable: when it can't be fetched or published; what was under the final name is still there then
    """
    began = time.monotonic()
    try:
        with _folder(target) as folder:
            fetched = fetching.fetch(ask, folder / _VIDEO, seconds=seconds)
            written = _publish(folder / _VIDEO, target, fetched, overwrite=overwrite)
    except KlingError:
        raise
    except Exception as error:  # any store's own exception
        raise VideoUnavailable(f"{target.path} could not be written ({type(error).__name__}: {error})") from error
    if written:
        scheme = target.uri.partition("://")[0].lower()
        metrics.saved(scheme=scheme, size=fetched.size, seconds=time.monotonic() - began)
    log.info(
        "Saved render %s to %s: %s bytes, sha256 %s.", fetched.render.task_id, target.name, fetched.size, fetched.sha256
    )
    return fetched.render, Saved(target.name, fetched.size, fetched.sha256, fetched.seconds)


def publish_text(text: str, target: Target) -> None:
    """Publish a small text in the same way.

    :param text: the content
    :param target: where to
    :raises VideoUnavailable: when it can't be published
    """
    try:
        with _folder(target) as folder:
            file = folder / _TEXT
            file.write_text(text, encoding="utf-8")
            target.publish(file)
    except Exception as error:
        raise VideoUnavailable(f"{target.path} could not be written ({type(error).__name__}: {error})") from error


def _publish(file: Path, target: Target, fetched: fetching.Fetched, *, overwrite: bool) -> bool:
    """Publish it, unless the same video is there already; tells whether it was written."""
    if _is_there(target, fetched):
        log.info("The same video is at %s already.", target.name)
        return False
    began = time.monotonic()
    try:
        target.publish(file, overwrite=overwrite)
    except AlreadyThere:
        if _is_there(target, fetched):  # another attempt was quicker
            return False
        raise VideoUnavailable(
            f"{target} holds something else, which is left as it is; choose another path or set overwrite=True"
        ) from None
    if not target.local:
        log.info("Uploaded in %.1f s.", time.monotonic() - began)
    return True


def _is_there(target: Target, fetched: fetching.Fetched) -> bool:
    try:
        return target.holds(size=fetched.size, sha256=fetched.sha256)
    except Exception as error:  # noqa: BLE001  # whoever may write need not be allowed to read; each store says it so
        log.debug("Could not look whether %s is there (%s).", target.name, type(error).__name__)
        return False


@contextlib.contextmanager
def _folder(target: Target) -> Iterator[Path]:
    """A folder for what is not whole yet: beside a local target, as a rename needs the same file system."""
    parent = Path(target.local.parent if target.local else tempfile.gettempdir())
    parent.mkdir(parents=True, exist_ok=True)
    _sweep(parent)
    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=parent, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _sweep(parent: Path) -> None:
    """Remove what killed workers have left."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # another worker may do the same
            content = list(folder.iterdir())
            newest = max(path.stat().st_mtime for path in (folder, *content))
            ours = {path.name for path in content} <= {_VIDEO, _TEXT}
            if ours and time.time() - newest > _ABANDONED:
                shutil.rmtree(folder)
