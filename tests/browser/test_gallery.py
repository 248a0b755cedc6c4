"""The gallery with made-up renders behind it: what it shows, follows and finds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from looking import film, look_again, player, wait_until_it_plays
from made_up_renders import ago, failed, finished, running, without_preview
from playwright.sync_api import expect

if TYPE_CHECKING:
    from fake_pages import FakePages
    from playwright.sync_api import Page

pytestmark = pytest.mark.timeout(120)


# What is shown


def test_a_card_tells_what_a_person_wants_to_know(page: Page, pages: FakePages) -> None:
    pages.renders = [finished(0, map_index=7)]
    page.goto(pages.gallery)
    card = page.locator(".card")
    for text in ("A paper boat sails", "5 s · 16:9 · with sound", "campaign", "render [7]", "Finished", "2 min ago"):
        expect(card).to_contain_text(text)
    expect(card.locator(".store code")).to_have_text("…/spring/clip_0.mp4")
    whole = "s3://aws_default@acme-campaigns/spring/clip_0.mp4"
    expect(card.locator(".store code")).to_have_attribute("title", whole)
    expect(page.locator("#totals")).to_have_text("1 clip · 5 s of video · 1 finished")


def test_the_first_frame_is_shown_without_leaving_the_video_open(page: Page, pages: FakePages) -> None:
    pages.films = {"campaign": film()}
    pages.renders = [finished(number) for number in range(24)]
    page.goto(pages.gallery)
    page.wait_for_function("() => document.querySelector('video').poster.startsWith('data:image/jpeg')")
    page.wait_for_function("() => !document.querySelector('video').hasAttribute('src')")
    far = page.locator("video").last
    assert not far.get_attribute("poster")
    far.scroll_into_view_if_needed()
    page.wait_for_function("() => [...document.querySelectorAll('video')].at(-1).poster")


def test_at_most_four_videos_are_open_at_once(page: Page, pages: FakePages) -> None:
    page.add_init_script(
        """
        window.__most = 0;
        new MutationObserver(() => {
          window.__most = Math.max(window.__most, document.querySelectorAll("video[src]").length);
        }).observe(document, {subtree: true, attributes: true, childList: true});
        """
    )
    pages.films = {"campaign": film()}
    pages.renders = [finished(number) for number in range(12)]
    page.goto(pages.gallery)
    page.wait_for_function("() => document.querySelectorAll('video[poster]').length >= 8")
    assert 1 <= page.evaluate("window.__most") <= 4


@pytest.mark.parametrize(("why", "words"), [("off", "Saved copies are not played here"), ("outside", "Saved outside")])
def test_a_video_that_may_not_be_played_says_how_to_turn_it_on(
    page: Page, pages: FakePages, why: str, words: str
) -> None:
    pages.renders = [without_preview(finished(0, video_url=None), why)]
    page.goto(pages.gallery)
    expect(page.locator(".card .media")).to_contain_text(words)
    expect(page.locator("#hint")).to_contain_text("preview_roots in the section [kling] of airflow.cfg")


def test_a_video_that_was_not_saved_leads_to_the_service(page: Page, pages: FakePages) -> None:
    expired = finished(0, saved_to=None, video_url_expires_at=ago(60))
    alive = finished(1, saved_to=None)
    pages.renders = [without_preview(expired, "not_saved"), without_preview(alive, "not_saved")]
    page.goto(pages.gallery)
    gone, there = page.locator(".card").all()
    expect(gone.get_by_role("button", name="Play")).to_be_hidden()
    expect(gone.get_by_role("link", name="Ask for a fresh link")).to_have_attribute("href", re.compile(r"^video\?"))
    expect(there.get_by_role("button", name="Play")).to_be_visible()
    expect(there).to_contain_text("Plays from the service, until")


def test_a_failure_says_its_reason_and_what_to_do(page: Page, pages: FakePages) -> None:
    pages.renders = [failed()]
    page.goto(pages.gallery)
    expect(page.locator(".badge")).to_have_text("Failed")
    expect(page.locator(".failure")).to_contain_text("a clear buys a new render")


def test_an_empty_gallery_says_how_to_make_a_render(page: Page, pages: FakePages) -> None:
    page.goto(pages.gallery)
    expect(page.locator("#empty")).to_contain_text("KlingTextToVideoOperator")


# Following what is rendered


def test_a_running_card_moves_without_asking_the_server(page: Page, pages: FakePages) -> None:
    pages.renders = [running(begun=10, left=20)]
    page.goto(pages.gallery)
    bar = page.locator(".card progress")
    expect(bar).to_be_visible()
    expect(page.locator(".card .progress")).to_contain_text("so far")
    page.evaluate("window.__same = true")
    asked = len(pages.questions("api/renders"))
    before = bar.evaluate("bar => bar.value")
    assert 0.2 < before < 0.9
    page.wait_for_function("before => document.querySelector('.card progress').value > before + 0.05", arg=before)
    assert len(pages.questions("api/renders")) == asked
    assert page.evaluate("window.__same")


def test_a_finished_render_appears_by_itself(page: Page, pages: FakePages) -> None:
    pages.renders = [running(0)]
    page.goto(pages.gallery)
    expect(page.locator(".badge")).to_have_text("Rendering")
    pages.renders = [finished(0)]
    expect(page.locator(".badge")).to_have_text("Finished")
    expect(page.locator("#live")).to_contain_text("Finished: A paper boat")


def test_a_refresh_leaves_what_has_not_changed_alone(page: Page, pages: FakePages) -> None:
    pages.films = {"campaign": film()}
    same = [finished(1), finished(2)]
    pages.renders = [running(0), *same]
    page.goto(pages.gallery)
    page.locator(".card").nth(1).get_by_role("button", name="Play").click()
    video = page.locator("video").nth(1)
    video.evaluate("video => { video.loop = true; }")
    wait_until_it_plays(video)
    page.evaluate("[...document.querySelectorAll('.card *')].forEach((node) => { node.__mine = true; })")
    page.evaluate("document.activeElement.__focused = true")
    pages.renders = [finished(8), finished(0), *same]
    look_again(page)
    expect(page.locator(".card")).to_have_count(4)
    expect(page.locator(".badge").nth(1)).to_have_text("Finished")
    assert page.evaluate("document.activeElement.__focused && document.activeElement.tagName") == "VIDEO"
    old = "[...document.querySelectorAll('.card')].slice({}).every(card => [...card.querySelectorAll('*')].every({}))"
    assert page.evaluate(old.format(2, "node => node.__mine"))
    assert not page.evaluate(old.format(0, "node => node.__mine"))
    wait_until_it_plays(page.locator("video").nth(2))


def test_when_airflow_is_away_the_page_keeps_what_it_shows(page: Page, pages: FakePages) -> None:
    pages.renders = [finished(0)]
    page.goto(pages.gallery)
    expect(page.locator(".card")).to_have_count(1)
    pages.broken = 503
    look_again(page)
    expect(page.locator("#problem")).to_contain_text(re.compile(r"can't be reached since \d\d:\d\d"))
    expect(page.locator(".card")).to_have_count(1)
    pages.broken = None
    look_again(page)
    expect(page.locator("#problem")).to_be_empty()


@pytest.mark.parametrize("ours", ["gallery", player(finished(0))])
def test_an_answer_that_stalls_half_way_does_not_stop_the_page(page: Page, pages: FakePages, ours: str) -> None:
    pages.renders = [finished(0)]
    page.clock.install()
    page.goto(f"{pages.airflow}/kling/{ours}")
    expect(page.locator(".badge")).to_have_text("Finished")
    pages.stalls = True
    with page.expect_response("**/kling/api/**"):
        page.clock.fast_forward("00:31")
    page.clock.fast_forward("00:31")
    expect(page.locator("#problem")).to_contain_text("can't be reached")
    pages.stalls = False
    page.clock.fast_forward("00:06")
    expect(page.locator("#problem")).to_be_empty()


@pytest.mark.parametrize(("status", "words"), [(401, "Sign in"), (403, "permission to read the XComs"), (500, "500")])
@pytest.mark.parametrize("ours", ["gallery", "player?dag_id=d&run_id=r&task_id=t"])
def test_refusals_are_told_in_words(page: Page, pages: FakePages, ours: str, status: int, words: str) -> None:
    pages.broken = status
    page.goto(f"{pages.airflow}/kling/{ours}")
    expect(page.locator("#problem")).to_contain_text(words)


# Finding


def test_filters_are_kept_in_the_address(page: Page, pages: FakePages) -> None:
    pages.renders = [finished(0), finished(1, dag_id="other"), failed(2), running(3)]
    page.goto(pages.gallery)
    expect(page.locator(".card")).to_have_count(4)
    page.get_by_label("State").select_option("finished")
    expect(page.locator(".card")).to_have_count(2)
    page.get_by_label("DAG").select_option("other")
    expect(page.locator(".card")).to_have_count(1)
    page.get_by_label("Search the prompts").fill("COFFEE")
    page.get_by_label("Time").select_option("day")
    page.wait_for_url("**/gallery?dag_id=other&state=finished&text=COFFEE&time=day")
    page.reload()
    expect(page.get_by_label("Search the prompts")).to_have_value("COFFEE")
    expect(page.get_by_label("DAG")).to_have_value("other")
    expect(page.locator("#totals")).to_have_text("1 clip · 8 s of video · 1 finished")
    page.get_by_label("Search the prompts").fill("nothing of the kind")
    expect(page.locator("#empty")).to_contain_text("No render matches the filter")
    page.get_by_role("button", name="Clear").click()
    expect(page.locator(".card")).to_have_count(4)
    page.wait_for_url("**/gallery")


def test_no_text_is_asked_for_that_the_server_would_refuse(page: Page, pages: FakePages) -> None:
    page.goto(f"{pages.gallery}?text={'x' * 3000}")
    expect(page.locator("#empty")).to_contain_text("No render matches")
    assert pages.questions("api/renders")[-1]["text"] == "x" * 2500
    search = page.get_by_label("Search the prompts")
    search.clear()
    search.press_sequentially("fox")
    search.evaluate("field => field.select()")
    page.keyboard.insert_text("y" * 3000)
    expect(search).to_have_value("y" * 2500)


def test_a_span_of_time_is_asked_for_in_utc(page: Page, pages: FakePages) -> None:
    pages.renders = [finished(0)]
    page.goto(pages.gallery)
    page.get_by_label("Time").select_option("range")
    page.get_by_label("From", exact=True).fill("2026-01-02T03:04")
    wanted = page.evaluate("new Date(2026, 0, 2, 3, 4).toISOString()")
    expect(page.locator(".card")).to_have_count(1)
    page.wait_for_url("**since=2026-01-02**")
    look_again(page)
    page.wait_for_function("() => document.querySelector('#grid').ariaBusy !== 'true'")
    assert pages.questions("api/renders")[-1]["since"] == wanted


def test_five_thousand_renders_are_leafed_through(page: Page, pages: FakePages) -> None:
    pages.renders = [finished(number) for number in range(5000)]
    page.goto(pages.gallery)
    expect(page.locator(".paging-words")).to_have_text("1–24 of 5,000")
    page.get_by_role("button", name="Next").click()
    expect(page.locator(".paging-words")).to_have_text("25–48 of 5,000")
    expect(page.locator(".card")).to_have_count(24)
    expect(page.locator(".card").first).to_contain_text("render_24")
    page.goto(f"{pages.gallery}?page=999")
    expect(page.locator(".paging-words")).to_have_text("4,993–5,000 of 5,000")
    expect(page.get_by_role("button", name="Next")).to_be_disabled()
