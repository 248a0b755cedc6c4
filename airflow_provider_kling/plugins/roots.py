"""Which saved videos may be played: those below a folder that an administrator has named in `[kling] preview_roots`.

Where a video was saved is told by an XCom, which whoever writes a DAG can forge. So nothing in such an address is
believed: it is compared with the roots, name by name, and what is opened later is made from the root.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterable

log = logging.getLogger(__name__)

_ADDRESS = re.compile(r"(?:([A-Za-z][A-Za-z0-9+.-]*)://([^/]*))?((?:/.*)?)", re.DOTALL)
_HOST = re.compile(r"[A-Za-z0-9._:$-]*")
_LONGEST = 4096
_UNQUOTES = 4
"""More layers of percent-encoding than this are an attack."""
_FORBIDDEN = frozenset("/\\\N{REPLACEMENT CHARACTER}")
_OF_BUCKETS = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl"}
"""Schemes whose first name is a bucket; elsewhere it is a machine, and a whole machine is no folder of videos."""
_OF_AZURE = {"abfs", "abfss", "az", "adl"}
_UNFIT = {"http", "https", "data", "javascript", "local"}


@dataclass(frozen=True)
class Root:
    """A folder whose videos may be played.

    :param scheme: in lower case; `file` for this machine
    :param bucket: bucket, container or host; empty for this machine
    :param path: the names of the folders that lead to it
    :param conn_id: Airflow connection to read it with; default: none
    """

    scheme: str
    bucket: str
    path: tuple[str, ...]
    conn_id: str | None = None

    @property
    def folder(self) -> str:
        """Its path, with a slash at its beginning."""
        return "/" + "/".join(self.path)

    def url(self, rest: str) -> str:
        """The address of something below it, without a connection.

        :param rest: what :func:`find` found
        """
        return f"{self.scheme}://{self.bucket}{self.folder.rstrip('/')}/{rest}"


def read_roots() -> tuple[Root, ...]:
    """The roots in Airflow's configuration; entries that can't be used are logged once and left out."""
    from airflow.configuration import conf

    return parse_roots(conf.get("kling", "preview_roots", fallback="") or "")


@lru_cache(maxsize=8)  # it is asked with every request, and should complain only once
def parse_roots(text: str) -> tuple[Root, ...]:
    """Read a list of roots.

    :param text: URLs as `ObjectStoragePath` takes them or absolute paths, divided by commas or line breaks
    """
    roots = []
    for entry in filter(None, (entry.strip() for entry in re.split(r"[,\n]", text))):
        try:
            roots.append(_read(entry))
        except ValueError as error:
            without_secrets = re.sub(r"//[^/]*@", "//...@", entry)
            log.warning("[kling] preview_roots: %r is not used: it %s.", without_secrets, error)
    return tuple(roots)


def previewable(saved_to: object, roots: Iterable[Root]) -> bool:
    """Whether what was saved lies below one of the roots.

    :param saved_to: the address, as a card tells it
    :param roots: what :func:`read_roots` gave
    """
    return find(saved_to, roots) is not None


def find(saved_to: object, roots: Iterable[Root]) -> tuple[Root, str] | None:
    """The root that something lies below, the nearest one if there are several, and its path from there.

    :param saved_to: the address, as a card tells it: an absolute path or a URL. Its user part is never used
    :param roots: what :func:`read_roots` gave
    """
    address = _split(saved_to)
    if address is None:
        return None
    scheme, _, bucket, path = address
    above = [
        root
        for root in roots
        if (root.scheme, root.bucket) == (scheme, bucket) and root.path == path[: len(root.path)] != path
    ]
    if not above:
        return None
    nearest = max(above, key=lambda root: len(root.path))
    return nearest, "/".join(path[len(nearest.path) :])


class _Address(NamedTuple):
    scheme: str
    user: str
    bucket: str
    path: tuple[str, ...]


def _read(entry: str) -> Root:
    address = _split(entry.rstrip("/"))
    if not entry.removeprefix("file://").strip("/"):
        raise ValueError("is the whole machine; name a folder")
    if address is None:
        raise ValueError("is neither an absolute path nor a URL such as s3://connection@bucket/folder")
    if ":" in address.user:
        raise ValueError("has a password; put it into an Airflow connection and name that")
    if address.scheme in _UNFIT:
        raise ValueError("is nothing that videos are saved to; use file://, s3://, gs:// or abfs://")
    if address.scheme in _OF_AZURE and "." in address.bucket:
        raise ValueError("names an account; write abfs://connection@container/folder")
    if not (address.bucket if address.scheme in _OF_BUCKETS else address.path):
        raise ValueError("names no folder or bucket")
    return Root(address.scheme, address.bucket, address.path, address.user or None)


def _split(url: object) -> _Address | None:
    """The parts of an address; None when anything in it could mean something else to whoever opens it."""
    if not isinstance(url, str) or not 0 < len(url) <= _LONGEST or not (match := _ADDRESS.fullmatch(url)):
        return None
    scheme, authority, path = (match[1] or "file").lower(), match[2] or "", match[3]
    user, _, host = authority.rpartition("@")  # as Airflow's ObjectStoragePath reads it, with all schemes
    names = tuple(path.split("/")[1:])
    if any(unicodedata.category(char) in {"Cc", "Cs"} for char in url) or not _HOST.fullmatch(host):
        return None
    if host if scheme == "file" else set("?#") & set(path):  # a host has no files here, a store no question marks
        return None
    return _Address(scheme, user, host, names) if all(map(_is_plain, names)) else None


def _is_plain(name: str) -> bool:
    """Whether a name stays one, however often it is decoded, and whether or not its Unicode is normalised."""
    for _ in range(_UNQUOTES):
        if name in {"", ".", ".."} or any(char in _FORBIDDEN or unicodedata.category(char) == "Cc" for char in name):
            return False
        decoded = unicodedata.normalize("NFKC", unquote(name))
        if decoded == name:
            return True
        name = decoded
    return False
