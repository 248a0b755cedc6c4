"""A browser that reports whatever our pages must never do, and a server with made-up renders."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from fake_pages import FakePages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not CHROMIUM:
        skip = pytest.mark.skip(reason="this needs a chromium on the PATH (Debian: apt install chromium)")
        for item in items:
            if "tests/browser/" in item.path.as_posix():
                item.add_marker(skip)


@pytest.fixture(scope="module")  # not the session: its event loop would be in the way of the asynchronous tests
def browser() -> Iterator[Browser]:
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=20_000)  # a busy machine is no bug
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET.split())
        yield browser
        browser.close()


@pytest.fixture
def pages() -> Iterator[FakePages]:
    with FakePages() as pages:
        yield pages


@pytest.fixture
def page(browser: Browser, pages: FakePages) -> Iterator[Page]:
    """A page of a browser; at the end nothing must have been hacked, broken, or asked for elsewhere."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.set_default_timeout(20_000)
    wrong: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on("dialog", dismiss)
    page.on("console", lambda message: wrong.extend(_violation(message)))
    context.on("request", lambda request: wrong.extend(_elsewhere(request.url, pages.origin)))
    yield page
    hacked = [frame.evaluate("window.__hacked") for frame in page.frames]
    context.close()
    assert not any(hacked)
    assert not wrong


def _violation(message: ConsoleMessage) -> list[str]:
    return [message.text] if "Content Security Policy" in message.text else []


def _elsewhere(url: str, origin: str) -> list[str]:
    return [] if url.startswith((f"{origin}/", "data:")) else [f"request: {url}"]
