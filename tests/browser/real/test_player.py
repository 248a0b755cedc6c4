"""The tab "Kling video" of a task instance: found through Airflow's page, and what it says of each kind of end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from visits import our_frame, task_url, wait_until_it_plays

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from guarded_airflow import GuardedAirflow
    from playwright.sync_api import Frame, Page

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(400)]
LONG_AGO = "2026-01-01T00:00:00+00:00"


@pytest.fixture
def tab(page: Page, airflow: GuardedAirflow, ended: Callable[[str], str]) -> Callable[..., Frame]:
    """Our page on the tab of a task instance."""

    def go(dag_id: str, task_id: str = "render", map_index: int = -1) -> Frame:
        url = task_url(airflow, dag_id, ended(dag_id), task_id, map_index)
        page.goto(f"{url}/plugin/kling-video")
        return our_frame(page)

    return go


@pytest.mark.parametrize(
    ("dag_id", "map_index", "prompt"),
    [
        ("single", -1, "single: a paper boat"),
        ("spring_campaign", 7, "An otter by a lake at dawn, take 7: slow tracking shot"),
    ],
    ids=["unmapped", "mapped"],
)
def test_the_tab_of_a_task_instance_plays_its_own_video(
    page: Page, airflow: GuardedAirflow, ended: Callable[[str], str], *, dag_id: str, map_index: int, prompt: str
) -> None:
    run_id = ended(dag_id)
    page.goto(task_url(airflow, dag_id, run_id, map_index=map_index))
    page.get_by_role("link", name="Kling video").click()
    ours = our_frame(page)
    expect(ours.locator("p.prompt")).to_contain_text(prompt)
    card = airflow.xcom(dag_id, run_id, "render", key="kling_render", map_index=map_index)
    ours.get_by_text("Manifest", exact=True).click()
    manifest = json.loads(ours.locator("pre.manifest").inner_text())
    returned = airflow.xcom(dag_id, run_id, "render", map_index=map_index)
    assert manifest == returned | {"finished_at": card["finished_at"]}
    expect(ours.locator(".timeline [data-phase=done]")).to_have_count(4)
    with page.expect_response(lambda answer: "/kling/preview?" in answer.url and answer.status == 206):
        ours.get_by_role("button", name="Play").click()
    wait_until_it_plays(ours.locator("video"))


def test_a_task_that_is_no_render_gets_a_quiet_line(tab: Callable[..., Frame]) -> None:
    expect(tab("plain", "nothing").locator(".quiet-line")).to_have_text("This task instance has no Kling render.")


@pytest.mark.parametrize(
    ("dag_id", "words"),
    [
        ("fails", ["internal worker error", "a clear"]),
        ("moderated_output", ["Failure to pass the risk control system"]),
        ("moderated_input", ["ILLEGAL_PROMPT"]),
        ("uncertain", ["unknown whether this render was bought"]),
    ],
)
def test_a_failure_is_told_in_words(tab: Callable[..., Frame], dag_id: str, words: list[str]) -> None:
    ours = tab(dag_id)
    expect(ours.locator(".badge")).to_have_text("Failed")
    failed = ours.locator(".timeline [data-phase=failed]")
    for word in words:
        expect(failed).to_contain_text(word)
    expect(ours.locator(".prompt").first).to_have_text(f"{dag_id}: a paper boat")
    expect(ours.locator(".media")).to_contain_text("There is no video.")


def test_the_saved_copy_plays_when_the_services_link_has_expired(
    page: Page, airflow: GuardedAirflow, ended: Callable[[str], str], forge: Callable[[Any], dict[str, Any]]
) -> None:
    card = airflow.xcom("single", ended("single"), "render", key="kling_render")
    where = forge({**card, "prompt": "forged", "video_url_expires_at": LONG_AGO})
    page.goto(f"{task_url(airflow, **where)}/plugin/kling-video")
    ours = our_frame(page)
    ours.get_by_role("button", name="Play").click()
    wait_until_it_plays(ours.locator("video"))


def test_an_expired_link_of_a_video_that_was_not_saved_is_not_offered(
    page: Page, airflow: GuardedAirflow, ended: Callable[[str], str], forge: Callable[[Any], dict[str, Any]]
) -> None:
    card = airflow.xcom("unsaved", ended("unsaved"), "render", key="kling_render")
    where = forge({**card, "prompt": "forged", "video_url_expires_at": LONG_AGO})
    page.goto(f"{task_url(airflow, **where)}/plugin/kling-video")
    ours = our_frame(page)
    expect(ours.locator(".media")).to_contain_text("The video is not saved")
    expect(ours.get_by_role("button", name="Play")).to_be_hidden()
