"""The gallery, reached through Airflow's menu: empty, one, thirty mapped, five thousand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from doorman import NEWCOMER
from playwright.sync_api import expect
from visits import gallery_url, task_url, wait_until_it_plays

if TYPE_CHECKING:
    from collections.abc import Callable

    from guarded_airflow import GuardedAirflow
    from playwright.sync_api import Page
    from visits import Visits

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(400)]
Ended = "Callable[[str], str]"


def test_an_airflow_without_renders_has_an_empty_gallery(untouched: dict[str, dict[str, object]]) -> None:
    assert untouched["renders"] == {"renders": [], "total": 0, "limit": 24, "offset": 0}
    assert untouched["totals"] == {
        "clips": 0, "seconds": 0, "by_state": {"rendering": 0, "finished": 0, "failed": 0}, "dags": [],
    }  # fmt: skip


def test_who_sees_no_render_is_told_how_to_make_one(
    visits: Visits, airflow: GuardedAirflow, ended: Callable[[str], str]
) -> None:
    ended("single")
    page = visits.begin(NEWCOMER)
    page.goto(gallery_url(airflow))
    expect(page.locator("#empty")).to_contain_text("No Kling renders yet")
    expect(page.locator("#totals")).to_have_text("0 clips · 0 s of video")
    expect(page.locator(".card")).to_have_count(0)


def test_the_menu_leads_to_the_gallery(page: Page, airflow: GuardedAirflow, ended: Callable[[str], str]) -> None:
    ended("single")
    page.goto(f"{airflow.base_url}/")
    page.get_by_role("button", name="Browse").click()
    page.get_by_role("menuitem", name="Kling renders").click()
    ours = page.frame_locator("iframe")
    expect(ours.get_by_role("heading", name="Kling renders")).to_be_visible()
    expect(ours.locator(".card").first).to_be_visible()
    assert page.url.startswith(f"{airflow.base_url}/plugin/kling-renders")


def test_one_render_is_one_card(page: Page, airflow: GuardedAirflow, ended: Callable[[str], str]) -> None:
    ended("single")
    page.goto(gallery_url(airflow, dag_id="single"))
    for text in ("single: a paper boat", "3 s · 16:9 · silent", "render", "Finished", "/single.mp4"):
        expect(page.locator(".card")).to_contain_text(text)
    expect(page.locator("#totals")).to_have_text("1 clip · 3 s of video · 1 finished")


def test_thirty_mapped_renders_are_thirty_cards(
    page: Page, airflow: GuardedAirflow, ended: Callable[[str], str]
) -> None:
    ended("spring_campaign")
    page.goto(gallery_url(airflow, dag_id="spring_campaign"))
    expect(page.locator("#totals")).to_have_text("30 clips · 2 min 25 s of video · 29 finished · 1 failed")
    expect(page.locator(".card")).to_have_count(24)
    seen = page.locator(".card .task").all_inner_texts()
    page.get_by_role("button", name="Next").click()
    expect(page.locator(".paging-words")).to_have_text("25–30 of 30")
    expect(page.locator(".card")).to_have_count(6)
    seen += page.locator(".card .task").all_inner_texts()
    assert sorted(seen) == sorted(f"render [{number}]" for number in range(30))
    expect(page.get_by_role("button", name="Next")).to_be_disabled()


def test_five_thousand_renders_are_counted_and_leafed_through(
    page: Page, airflow: GuardedAirflow, archive: str
) -> None:
    page.goto(gallery_url(airflow, dag_id="archive"))
    expect(page.locator("#totals")).to_have_text("5,001 clips · 3 h 45 min of video · 4,501 finished · 500 failed")
    expect(page.locator(".paging-words")).to_have_text("1–24 of 5,001")
    page.get_by_role("button", name="Next").click()
    expect(page.locator(".paging-words")).to_have_text("25–48 of 5,001")
    expect(page.locator(".card").first).to_contain_text("take 23:")
    page.goto(gallery_url(airflow, dag_id="archive", page=209))
    expect(page.locator(".paging-words")).to_have_text("4,993–5,001 of 5,001")
    expect(page.locator(".card").last).to_contain_text("take 4999:")


def test_the_text_of_a_prompt_is_found_among_five_thousand(page: Page, airflow: GuardedAirflow, archive: str) -> None:
    page.goto(gallery_url(airflow))
    page.get_by_label("Search the prompts").fill("TAKE 4711:")
    expect(page.locator(".card")).to_have_count(1)
    expect(page.locator(".card")).to_contain_text("take 4711:")
    expect(page.locator("#totals")).to_contain_text("1 clip ·")
    page.get_by_label("Search the prompts").fill("100% of_nothing")
    expect(page.locator("#empty")).to_contain_text("No render matches the filter")


def test_filters_of_dag_state_and_time_add_up(page: Page, airflow: GuardedAirflow, archive: str) -> None:
    page.goto(gallery_url(airflow))
    expect(page.get_by_label("DAG").locator("option[value=archive]")).to_have_count(1)
    page.get_by_label("DAG").select_option("archive")
    expect(page.locator("#totals")).to_contain_text("5,001 clips")
    page.get_by_label("State").select_option("failed")
    expect(page.locator("#totals")).to_have_text("500 clips · 0 s of video · 500 failed")
    expect(page.locator(".card .badge").first).to_have_text("Failed")
    page.get_by_label("Time").select_option("hour")
    expect(page.locator("#empty")).to_contain_text("No render matches the filter")
    page.get_by_label("State").select_option("")
    expect(page.locator("#totals")).to_have_text("1 clip · 3 s of video · 1 finished")
    page.get_by_role("button", name="Clear").click()
    expect(page.locator(".card")).to_have_count(24)


def test_a_filter_survives_a_reload_of_airflows_page(page: Page, airflow: GuardedAirflow, archive: str) -> None:
    page.goto(f"{airflow.base_url}/plugin/kling-renders")
    ours = page.frame_locator("iframe")
    ours.get_by_label("Search the prompts").fill("take 4711:")
    expect(ours.locator(".card")).to_have_count(1)
    page.reload()
    expect(ours.get_by_label("Search the prompts")).to_have_value("take 4711:")
    expect(ours.locator(".card")).to_have_count(1)


def test_a_video_plays_and_is_sent_in_parts(page: Page, airflow: GuardedAirflow, ended: Callable[[str], str]) -> None:
    ended("single")
    page.goto(gallery_url(airflow, dag_id="single"))
    with page.expect_response(lambda answer: "/kling/preview?" in answer.url and answer.status == 206):
        page.get_by_role("button", name="Play").click()
    wait_until_it_plays(page.locator("video"))


def test_a_render_that_was_not_saved_plays_from_the_service(
    page: Page, visits: Visits, airflow: GuardedAirflow, ended: Callable[[str], str], service: str
) -> None:
    visits.elsewhere.append(service)
    ended("unsaved")
    page.goto(gallery_url(airflow, dag_id="unsaved"))
    expect(page.locator(".card")).to_contain_text("Plays from the service, until")
    page.get_by_role("button", name="Play").click()
    wait_until_it_plays(page.locator("video"))


@pytest.mark.parametrize(("dag_id", "map_index"), [("single", -1), ("spring_campaign", 29)])
def test_a_card_leads_the_whole_page_to_its_task_instance(
    page: Page, airflow: GuardedAirflow, ended: Callable[[str], str], dag_id: str, map_index: int
) -> None:
    run_id = ended(dag_id)
    page.goto(f"{airflow.base_url}/plugin/kling-renders")
    ours = page.frame_locator("iframe")
    ours.get_by_label("Search the prompts").fill("take 29: slow" if map_index == 29 else "single:")
    expect(ours.locator(".card")).to_have_count(1)
    ours.get_by_role("link", name="Task instance").click()
    page.wait_for_url(task_url(airflow, dag_id, run_id, map_index=map_index))
    expect(page.locator("iframe")).to_have_count(0)
    expect(page.get_by_text("render", exact=True).first).to_be_visible()
