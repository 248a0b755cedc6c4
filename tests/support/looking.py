"""What the tests of the pages do and look for in a browser."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from fake_pages import IDS, FakePages

from airflow_provider_kling.simulator.video import render_video

if TYPE_CHECKING:
    from playwright.sync_api import Frame, Locator, Page


@cache
def film() -> bytes:
    return render_video(width=480, height=270, seconds=3, sound=True, shots=[("a boat", 3)])


def look_again(page: Page) -> None:
    """What happens when a person comes back to the tab: the page asks at once."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def player(render: dict[str, Any], **other: Any) -> str:
    return "player?" + urlencode({name: render[name] for name in IDS} | other, quote_via=quote)


def wait_until_it_plays(video: Locator) -> None:
    element = video.element_handle()
    frame = element.owner_frame()
    assert frame
    frame.wait_for_function("video => video.currentTime > 0.5 && !video.paused", arg=element)


def framed(page: Page, pages: FakePages, ours: str) -> Frame:
    page.goto(pages.around(ours))
    return page.frames[1]


CONTRASTS = Path(__file__).with_name("contrasts.js").read_text()
"""A function of the browser: what text there is whose contrast is too poor for WCAG AA."""
