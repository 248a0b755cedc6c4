"""The least that must hold on each Airflow: `pytest tests/browser -k smoke` with that Airflow's Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from visits import our_frame, task_url, wait_until_it_plays

if TYPE_CHECKING:
    from collections.abc import Callable

    from guarded_airflow import GuardedAirflow
    from playwright.sync_api import Page

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(400)]


def test_smoke_the_gallery_and_the_tab_list_and_play(
    page: Page, airflow: GuardedAirflow, ended: Callable[[str], str]
) -> None:
    run_id = ended("single")
    page.goto(f"{airflow.base_url}/plugin/kling-renders")
    ours = our_frame(page)
    ours.get_by_label("Search the prompts").fill("SINGLE: a paper")
    card = ours.locator(".card")
    expect(card).to_have_count(1)
    card.get_by_role("button", name="Play").click()
    wait_until_it_plays(card.locator("video"))
    card.get_by_role("link", name="Details").click()
    page.wait_for_url(f"{task_url(airflow, 'single', run_id)}/plugin/kling-video")
    ours = our_frame(page)
    expect(ours.locator("p.prompt")).to_have_text("single: a paper boat")
    ours.get_by_role("button", name="Play").click()
    wait_until_it_plays(ours.locator("video"))
