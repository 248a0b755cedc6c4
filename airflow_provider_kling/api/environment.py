"""What the environment says about the way out: certificate authorities and proxies, as httpx reads them."""

from __future__ import annotations

import contextlib
import functools
import urllib.request
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from airflow_provider_kling.api.account import is_loopback
from airflow_provider_kling.api.errors import InvalidConnection

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator


@functools.cache
def ssl_context() -> ssl.SSLContext:
    """The one TLS context of the process (building one costs tens of milliseconds); honours SSL_CERT_FILE."""
    return httpx.create_ssl_context()


def may_use_proxy(url: str) -> bool:
    """Whether the environment's proxies apply; what is meant for this machine never leaves it.

    :param url: where a request goes
    """
    return not is_loopback(urlsplit(url).hostname or "")


def proxy_for(url: str) -> str | None:
    """The proxy on the way to a URL (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY); None for none.

    :param url: where requests go
    """
    parts = urlsplit(url)
    if not may_use_proxy(url) or urllib.request.proxy_bypass(parts.netloc):
        return None
    proxies = urllib.request.getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"


@contextlib.contextmanager
def usable_environment() -> Iterator[None]:
    """Tell in words of ours what can't be used; anything may stand in the environment.

    :raises InvalidConnection: when it can't be used
    """
    try:
        yield
    except (ValueError, ImportError, OSError, httpx.InvalidURL) as error:
        raise InvalidConnection(
            "The environment's proxy or certificate settings can't be used "
            f"(HTTPS_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE, SSL_CERT_DIR): {type(error).__name__}."
        ) from None
