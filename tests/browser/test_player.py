"""The tab of a task instance, with made-up renders behind it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from fake_pages import IDS
from looking import film, player, wait_until_it_plays
from made_up_renders import failed, finished, running
from playwright.sync_api import expect

if TYPE_CHECKING:
    from fake_pages import FakePages
    from playwright.sync_api import Page

pytestmark = pytest.mark.timeout(120)


def test_the_player_plays_and_tells_the_life_of_a_render(page: Page, pages: FakePages) -> None:
    pages.films = {"campaign": film()}
    pages.renders = [finished(0, negative_prompt="people")]
    page.goto(f"{pages.airflow}/kling/{player(finished(0), map_index='{MAP_INDEX}')}")
    assert pages.questions("api/render")[-1]["map_index"] == "{MAP_INDEX}"
    for text in ("A paper boat", "people", "16:9", "kling-v3.0-4k-t2v", "48.2 MB", "0d1e8f3a-0000"):
        expect(page.locator("section", has_text="Request")).to_contain_text(text)
    names = page.locator(".timeline strong").all_inner_texts()
    assert names == ["Submitted", "Rendering", "Finished", "Saved"]
    expect(page.locator(".timeline")).to_contain_text("after 1 min 14 s")
    page.get_by_role("button", name="Play").click()
    wait_until_it_plays(page.locator("video"))


def test_the_player_follows_a_render(page: Page, pages: FakePages) -> None:
    pages.renders = [running(0)]
    page.goto(f"{pages.airflow}/kling/{player(running(0))}")
    expect(page.locator("[aria-current=step]")).to_contain_text("Rendering")
    expect(page.locator(".timeline li").last).to_have_attribute("data-phase", "later")
    expect(page.locator(".progress")).to_contain_text("ready in about")
    pages.renders = [failed(0)]
    expect(page.locator(".timeline li").last).to_contain_text("refused by moderation")
    expect(page.locator(".progress")).to_be_hidden()


@pytest.mark.parametrize(("zone", "hour"), [("UTC", "12"), ("Asia/Tokyo", "21"), ("no such zone", None)])
def test_times_are_of_the_zone_that_is_chosen_in_airflow(
    page: Page, pages: FakePages, *, zone: str, hour: str | None
) -> None:
    pages.renders = [finished(0, submitted_at="2026-01-01T12:34:56+00:00")]
    page.add_init_script(f"localStorage.setItem('timezone', {json.dumps(json.dumps(zone))})")
    page.goto(f"{pages.airflow}/kling/{player(finished(0))}")
    hour = hour or page.evaluate("String(new Date('2026-01-01T12:34:56Z').getHours()).padStart(2, '0')")
    expect(page.locator(".timeline li").first).to_contain_text(f"2026-01-01 {hour}:34:56")


def test_a_task_without_a_render_gets_a_quiet_line(page: Page, pages: FakePages) -> None:
    page.goto(f"{pages.airflow}/kling/{player(finished(0))}")
    expect(page.locator("#player")).to_have_text("This task instance has no Kling render.")
    expect(page.locator("#problem")).to_be_empty()


def test_a_run_id_that_airflow_put_in_as_it_is_keeps_its_plus(page: Page, pages: FakePages) -> None:
    pages.renders = [finished(0)]
    ids = "&".join(f"{name}={finished(0)[name]}" for name in IDS)
    page.goto(f"{pages.airflow}/kling/player?{ids}")
    expect(page.locator(".badge")).to_have_text("Finished")


@pytest.mark.parametrize("secure", [True, False])
def test_ids_and_manifests_are_copied(page: Page, pages: FakePages, secure: bool) -> None:
    pages.renders = [finished(0)]
    if not secure:  # as on plain http, where there is no clipboard for pages
        page.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    page.goto(f"{pages.airflow}/kling/{player(finished(0))}")
    page.get_by_text("Manifest").click()
    pasted = []
    for name in ("Copy the task id", "Copy the manifest"):
        page.get_by_role("button", name=name).click()
        expect(page.get_by_role("button", name=name)).to_have_text("Copied")
        pasted.append(_paste(page))
    assert pasted[0] == finished(0)["card"]["task_id"]
    assert json.loads(pasted[1])["sha256"] == "9f" * 32
    assert "percent" not in json.loads(pasted[1])


def _paste(page: Page) -> str:
    page.evaluate("document.body.append(Object.assign(document.createElement('textarea'), {id: 'paste'}))")
    page.locator("#paste").focus()
    page.keyboard.press("ControlOrMeta+v")
    text = page.locator("#paste").input_value()
    page.evaluate("document.querySelector('#paste').remove()")
    return text
