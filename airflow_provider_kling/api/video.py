"""The download of a finished video: one signed link, no key, https only."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import httpcore
import httpx

from airflow_provider_kling.api.account import is_loopback
from airflow_provider_kling.api.downloads import Piece, range_headers, read_answer, unpacked
from airflow_provider_kling.api.environment import ssl_context
from airflow_provider_kling.api.errors import VideoUnavailable
from airflow_provider_kling.api.quiet import quiet
from airflow_provider_kling.api.watchdog import watchdog

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONNECT_TIMEOUT = 10.0
_MAX_REDIRECTS = 5
_GULP = 1 << 20
MAX_DOWNLOAD_SECONDS = 3600.0
"""A link lives no longer, so no download needs to."""


@dataclass(frozen=True)
class Download:
    """A video on its way.

    :param piece: which part of it
    :param chunks: the bytes, in pieces as they come
    """

    piece: Piece
    chunks: Iterator[bytes]


@contextlib.contextmanager
def open_video(
    url: str,
    *,
    have: int = 0,
    etag: str | None = None,
    timeout: float = 60.0,
    transport: httpx.BaseTransport | None = None,
) -> Iterator[Download]:
    """Open a signed link; no key is sent, and only https is followed (http on this machine, for the simulator).

    :param url: the link
    :param have: bytes that are here already and need not come again; default 0
    :param etag: the ETag that came with them
    :param timeout: seconds without a byte before the download is given up; default 60
    :param transport: an httpx transport to send through, for tests; default: the network
    :raises VideoUnavailable: when the file host refuses or the download breaks; messages never hold the link
    """
    # httpcore asks the socket for 64 KiB at a time, which costs as much CPU as all the rest of a download
    httpcore.HTTP11Connection.READ_NUM_BYTES = _GULP
    limits = httpx.Timeout(timeout, connect=_CONNECT_TIMEOUT)
    trust_env = not is_loopback(download_host(url))
    with (
        httpx.Client(verify=ssl_context(), transport=transport, timeout=limits, trust_env=trust_env) as http,
        quiet(),
    ):
        try:
            with watchdog(http, 2 * timeout):  # headers that drip in are no answer
                response, piece = _follow(http, url, have, etag)
            with contextlib.closing(response), watchdog(http, MAX_DOWNLOAD_SECONDS):
                coding = response.headers.get("content-encoding", "identity")
                yield Download(piece, iter(()) if piece.ends else unpacked(response.iter_raw(), coding))
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, UnicodeError, RuntimeError) as error:
            raise VideoUnavailable(f"the download broke off ({type(error).__name__})") from None


def _follow(http: httpx.Client, url: str, have: int, etag: str | None) -> tuple[httpx.Response, Piece]:
    for _ in range(_MAX_REDIRECTS + 1):
        host = download_host(url)
        response = http.send(http.build_request("GET", url, headers=range_headers(have, etag)), stream=True, auth=None)
        try:
            if piece := read_answer(response.status_code, dict(response.headers), have=have, etag=etag):
                return response, piece
        except VideoUnavailable:
            response.close()
            raise
        response.close()
        if not response.has_redirect_location:
            raise VideoUnavailable(
                f"the file host {host} answered with HTTP {response.status_code}",
                http_status=response.status_code,
            )
        before, url = url, _join(url, response.headers["location"])
        if before.lower().startswith("https:") and url.lower().startswith("http:"):  # not even to this machine
            raise VideoUnavailable(f"the file host {host} redirects from https to http: not followed")
    raise VideoUnavailable(f"the file host {host} redirects more than {_MAX_REDIRECTS} times")


def _join(url: str, location: str) -> str:
    with contextlib.suppress(ValueError):
        return urljoin(url, location)
    return location


def download_host(url: str) -> str:
    """The host of a link that may be followed."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        raise VideoUnavailable("the link to the video is no URL") from None
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise VideoUnavailable(f"the link to the video on {host!r} is not https: not followed")
    return host
