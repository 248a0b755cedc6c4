"""Airflow's colours and narrow windows; `pytest tests/browser/real/test_looks.py --pictures FOLDER` keeps pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from doorman import MARKETING
from playwright.sync_api import expect
from visits import our_frame, player_url, task_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from guarded_airflow import GuardedAirflow
    from playwright.sync_api import Frame, Page
    from visits import Visits

    from airflow_provider_kling.simulator import KlingSimulator

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(400)]
WIDTHS = {"wide": 1440, "narrow": 420}
LOOKS = pytest.mark.parametrize(("theme", "size"), [(t, s) for t in ("light", "dark") for s in WIDTHS])
BRIGHTNESS = """() => {
  const canvas = document.createElement("canvas").getContext("2d");
  canvas.fillStyle = getComputedStyle(document.body).backgroundColor;
  canvas.fillRect(0, 0, 1, 1);
  return canvas.getImageData(0, 0, 1, 1).data.slice(0, 3).reduce((sum, part) => sum + part) / 765;
}"""
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def campaign(
    airflow: GuardedAirflow, simulator: KlingSimulator, ended: Callable[[str], str], pytestconfig: pytest.Config
) -> Iterator[str]:
    """The id of a finished run of thirty; for pictures there is also a render under way."""
    run_id = ended("spring_campaign")
    if not pytestconfig.getoption("--pictures"):
        yield run_id
        return
    simulator.hold()
    before = len(simulator.accepted)
    teaser = airflow.start_run("spring_teaser")
    simulator.wait_for(lambda it: any(it.polls_of(each.task_id) for each in it.accepted[before:]), timeout=90)
    yield run_id
    simulator.release()
    airflow.wait_for_run("spring_teaser", teaser)


@pytest.fixture
def keep(pytestconfig: pytest.Config) -> Callable[[Page, str], None]:
    """Write a picture, when pictures were asked for."""
    folder: Path | None = pytestconfig.getoption("--pictures")

    def keep(page: Page, name: str) -> None:
        if folder:
            page.wait_for_load_state("networkidle")
            page.wait_for_timeout(1000)  # for transitions, which nothing tells the end of
            page.screenshot(path=folder / f"{name}.png")

    return keep


@LOOKS
def test_the_pages_have_airflows_colours_and_fit(
    visits: Visits,
    airflow: GuardedAirflow,
    campaign: str,
    keep: Callable[[Page, str], None],
    *,
    theme: str,
    size: str,
) -> None:
    page = visits.begin(MARKETING, theme=theme, width=WIDTHS[size])
    page.goto(f"{airflow.base_url}/plugin/kling-renders")
    check(our_frame(page), theme)
    keep(page, f"gallery-{theme}-{size}")
    if size == "wide":
        page.goto(f"{task_url(airflow, 'spring_campaign', campaign, map_index=1)}/plugin/kling-video")
        check(our_frame(page), theme)
    else:  # Airflow's own page is not made for narrow windows
        page.goto(player_url(airflow, dag_id="spring_campaign", run_id=campaign, task_id="render", map_index=1))
        check(page.main_frame, theme)
    keep(page, f"player-{theme}-{size}")


def check(ours: Frame, theme: str) -> None:
    ours.wait_for_selector("video[poster]")
    assert (ours.evaluate(BRIGHTNESS) < 0.3) == (theme == "dark")
    assert ours.evaluate(OVERFLOW) <= 0


def test_the_colours_follow_airflows_switch(page: Page, airflow: GuardedAirflow, ended: Callable[[str], str]) -> None:
    ended("single")
    page.goto(f"{airflow.base_url}/plugin/kling-renders")
    ours = our_frame(page)
    expect(ours.locator(".card").first).to_be_visible()
    assert ours.evaluate(BRIGHTNESS) > 0.7
    page.evaluate("dispatchEvent(new StorageEvent('storage', {key: 'theme', newValue: 'dark'}))")  # as from another tab
    ours.wait_for_function(f"({BRIGHTNESS})() < 0.3")
