"""From a link to a whole file on this machine: breaks are gone on from, and what comes is checked.

The worker's slot is held meanwhile, so a host that gives nothing for about two minutes ends the attempt; a retry of
the task begins anew. A failure here never leads to a new render.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, TypeVar

from airflow_provider_kling.api.downloads import OtherVideo
from airflow_provider_kling.api.errors import KlingError, VideoUnavailable
from airflow_provider_kling.api.video import open_video
from airflow_provider_kling.mp4 import check_mp4

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_kling.api.models import Render
    from airflow_provider_kling.api.video import Download

log = logging.getLogger(__name__)

T = TypeVar("T")
MAX_BYTES = 8 << 30
"""More than any video of this service; an endless body ends here."""
_PAUSES = (1.0, 2.0, 4.0, 8.0, *(15.0,) * 7)
"""Seconds before each attempt after one that brought nothing."""
_PROGRESS = 64 << 10
"""Bytes that an attempt must bring to count as progress."""
_WRONG = 3
"""Downloads that come whole and are no video, until that is what the host has."""
_GRACE, _SLOWEST = 30.0, 1024.0
"""Seconds after which a connection must have brought so many bytes per second."""
_TELL_EVERY = 15.0
"""Seconds between two lines about a download under way."""
_RESERVE = 64 << 20
"""Bytes of the disk that a video never takes."""


@dataclass(frozen=True)
class Fetched:
    """A whole video on this machine.

    :param render: what the API said when the last link was asked for
    :param size: length in bytes
    :param sha256: hash of the bytes
    :param seconds: how long the video plays, when it says so
    """

    render: Render
    size: int
    sha256: str
    seconds: float | None


class Hopeless(VideoUnavailable):
    """Trying again at once would end the same way."""


def fetch(ask: Callable[[], Render], path: Path, *, seconds: float | None = None) -> Fetched:
    """Fetch a finished video by links that are asked for afresh, and check that it is whole.

    :param ask: asks the API how the render stands; called once per attempt
    :param path: file to write to, in a folder of its own
    :param seconds: how long the video must play; default: not checked
    :raises VideoUnavailable: when it can't be had now; messages never hold the link
    """
    part, link = _Part(path), _Link(ask)

    def attempt() -> Fetched:
        render = link.fresh()
        try:
            part.draw(str(render.video_url))
        except OtherVideo:
            part.restart()
            raise
        except VideoUnavailable as error:
            link.broke(error)
            raise
        return Fetched(render, part.size, part.hash(), part.check(seconds))

    began = time.monotonic()
    fetched = patiently(attempt, progress=lambda: part.reached)
    took = time.monotonic() - began
    log.info("Fetched %s in %.1f s (%s/s).", _bytes(part.size), took, _bytes(part.size / max(took, 1e-3)))
    return fetched


def ask_for_link(ask: Callable[[], Render]) -> Render:
    """Ask for a fresh link, patiently: the API may be busy, or not have it yet.

    :param ask: asks the API how the render stands
    :raises VideoUnavailable: when there is none
    """
    return patiently(_Link(ask).fresh)


def patiently(attempt: Callable[[], T], *, progress: Callable[[], int] = lambda: 0) -> T:
    """Try until it comes off, or too many attempts in a row brought nothing.

    :param attempt: what to try
    :param progress: how far it has come, in bytes; default: it never gets anywhere without being done
    :raises VideoUnavailable: the last failure
    """
    vain = 0
    while True:
        before = progress()
        try:
            return attempt()
        except Hopeless:
            raise
        except KlingError as error:
            vain = 0 if progress() - before >= _PROGRESS else vain + 1
            if vain > len(_PAUSES):
                _give_up(error)
            pause = _PAUSES[max(vain - 1, 0)]
            log.warning("%s; trying again in %.0f s.", error.message.rstrip("."), pause)
        time.sleep(pause)


def _give_up(error: KlingError) -> NoReturn:
    if isinstance(error, VideoUnavailable):
        raise error
    raise VideoUnavailable(error.message, reason=error.reason, http_status=error.http_status) from None


class _Link:
    """The link to a video, asked for afresh at each attempt while the API answers."""

    def __init__(self, ask: Callable[[], Render]) -> None:
        self._ask = ask
        self._last: Render | None = None

    def fresh(self) -> Render:
        try:
            render = self._ask()
            if not render.video_url:
                raise VideoUnavailable(f"the API gives no link to the video (status {render.raw_status})")
        except KlingError as error:
            if self._last is None:
                raise
            log.warning("%s; going on with the link from before.", error.message.rstrip("."))
            return self._last
        self._last = render
        return render

    def broke(self, error: VideoUnavailable) -> None:
        if error.http_status:  # refused: it has expired, or never was good
            self._last = None


class _Part:
    """What is here of a video."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.reached = 0
        """How far it ever came."""
        self.rejected = 0
        """How often it was whole and wrong."""
        self._total: int | None = None
        self._most, self._why = 0, ""
        self.restart()

    def restart(self) -> None:
        self.size = 0
        self._etag: str | None = None
        self._sha256 = hashlib.sha256()

    def hash(self) -> str:
        return self._sha256.hexdigest()

    def draw(self, url: str) -> None:
        """Fetch what is missing; what has come stays here when it breaks."""
        try:
            with open_video(url, have=self.size, etag=self._etag) as video:
                if not video.piece.start:
                    self.restart()
                elif self.size:
                    log.info("Going on at byte %s.", f"{self.size:,}")
                self._etag = video.piece.etag
                if self.size and self._total is not None and video.piece.total not in {None, self._total}:
                    raise OtherVideo(f"the file host announced {self._total} bytes, and now {video.piece.total}")
                if video.piece.total is not None or not self.size:  # a part need not tell what is known
                    self._total = video.piece.total
                self._check_room()
                with self._path.open("r+b" if self.size else "wb") as file:
                    file.seek(self.size)
                    self._take(video, file.write)
        except OSError as error:
            raise Hopeless(f"the video could not be kept in {self._path.parent.parent} ({error.strerror})") from error
        if self._total is not None and self.size != self._total:
            raise VideoUnavailable(f"the video is {self.size} bytes long, {self._total} were announced")

    def check(self, seconds: float | None) -> float | None:
        """Check the file, and return how long it plays."""
        try:
            plays = check_mp4(self._path)
        except ValueError as error:
            self.rejected += 1
            kind = VideoUnavailable if self.rejected < _WRONG else Hopeless
            told = f"what was downloaded ({self.size} bytes) is no whole MP4: {error}"
            self.restart()
            raise kind(told) from None
        if seconds is not None and plays is not None and abs(plays - seconds) > 1:
            raise Hopeless(f"the video plays for {plays:.1f} s, {seconds:g} s were expected")
        return plays

    def _check_room(self) -> None:
        """Set how much may come, and fail at once when more was announced."""
        room = max(0, shutil.disk_usage(self._path.parent).free - _RESERVE + self.size)
        self._most, self._why = MAX_BYTES, "that is no clip"
        if room < MAX_BYTES:
            self._most, self._why = room, f"only {_bytes(room)} are free in {self._path.parent.parent}"
        if self._total is not None and self._total > self._most:
            raise Hopeless(f"the video is {_bytes(self._total)} long, {self._why}")

    def _check_size(self, size: int) -> None:
        if self._total is not None and size > self._total:
            raise OtherVideo(f"the file host sent more than the {self._total} bytes that were announced")
        if size > self._most:
            raise Hopeless(f"the file host sent more than {self._most} bytes, {self._why}")

    def _take(self, video: Download, write: Callable[[bytes], int]) -> None:
        began = told = time.monotonic()
        start = self.size
        hashed: Future[None] = Future()
        hashed.set_result(None)
        with ThreadPoolExecutor(1) as hasher:  # hashing takes as long as receiving, so it goes beside it
            for chunk in video.chunks:
                now = time.monotonic()
                self._check_size(self.size + len(chunk))
                write(chunk)
                hashed.result()
                hashed = hasher.submit(self._sha256.update, chunk)
                self.size += len(chunk)
                self.reached = max(self.reached, self.size)
                if now - began > _GRACE and self.size - start < (now - began) * _SLOWEST:
                    raise VideoUnavailable(f"the file host sent {self.size - start} bytes in {now - began:.0f} s")
                if now - told > _TELL_EVERY:
                    told = now
                    of = f" of {_bytes(self._total)}" if self._total else ""
                    log.info(
                        "Fetching: %s%s, %s/s.", _bytes(self.size), of, _bytes((self.size - start) / (now - began))
                    )


def _bytes(count: float) -> str:
    """A number of bytes for people."""
    if count >= 1e9:
        return f"{count / 1e9:.2f} GB"
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"
