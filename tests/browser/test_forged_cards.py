"""Whoever can write a DAG can write cards: nothing in one does harm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from looking import player
from made_up_renders import finished, forged, without_preview
from playwright.sync_api import expect

if TYPE_CHECKING:
    from fake_pages import FakePages
    from playwright.sync_api import Page

pytestmark = pytest.mark.timeout(120)


def test_forged_cards_stay_text(page: Page, pages: FakePages) -> None:
    """What they must not do is checked when the page is closed."""
    pages.renders = [forged(number) for number in range(14)] + [
        finished(20 + place) | {"card": card} for place, card in enumerate(([1], "x", 7))
    ]
    page.goto(pages.gallery)
    expect(page.locator(".card")).to_have_count(17)
    page.locator(".more:visible").evaluate_all("buttons => buttons.forEach(button => button.click())")
    expect(page.locator(".more:visible").first).to_have_text("Show less")
    assert page.locator("#grid").evaluate("grid => grid.querySelectorAll('img, script, iframe').length") == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    links = page.locator("a").evaluate_all("links => links.map(link => link.href)")
    assert all(link.startswith(pages.airflow) for link in links)


def test_forged_cards_stay_text_in_the_player(page: Page, pages: FakePages) -> None:
    for number in range(14):
        pages.renders = [forged(number)]
        page.goto(f"{pages.airflow}/kling/{player(forged(number))}")
        expect(page.locator(".manifest")).to_contain_text('"task_id"')
        expect(page.locator(".timeline li").first).to_be_visible()
        page.get_by_text("Manifest").click()
        assert page.locator("main").evaluate("main => main.querySelectorAll('img, script, iframe').length") == 0
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(
    ("url", "usable"),
    [
        ("https://videos.example/a.mp4", True),
        ("http://127.0.0.1:8080/a.mp4", True),
        ("http://videos.example/a.mp4", False),
        ("https://user:word@videos.example/a.mp4", False),
        ("javascript:alert(1)", False),
        ("data:video/mp4;base64,AAAA", False),
        ("//videos.example/a.mp4", False),
        ("../auth/logout", False),
        (["https://videos.example/a.mp4"], False),
    ],
)
def test_only_safe_links_are_played(page: Page, pages: FakePages, url: object, usable: bool) -> None:
    pages.renders = [without_preview(finished(0, saved_to=None, video_url=url), "not_saved")]
    page.goto(pages.gallery)
    expect(page.locator(".card")).to_have_count(1)
    expect(page.get_by_role("button", name="Play")).to_be_visible(visible=usable)


def test_a_link_back_into_airflow_is_not_followed_as_a_video(page: Page, pages: FakePages) -> None:
    pages.renders = [without_preview(finished(0, saved_to=None, video_url=f"{pages.origin}/auth/logout"), "not_saved")]
    page.goto(pages.gallery)
    expect(page.locator(".card")).to_have_count(1)
    expect(page.get_by_role("button", name="Play")).to_be_hidden()
