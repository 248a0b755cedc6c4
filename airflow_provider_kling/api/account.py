"""Where and as whom we ask: the key, and what people paste as a base URL."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from airflow_provider_kling.api.errors import InvalidConnection

DEFAULT_BASE_URL = "https://api.highwayapi.ai"
DEFAULT_TIMEOUT = 30.0
DEFAULT_SUBMITS_PER_MINUTE = 30.0
"""A guess: the API documents no figure for Kling, sister models allow 50 to 200 a minute."""


@dataclass(frozen=True)
class Account:
    """Where and as whom we ask.

    :param api_key: the key, sent as Bearer token to `base_url` only
    :param base_url: cleaned up by :func:`clean_base_url`; default `https://api.highwayapi.ai`
    :param timeout: seconds without a byte before an exchange is given up, and twice that for a whole one; default 30
    :param requests_per_second: cap on questions per process; None for none
    :param submits_per_minute: the pace at which refused submits come back; holds nobody back before; default 30
    :raises InvalidConnection: when one of them can't be used
    """

    api_key: str = field(repr=False)
    base_url: str = DEFAULT_BASE_URL
    timeout: float = DEFAULT_TIMEOUT
    requests_per_second: float | None = None
    submits_per_minute: float = DEFAULT_SUBMITS_PER_MINUTE

    def __post_init__(self) -> None:
        key = re.sub(r"^Bearer(\s+|$)", "", self.api_key.strip(), flags=re.IGNORECASE)
        if not key:
            raise InvalidConnection("has no API key: put it into the connection's password field.")
        if not key.isascii() or not key.isprintable() or " " in key:
            raise InvalidConnection("has an API key with blanks or characters no key has: paste it again.")
        for name in ("timeout", "requests_per_second", "submits_per_minute"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise InvalidConnection(f"has {name}={value!r} in its extra: it must be a number above 0.")
        object.__setattr__(self, "api_key", key)
        object.__setattr__(self, "base_url", clean_base_url(self.base_url))


def clean_base_url(text: str) -> str:
    """Turn what people paste into a base URL: no trailing slash, no `/v3`, `/openai` or `/openai/v1`.

    :param text: a URL, or a host name
    :raises InvalidConnection: when it is no http(s) URL, or plain http to another machine (the key would be readable)
    """
    bad = f"has base URL {_without_secrets(text)!r}: "
    url = text.strip() if "://" in text else f"https://{text.strip()}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise InvalidConnection(f"{bad}it is no URL; use something like {DEFAULT_BASE_URL}") from None
    if parts.scheme not in {"http", "https"} or not _is_host(host) or not re.fullmatch("(/[!-.0-~]*)*", parts.path):
        raise InvalidConnection(f"{bad}it is no http(s) URL; use something like {DEFAULT_BASE_URL}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise InvalidConnection(f"{bad}leave out user, password, query and fragment; use {DEFAULT_BASE_URL}")
    if parts.scheme == "http" and not is_loopback(host):
        raise InvalidConnection(f"{bad}the key would travel unencrypted; use https (http is for this machine only)")
    path = re.sub(r"/(v3(/async)?|openai(/v1)?)$", "", parts.path.rstrip("/")).rstrip("/")
    is_default = port in {None, 443 if parts.scheme == "https" else 80}
    netloc = (f"[{host}]" if ":" in host else host) + ("" if is_default else f":{port}")
    return urlunsplit((parts.scheme, netloc, path, "", ""))


def _is_host(text: str) -> bool:
    if re.fullmatch(r"[0-9.]+|.*:.*", text):
        with contextlib.suppress(ValueError):
            return bool(ipaddress.ip_address(text))
        return False
    label = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    return bool(re.fullmatch(rf"{label}(\.{label})*", text))


def _without_secrets(url: str) -> str:
    url = re.sub(r"^([A-Za-z]+://)?.*@", r"\1***@", url, flags=re.DOTALL)
    return re.sub(r"\?.*|sk[_-].*", "***", url, flags=re.DOTALL)  # a key may have been pasted into the wrong field


def is_loopback(host: str) -> bool:
    """Whether a host name is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
