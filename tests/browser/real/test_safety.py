"""Who sees what, and what forged cards and nasty prompts come to."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from doorman import OUTSIDER
from playwright.sync_api import expect
from visits import gallery_url, our_frame, player_url, task_url

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    import httpx
    from guarded_airflow import GuardedAirflow
    from playwright.sync_api import Page
    from visits import Visits

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(400)]
HIDDEN = "hidden_campaign"
SECRET = b"\x00\x00\x00\x18ftypisom the video that nobody may see"


def of(dag_id: str, run_id: str, **other: Any) -> str:
    return urlencode({"dag_id": dag_id, "run_id": run_id, "task_id": "render", "map_index": -1} | other)


def test_nothing_that_a_browser_receives_goes_unread(
    page: Page, visits: Visits, airflow: GuardedAirflow, ended: Callable[[str], str]
) -> None:
    """The other tests rely on it: at its end each looks for secrets in all of it."""
    ended("single")
    page.goto(gallery_url(airflow, dag_id="single"))
    expect(page.locator(".card")).to_have_count(1)
    told = {url: text for url, text in visits.end() if "single: a paper boat" in text}
    assert any("/kling/api/renders?" in url for url in told)


# Without a session


@pytest.mark.parametrize("route", ["gallery", "player", "api/renders", "api/totals", "api/render", "preview", "video"])
def test_without_a_session_there_is_nothing_to_see(
    airflow: GuardedAirflow, ended: Callable[[str], str], route: str
) -> None:
    with airflow.browse(None) as nobody, airflow.browse() as ann:
        asked = f"{route}?{of('single', ended('single'))}"
        answer = nobody.get(asked)
        assert answer.status_code == 401
        assert "single" not in answer.text
        assert "<script" not in answer.text
        assert nobody.get(asked, headers={"Cookie": "_token=made.up.token"}).status_code in {401, 403}
        assert route == "video" or ann.get(asked).status_code in {200, 206}


def test_without_a_session_a_browser_is_sent_to_sign_in(visits: Visits, airflow: GuardedAirflow) -> None:
    page = visits.begin(None)
    page.goto(f"{airflow.base_url}/plugin/kling-renders")
    page.wait_for_url(lambda url: "/auth/login" in url)
    expect(page.locator(".card")).to_have_count(0)


def test_a_session_that_ends_is_told_and_leaves_what_was_seen(
    page: Page, airflow: GuardedAirflow, ended: Callable[[str], str]
) -> None:
    ended("single")
    page.goto(gallery_url(airflow, dag_id="single"))
    expect(page.locator(".card")).to_have_count(1)
    expect(page.locator("#totals")).to_have_text("1 clip · 3 s of video · 1 finished")
    page.context.clear_cookies()
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("#problem")).to_contain_text("Your session has ended.")
    expect(page.locator(".card")).to_have_count(1)


# Without access to a DAG


@pytest.fixture
def outsider(airflow: GuardedAirflow) -> Any:
    with airflow.browse(OUTSIDER) as browser:
        yield browser


def test_an_outsider_finds_nothing_of_a_hidden_dag(
    outsider: httpx.Client, airflow: GuardedAirflow, ended: Callable[[str], str], archive: str
) -> None:
    ended(HIDDEN)
    with airflow.browse() as ann:
        all_of_them = ann.get("api/totals").json()
        assert HIDDEN in all_of_them["dags"]
        assert ann.get("api/renders", params={"dag_id": HIDDEN}).json()["total"] == 1
    seen = outsider.get("api/totals").json()
    assert seen["clips"] == all_of_them["clips"] - 1
    assert HIDDEN not in seen["dags"]
    for query in ("", "?limit=100", f"?text={HIDDEN}", "?state=finished&limit=100"):
        assert "hidden" not in outsider.get(f"api/renders{query}").text
    for route in ("renders", "totals"):
        assert outsider.get(f"api/{route}", params={"dag_id": HIDDEN}).status_code == 403


@pytest.mark.parametrize("route", ["api/render", "preview"])
def test_an_outsider_is_refused_a_hidden_render(
    outsider: httpx.Client, airflow: GuardedAirflow, ended: Callable[[str], str], route: str
) -> None:
    asked = f"{route}?{of(HIDDEN, ended(HIDDEN))}"
    for query in (asked, f"{asked}&dag_id={HIDDEN}"):
        answer = outsider.get(query)
        assert answer.status_code == 403
        assert b"paper boat" not in answer.content
        assert b"ftyp" not in answer.content
    for query in (f"{asked}&dag_id=single", f"{route}?dag_id=single&{of(HIDDEN, ended(HIDDEN))}"):
        assert outsider.get(query).status_code in {403, 404}
    assert outsider.head(f"preview?{of(HIDDEN, ended(HIDDEN))}").status_code == 403
    with airflow.browse() as ann:
        assert ann.get(asked).status_code == 200


def test_an_outsiders_pages_do_not_name_what_is_hidden(
    visits: Visits, airflow: GuardedAirflow, ended: Callable[[str], str]
) -> None:
    run_id = ended(HIDDEN)
    page = visits.begin(OUTSIDER)
    page.goto(gallery_url(airflow, text="paper boat"))
    expect(page.locator(".card").first).to_be_visible()
    expect(page.get_by_label("DAG").locator("option[value=single]")).to_have_count(1)
    assert HIDDEN not in page.content()
    page.goto(player_url(airflow, dag_id=HIDDEN, run_id=run_id, task_id="render", map_index=-1))
    expect(page.locator("#problem")).to_contain_text("You may not see these renders.")
    assert "paper boat" not in page.content()


# Nasty prompts


def test_nasty_prompts_stay_text(page: Page, airflow: GuardedAirflow, ended: Callable[[str], str]) -> None:
    run_id = ended("nasty")
    page.goto(gallery_url(airflow, dag_id="nasty"))
    cards = page.locator(".card")
    expect(cards).to_have_count(3)
    expect(cards.filter(has_text="<script>window.__hacked=1</script><img src=x")).to_have_count(1)
    for map_index in range(3):
        page.goto(player_url(airflow, dag_id="nasty", run_id=run_id, task_id="render", map_index=map_index))
        card = airflow.xcom("nasty", run_id, "render", key="kling_render", map_index=map_index)
        expect(page.locator("p.prompt")).to_have_text(card["prompt"])
        assert not page.locator("script:not([src]), img[onerror], b[onmouseover], a[href^='javascript']").count()


def test_links_of_a_forged_card_lead_nowhere(
    page: Page, airflow: GuardedAirflow, forge: Callable[[Any], dict[str, Any]]
) -> None:
    bad = "javascript:window.__hacked=1"
    where = forge({"status": "TASK_STATUS_SUCCEED", "prompt": "forged links", "video_url": bad, "saved_to": bad})
    page.goto(f"{task_url(airflow, **where)}/plugin/kling-video")
    ours = our_frame(page)
    expect(ours.locator("p.prompt").first).to_have_text("forged links")
    expect(ours.get_by_role("button", name="Play")).to_be_hidden()
    assert not ours.locator("[href^=javascript], [src^=javascript]").count()


@pytest.mark.parametrize(
    "card", [None, 17, "text", [1, {"a": []}], {"prompt": {"a": 1}, "duration": "x", "status": []}], ids=str
)
def test_a_card_that_is_none_breaks_no_list(
    page: Page, airflow: GuardedAirflow, forge: Callable[[Any], dict[str, Any]], card: Any
) -> None:
    forge(card)
    page.goto(gallery_url(airflow, dag_id="forged"))
    expect(page.locator(".card").first).to_be_visible()
    expect(page.locator("#problem")).to_be_empty()
    expect(page.locator("#totals")).to_contain_text("clip")


# Forged places


@pytest.fixture(scope="module")
def traps(videos: Path) -> None:
    """A video that lies outside, and links that lead there."""
    outside = videos.parent / "outside"
    videos.mkdir(exist_ok=True)
    for folder in (outside, videos.with_name(f"{videos.name}-more")):
        folder.mkdir()
        (folder / "secret.mp4").write_bytes(SECRET)
    (videos / "link.mp4").symlink_to(outside / "secret.mp4")
    (videos / "folder").symlink_to(outside)


@pytest.mark.parametrize(
    "saved_to",
    [
        "file:///etc/passwd", "/etc/passwd", "VIDEOS/../outside/secret.mp4", "VIDEOS/%2e%2e/outside/secret.mp4",
        "VIDEOS/..%2foutside%2fsecret.mp4", "VIDEOS/link.mp4", "VIDEOS/folder/secret.mp4", "VIDEOS-more/secret.mp4",
        "s3://storage@elsewhere/videos/a.mp4", "s3://storage@bucket/other/a.mp4", "s3://storage@bucket/videos/../a.mp4",
        "http://127.0.0.1:1/a.mp4",
    ],
)  # fmt: skip
def test_a_forged_place_is_refused(
    airflow: GuardedAirflow,
    videos: Path,
    forge: Callable[[Any], dict[str, Any]],
    traps: None,
    saved_to: str,
) -> None:
    where = forge({"status": "TASK_STATUS_SUCCEED", "saved_to": saved_to.replace("VIDEOS", videos.as_posix())})
    with airflow.browse() as ann:
        for method in ("GET", "HEAD"):
            answer = ann.request(method, "preview", params=where, headers={"Range": "bytes=0-99"})
            assert answer.status_code == 404
            assert b"ftyp" not in answer.content
            assert b"root:" not in answer.content
            assert answer.headers["content-type"].startswith("text/html")
