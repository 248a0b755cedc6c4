"""The pages in the frame that Airflow shows them in, and without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fake_pages import PREFIX
from looking import film, framed, player, wait_until_it_plays
from made_up_renders import finished
from playwright.sync_api import expect

if TYPE_CHECKING:
    from typing import Any

    from fake_pages import FakePages
    from playwright.sync_api import Page

pytestmark = pytest.mark.timeout(120)

TASK = "/dags/campaign/runs/manual__2026-11-01T10:00:00+00:00/tasks/render_0"


def test_a_click_leads_the_whole_airflow_page_to_the_task(page: Page, pages: FakePages) -> None:
    pages.renders = [finished(0)]
    ours = framed(page, pages, "gallery")
    ours.get_by_role("link", name="Task instance").click()
    page.wait_for_url(f"{pages.airflow}{TASK}")


def test_details_lead_to_the_tab_of_a_mapped_task(page: Page, pages: FakePages) -> None:
    pages.renders = [finished(0, map_index=3)]
    ours = framed(page, pages, "gallery")
    ours.get_by_role("link", name="Details").click()
    page.wait_for_url("**/tasks/render/mapped/3/plugin/kling-video")


@pytest.mark.parametrize("how", [{"modifiers": ["ControlOrMeta"]}, {"button": "middle"}])
def test_a_click_for_a_new_tab_opens_one(page: Page, pages: FakePages, how: dict[str, Any]) -> None:
    pages.renders = [finished(0)]
    ours = framed(page, pages, "gallery")
    with page.context.expect_page() as opened:
        ours.get_by_role("link", name="Task instance").click(**how)
    opened.value.wait_for_url(f"{pages.airflow}{TASK}")
    assert "/around?" in page.url


def test_links_work_without_airflow_around(page: Page, pages: FakePages) -> None:
    pages.renders = [finished(0)]
    page.goto(pages.gallery)
    page.get_by_role("link", name="Details").click()
    expect(page.locator("#player .badge")).to_have_text("Finished")
    page.go_back()
    page.get_by_role("link", name="Task instance").click()
    page.wait_for_url(f"{pages.airflow}{TASK}")


def test_airflows_own_address_keeps_the_filter(page: Page, pages: FakePages) -> None:
    page.goto(f"{pages.airflow}/plugin/kling-renders{PREFIX}/kling/gallery")
    page.frames[1].get_by_label("State").select_option("failed")
    page.wait_for_url("**/plugin/kling-renders/**/gallery?state=failed")


def test_a_video_plays_inside_airflow(page: Page, pages: FakePages) -> None:
    pages.films = {"campaign": film()}
    pages.renders = [finished(0)]
    ours = framed(page, pages, "gallery")
    ours.get_by_role("button", name="Play").click()
    wait_until_it_plays(ours.locator("video"))


@pytest.mark.parametrize("ours", ["gallery", player(finished(0))])
def test_the_colours_are_airflows(page: Page, pages: FakePages, ours: str) -> None:
    pages.renders = [finished(0)]
    frame = framed(page, pages, ours)
    theme = frame.locator("html")
    expect(theme).to_have_attribute("data-theme", "light")
    page.evaluate("document.documentElement.classList.add('dark')")
    expect(theme).to_have_attribute("data-theme", "dark")
    assert frame.evaluate("getComputedStyle(document.body).colorScheme") == "dark"
    page.evaluate("document.documentElement.className = 'light'")
    page.emulate_media(color_scheme="dark")
    expect(theme).to_have_attribute("data-theme", "light")


def test_alone_the_colours_are_the_systems(page: Page, pages: FakePages) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto(pages.gallery)
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
