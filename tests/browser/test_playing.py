"""Videos play, and one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from looking import film, wait_until_it_plays
from made_up_renders import finished
from playwright.sync_api import expect

if TYPE_CHECKING:
    from fake_pages import FakePages
    from playwright.sync_api import Page

pytestmark = pytest.mark.timeout(120)


def test_a_video_plays_at_a_click(page: Page, pages: FakePages) -> None:
    pages.films = {"campaign": film()}
    pages.renders = [finished(0)]
    page.goto(pages.gallery)
    page.get_by_role("button", name="Play").click()
    wait_until_it_plays(page.locator("video"))
    assert page.locator("video").evaluate("video => video.controls && !video.muted")


def test_a_video_plays_with_the_keyboard_alone(page: Page, pages: FakePages) -> None:
    pages.films = {"campaign": film()}
    pages.renders = [finished(0)]
    page.goto(pages.gallery)
    button = page.get_by_role("button", name="Play")
    expect(button).to_be_visible()
    for _ in range(10):
        page.keyboard.press("Tab")
        if button.evaluate("button => button === document.activeElement"):
            break
    page.keyboard.press("Enter")
    wait_until_it_plays(page.locator("video"))


def test_only_one_video_plays_at_a_time(page: Page, pages: FakePages) -> None:
    pages.films = {"campaign": film()}
    pages.renders = [finished(0), finished(1)]
    page.goto(pages.gallery)
    for place in (0, 1):
        page.locator(".card").nth(place).get_by_role("button", name="Play").click()
        wait_until_it_plays(page.locator("video").nth(place))
    assert page.locator("video").first.evaluate("video => video.paused")


def test_a_saved_video_that_is_gone_says_so(page: Page, pages: FakePages) -> None:
    pages.renders = [finished(0)]
    page.goto(pages.gallery)
    expect(page.locator(".media")).to_contain_text("The saved video can't be played")
