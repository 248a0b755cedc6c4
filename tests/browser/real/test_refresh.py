"""Pages follow what is rendered, without being loaded again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from visits import gallery_url, our_frame, task_url, wait_until_it_plays

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from guarded_airflow import GuardedAirflow
    from playwright.sync_api import Page

    from airflow_provider_kling.simulator import KlingSimulator

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(400)]


@pytest.fixture
def held(airflow: GuardedAirflow, simulator: KlingSimulator, ended: Callable[[str], str]) -> Iterator[str]:
    """A run whose render ends only once the simulator is released; its id."""
    ended("single")
    simulator.hold()
    run_id = airflow.start_run("followed")
    yield run_id
    simulator.release()
    airflow.wait_for_run("followed", run_id)


def test_a_running_card_moves_and_finishes_by_itself_and_disturbs_no_video(
    page: Page, airflow: GuardedAirflow, simulator: KlingSimulator, held: str
) -> None:
    page.goto(gallery_url(airflow, text="a paper boat", time="hour"))
    page.evaluate("window.__same = true")
    other = page.locator(".card").filter(has_text="single:")
    other.get_by_role("button", name="Play").click()
    film = other.locator("video")
    film.evaluate("film => { film.loop = true; film.onpause = film.onemptied = () => (window.__disturbed = true); }")
    wait_until_it_plays(film)
    card = page.locator(".card").filter(has_text="followed:").first
    node = card.element_handle()
    expect(card.locator(".badge")).to_have_text("Rendering", timeout=60_000)
    words = card.locator(".progress-words")
    told = words.inner_text()
    expect(words).not_to_have_text(told)
    simulator.release()
    expect(card.locator(".badge")).to_have_text("Finished", timeout=120_000)
    expect(card.locator(".progress")).to_be_hidden()
    card.get_by_role("button", name="Play").wait_for()
    assert node.evaluate("node => node.isConnected")
    assert page.evaluate("window.__same && !window.__disturbed")


def test_the_tab_follows_its_render_to_the_video(
    page: Page, airflow: GuardedAirflow, simulator: KlingSimulator, held: str
) -> None:
    page.goto(f"{task_url(airflow, 'followed', held)}/plugin/kling-video")
    ours = our_frame(page)
    ours.wait_for_selector(".badge:text('Rendering')", timeout=60_000)
    ours.evaluate("window.__same = true")
    expect(ours.locator(".progress-words")).to_contain_text("so far")
    expect(ours.locator(".timeline [aria-current=step]")).to_contain_text("Rendering")
    expect(ours.locator(".media")).to_contain_text("The video appears here when it is finished.")
    simulator.release()
    ours.get_by_role("button", name="Play").click(timeout=120_000)
    wait_until_it_plays(ours.locator("video"))
    expect(ours.locator(".timeline [data-phase=done]")).to_have_count(4)
    assert ours.evaluate("window.__same")
