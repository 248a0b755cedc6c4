"""Where and as whom we ask: what people paste, cleaned up or refused."""

from __future__ import annotations

import contextlib

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import patient

from airflow_provider_kling.api.account import DEFAULT_BASE_URL, Account, clean_base_url, is_loopback
from airflow_provider_kling.api.client import KlingClient
from airflow_provider_kling.api.errors import InvalidConnection

KEY = "sk_never_to_be_seen"


@pytest.mark.parametrize(
    ("pasted", "clean"),
    [
        ("https://api.highwayapi.ai", "https://api.highwayapi.ai"),
        ("https://api.highwayapi.ai/", "https://api.highwayapi.ai"),
        ("api.highwayapi.ai", "https://api.highwayapi.ai"),
        ("  api.jiekou.ai\n", "https://api.jiekou.ai"),
        ("https://api.jiekou.ai/v3", "https://api.jiekou.ai"),
        ("https://api.jiekou.ai/v3/", "https://api.jiekou.ai"),
        ("https://api.jiekou.ai/v3/async", "https://api.jiekou.ai"),
        ("https://api.jiekou.ai/openai", "https://api.jiekou.ai"),
        ("https://api.jiekou.ai/openai/v1", "https://api.jiekou.ai"),
        ("https://api.jiekou.ai/openai/v1//", "https://api.jiekou.ai"),
        ("api.jiekou.ai/v3", "https://api.jiekou.ai"),
        ("HTTPS://API.HighwayAPI.ai", "https://api.highwayapi.ai"),
        ("https://proxy.example:8443/highway/v3", "https://proxy.example:8443/highway"),
        ("https://proxy.example/v3x", "https://proxy.example/v3x"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://127.0.0.1:8080/v3", "http://127.0.0.1:8080"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
        ("https://192.168.1.20", "https://192.168.1.20"),
        ("https://api.highwayapi.ai:443/v3", "https://api.highwayapi.ai"),
        ("http://localhost:80", "http://localhost"),
    ],
)
def test_a_pasted_base_url_is_cleaned_up(pasted: str, clean: str) -> None:
    assert clean_base_url(pasted) == clean
    assert clean_base_url(clean) == clean


@pytest.mark.parametrize(
    ("pasted", "why"),
    [
        ("", "no http"),
        ("   ", "no http"),
        ("https://", "no http"),
        ("//api.highwayapi.ai", "no http"),
        ("ftp://api.highwayapi.ai", "no http"),
        ("file:///etc/passwd", "no http"),
        ("https://api highwayapi ai", "no http"),
        ("https://-a.ai", "no http"),
        ("https://a..ai", "no http"),
        ("https://" + "a" * 64 + ".ai", "no http"),
        ("https://999.999.999.999", "no http"),
        ("https://höst.ai", "no http"),
        ("https://a.ai/with blank", "no http"),
        ("https://a.ai/\x7f", "no http"),
        ("https://a.ai:port", "no URL"),
        ("https://a.ai:70000", "no URL"),
        ("https://[::1", "no URL"),
        ("https://a.ai/?key=1", "leave out"),
        ("https://a.ai/#top", "leave out"),
        ("https://user@a.ai", "leave out"),
        ("http://api.highwayapi.ai", "unencrypted"),
        ("http://127.0.0.1.evil.ai", "unencrypted"),
        ("http://0.0.0.0:80", "unencrypted"),
    ],
)
def test_a_base_url_that_can_not_be_used_is_refused_with_the_reason(pasted: str, why: str) -> None:
    with pytest.raises(InvalidConnection, match=why) as refused:
        clean_base_url(pasted)
    assert repr(pasted) in refused.value.message or "@" in pasted or "?" in pasted
    assert "use " in refused.value.message
    assert refused.value.bought == "no"


@pytest.mark.parametrize("url", ["https://user:hush@a.ai", "user:hush@a.ai", "https://u:hush/hush@a.ai", "u:hush@@a"])
def test_a_password_in_a_base_url_is_not_repeated(url: str) -> None:
    with pytest.raises(InvalidConnection) as refused:
        clean_base_url(url)
    assert "hush" not in refused.value.message


@patient
@given(st.text(max_size=40) | st.text(alphabet="htps:/@.[]aé1-%\\ ", max_size=40))
def test_any_text_is_refused_or_becomes_a_url_that_can_be_asked(text: str) -> None:
    with contextlib.suppress(InvalidConnection):
        url = clean_base_url(text)
        assert clean_base_url(url) == url
        assert httpx.Request("POST", f"{url}/v3/async/x").url.scheme in {"http", "https"}


def test_a_host_that_is_no_punycode_is_told_before_anything_is_sent() -> None:
    with pytest.raises(InvalidConnection, match="no URL"):
        KlingClient(Account(KEY, base_url="https://xn--zzzzz99999.ai"))


@pytest.mark.parametrize("pasted", [KEY, f" {KEY}\n", f"Bearer {KEY}", f"  Bearer  {KEY} ", f"bearer {KEY}"])
def test_a_pasted_key_is_cleaned_up(pasted: str) -> None:
    assert Account(pasted).api_key == KEY


@pytest.mark.parametrize("pasted", ["", "  ", "Bearer ", "\n"])
def test_no_key_is_told_with_where_it_belongs(pasted: str) -> None:
    with pytest.raises(InvalidConnection, match=r"has no API key.*password field"):
        Account(pasted)


@pytest.mark.parametrize("pasted", [f"{KEY} {KEY}", f"{KEY}\r\nX-Evil: 1", "schlüssel_never", f"{KEY}\x00"])
def test_a_broken_key_is_refused_without_showing_it(pasted: str) -> None:
    with pytest.raises(InvalidConnection, match="paste it again") as refused:
        Account(pasted)
    assert "never" not in refused.value.message


def test_no_repr_shows_the_key() -> None:
    account = Account(KEY)
    with KlingClient(account) as client:
        assert KEY not in f"{account!r} {account} {client!r}"
    assert DEFAULT_BASE_URL in repr(account)


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["timeout", "requests_per_second", "submits_per_minute"])
def test_a_limit_that_is_no_number_above_zero_is_refused(name: str, value: float) -> None:
    with pytest.raises(InvalidConnection, match=f"{name}=.*above 0"):
        Account(KEY, **{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("localhost", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("10.0.0.1", False), ("a", False)],
)
def test_only_this_machine_is_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
