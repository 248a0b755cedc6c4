"""For narrow windows and weak eyes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from looking import CONTRASTS, player
from made_up_renders import failed, finished, forged, running
from playwright.sync_api import expect

if TYPE_CHECKING:
    from fake_pages import FakePages
    from playwright.sync_api import Page

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize("ours", ["gallery", player(finished(0))])
def test_narrow_windows_need_no_scrolling_sideways(page: Page, pages: FakePages, ours: str) -> None:
    page.set_viewport_size({"width": 360, "height": 640})
    pages.renders = [finished(0), failed(1), running(2), forged(3)]
    page.goto(f"{pages.airflow}/kling/{ours}")
    expect(page.locator(".badge").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("ours", ["gallery", player(failed(1))])
def test_all_text_has_enough_contrast(page: Page, pages: FakePages, ours: str, theme: str) -> None:
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    pages.renders = [finished(0), failed(1), running(2), running(3, status="SUBMITTED")]
    page.goto(f"{pages.airflow}/kling/{ours}")
    expect(page.locator(".badge").first).to_be_visible()
    assert page.evaluate(CONTRASTS) == []
