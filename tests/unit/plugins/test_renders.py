"""What the pages are told: to whom, about which renders, and that nothing in a card can break it."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient
from sign_in import sign_in

from airflow_provider_kling.links import VideoAddress
from airflow_provider_kling.plugins.app import app

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx
    from metadata_rows import MetadataRows

ROUTES = ("renders", "totals", "render?dag_id=films&run_id=run&task_id=render")
CREATED = "2026-01-01T00:00:00+00:00"
LINK = VideoAddress(
    dag_id="films", run_id="run", task_id="render", map_index=-1, kling_conn_id="kling_default", render_id="r-1"
)


@pytest.fixture
def stranger(rows: MetadataRows, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """Somebody without a session."""
    sign_in("films", monkeypatch=monkeypatch)
    return TestClient(app)


@pytest.fixture
def client(rows: MetadataRows, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """Somebody who may read one DAG."""
    with TestClient(app, cookies=sign_in("films", monkeypatch=monkeypatch)) as client:
        yield client


def ask(client: TestClient, route: str, **params: Any) -> Any:
    answer: httpx.Response = client.get(f"/api/{route}", params=params or None)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    return answer.json()


def only(client: TestClient) -> dict[str, Any]:
    (render,) = ask(client, "renders")["renders"]
    return dict(render)


def test_a_render_is_described(client: TestClient, rows: MetadataRows) -> None:
    whose = rows.push({"created_at": CREATED, "prompt": "a fox", "duration": 5}, map_index=3, state="deferred")
    rows.show_as("films", "Our films")
    answer = ask(client, "renders")
    (render,) = answer.pop("renders")
    assert answer == {"total": 1, "limit": 24, "offset": 0}
    card = render.pop("card")
    assert (card["prompt"], card["duration"], card["saved_to"]) == ("a fox", 5, None)
    assert render == {
        **whose,
        "dag_display_name": "Our films",
        "try_number": 1,
        "state": "rendering",
        "ti_state": "deferred",
        "preview": None,
        "why_no_preview": "not_saved",
        "video": None,
    }
    assert ask(client, "render", **whose) == {**render, "card": card}


@pytest.mark.parametrize("route", ROUTES)
def test_without_a_session_there_is_nothing_to_see(stranger: TestClient, rows: MetadataRows, route: str) -> None:
    rows.push({"prompt": "a fox"})
    answer = stranger.get(f"/api/{route}")
    assert answer.status_code == 401
    assert answer.json() == {"detail": "Please sign in"}


def test_nothing_of_a_dag_that_may_not_be_read_is_told(client: TestClient, rows: MetadataRows) -> None:
    rows.push({"prompt": "a fox", "duration": 5})
    whose = rows.push({"prompt": "a secret bear", "duration": 7}, dag_id="secret")
    assert only(client)["dag_id"] == "films"
    assert ask(client, "renders")["total"] == 1
    assert ask(client, "renders", text="bear") == {"renders": [], "total": 0, "limit": 24, "offset": 0}
    by_state = {"rendering": 0, "finished": 1, "failed": 0}
    assert ask(client, "totals") == {"clips": 1, "seconds": 5, "by_state": by_state, "dags": ["films"]}
    for route in ("render", "renders", "totals"):
        refused = client.get(f"/api/{route}", params=whose)
        assert refused.status_code == 403
        assert "secret" not in refused.text


@pytest.mark.parametrize("dag_id", ["~", "", "films ", "FILMS", "films' OR '1'='1", "%"])
def test_no_trick_with_the_dags_id_leads_to_another(client: TestClient, rows: MetadataRows, dag_id: str) -> None:
    rows.push({}, dag_id="secret")
    rows.push({})
    asked = {"dag_id": dag_id, "run_id": "run", "task_id": "render"}
    assert client.get("/api/render", params=asked).status_code in {403, 404}
    answer = client.get("/api/renders", params=asked)
    assert answer.status_code == 403 or answer.json()["total"] == 0


def test_of_two_dags_in_one_question_the_one_that_was_checked_counts(client: TestClient, rows: MetadataRows) -> None:
    rows.push({}, dag_id="secret")
    for query in ("dag_id=secret&dag_id=films", "dag_id=films&dag_id=secret"):
        answer = client.get(f"/api/render?{query}&run_id=run&task_id=render")
        assert answer.status_code in {403, 404}


def test_a_time_without_a_zone_is_utc_wherever_the_server_stands(
    client: TestClient, rows: MetadataRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows.push({"created_at": "2026-01-01T05:00:00+00:00"})
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        found = [ask(client, "renders", since=f"2026-01-01T05:00:0{second}")["total"] for second in (0, 1)]
    time.tzset()
    assert found == [1, 0]


def test_the_filters_are_those_of_the_catalogue(client: TestClient, rows: MetadataRows) -> None:
    for hour, state in enumerate(("success", "failed", "running")):
        rows.push(
            {"created_at": f"2026-01-01T0{hour}:00:00+00:00", "prompt": f"fox {hour}"}, task_id=state, state=state
        )
    for params, tasks in (
        ({}, ["running", "failed", "success"]),
        ({"state": "failed"}, ["failed"]),
        ({"text": "FOX 2"}, ["running"]),
        ({"since": "2026-01-01T01:00:00Z"}, ["running", "failed"]),
        ({"since": "2026-01-01T02:30:00+01:30", "until": "2026-01-01T01:00:00.999Z"}, ["failed"]),
        ({"since": "2026-01-01"}, ["running", "failed", "success"]),
        ({"limit": 1, "offset": 1}, ["failed"]),
        ({"offset": 9}, []),
        ({"state": "", "text": "", "since": "", "until": ""}, ["running", "failed", "success"]),
        ({"dag_id": "films"}, ["running", "failed", "success"]),
    ):
        assert [render["task_id"] for render in ask(client, "renders", **params)["renders"]] == tasks, params


@pytest.mark.parametrize(
    "params",
    [
        *({"limit": limit} for limit in (0, -1, 101, 10**30, "x", "")),
        *({"offset": offset} for offset in (-1, 10**30, "1.5")),
        {"state": "gone"},
        {"since": "yesterday"},
        {"until": "0001-01-01T00:00:00+14:00"},
        {"text": "x" * 2501},
        {"text": "a\0b"},
        {"dag_id": "films\0"},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(client: TestClient, params: dict[str, Any]) -> None:
    answer = client.get("/api/renders", params=params)
    assert answer.status_code == 400
    assert set(answer.json()) == {"detail"}


@pytest.mark.parametrize(
    ("map_index", "status"), [("{MAP_INDEX}", 200), ("-1", 200), (None, 200), ("0", 404), ("-2", 400), ("x", 400)]
)
def test_a_tab_of_a_task_that_is_not_mapped_finds_it(
    client: TestClient, rows: MetadataRows, map_index: str | None, status: int
) -> None:
    whose = rows.push({}) | ({"map_index": map_index} if map_index else {})
    if map_index is None:
        del whose["map_index"]
    assert client.get("/api/render", params=whose).status_code == status


@pytest.mark.parametrize(
    "changed", [{"run_id": "x"}, {"task_id": "\ud7ff"}, {"map_index": 2**31 - 1}, {"run_id": "x" * 5000}], ids=str
)
def test_what_has_no_card_is_not_there(client: TestClient, rows: MetadataRows, changed: dict[str, Any]) -> None:
    whose = rows.push({})
    assert client.get("/api/render", params={**whose, **changed}).status_code == 404


def test_other_xcoms_are_out_of_reach(client: TestClient, rows: MetadataRows) -> None:
    whose = rows.push({"prompt": "a secret"}, key="return_value")
    assert client.get("/api/render", params={**whose, "key": "return_value"}).status_code == 404
    assert client.get("/api/renders", params={"key": "return_value"}).json()["total"] == 0


ABSURD: tuple[Any, ...] = (None, True, -1, 1.5, 10**300, "", "x", "2026", "<script>", [], [1], {}, {"prompt": 5})
FORGED = [
    *ABSURD,
    '{"prompt": "as a text"}',
    "s3://bucket/xcom",
    [[[{"created_at": CREATED}]]],
    json.loads("[" * 800 + "]" * 800),
    *({field: value} for field in ("created_at", "prompt", "multi_prompt", "duration", "saved_to") for value in ABSURD),
    {"multi_prompt": [None, 3, {"prompt": {}}, {"prompt": "a fox"}]},
    {"multi_prompt": {"0": {"prompt": "fox"}}},
    {"duration": "5; DROP TABLE xcom", "created_at": "' OR 1=1 --"},
    {"task_id": "x" * 10**6, "video_url": "javascript:alert(1)", "bytes": 10**40},
]


def test_no_forged_card_breaks_the_list(rows_anywhere: MetadataRows, monkeypatch: pytest.MonkeyPatch) -> None:
    client = TestClient(app, cookies=sign_in("films", monkeypatch=monkeypatch))
    for map_index, card in enumerate(FORGED):
        rows_anywhere.push(card, map_index=map_index, link=card)
    for route in ("renders?limit=100", "renders?text=fox", "renders?since=2026-01-01&until=2027-01-01", "totals"):
        ask(client, route)
    renders = ask(client, "renders", limit=100)
    assert renders["total"] == len(FORGED)
    assert {render["map_index"] for render in renders["renders"]} == set(range(len(FORGED)))
    assert {render["video"] for render in renders["renders"]} == {None}
    for map_index in range(len(FORGED)):
        ask(client, "render", dag_id="films", run_id="run", task_id="render", map_index=map_index)


@pytest.mark.parametrize("value", ["\ud800", "\0", float("nan"), float("inf")], ids=ascii)
def test_what_only_sqlite_keeps_does_not_break_it_either(client: TestClient, rows: MetadataRows, value: Any) -> None:
    for field in ("created_at", "prompt", "duration", "saved_to", "percent"):
        rows.push({field: value}, task_id=field, link=f"{replace(LINK, task_id=field).url('/')}{value}")
    for route in ("renders", "renders?text=fox", "renders?since=2026-01-01", "totals"):
        ask(client, route)


SAVED = {
    "nothing saved": ({}, "file:///videos", "not_saved"),
    "nothing saved, and off": ({}, "", "not_saved"),
    "off": ({"saved_to": "file:///videos/fox.mp4"}, "", "off"),
    "elsewhere": ({"saved_to": "file:///etc/passwd"}, "file:///videos", "outside"),
    "here": ({"saved_to": "file:///videos/fox.mp4"}, "file:///videos", None),
}


@pytest.mark.parametrize(("card", "roots", "why_not"), SAVED.values(), ids=SAVED)
def test_a_saved_video_is_offered_where_it_may_be_played(
    client: TestClient,
    rows: MetadataRows,
    monkeypatch: pytest.MonkeyPatch,
    *,
    card: dict[str, Any],
    roots: str,
    why_not: str | None,
) -> None:
    monkeypatch.setenv("AIRFLOW__KLING__PREVIEW_ROOTS", roots)
    rows.push(card, run_id="a+b c&d")
    render = only(client)
    assert render["why_no_preview"] == why_not
    there = "preview?dag_id=films&run_id=a%2Bb+c%26d&task_id=render&map_index=-1"
    assert render["preview"] == (None if why_not else there)


def test_the_services_video_is_offered_by_the_link_that_the_task_pushed(client: TestClient, rows: MetadataRows) -> None:
    rows.push({"task_id": "forged", "kling_conn_id": "forged"}, link=LINK.url("https://airflow.example/prefix"))
    video = only(client)["video"]
    assert video.startswith("video?")
    assert VideoAddress.read(video) == LINK


OTHER_LINKS = {
    "dag_id": replace(LINK, dag_id="x").url("/"),
    "run_id": replace(LINK, run_id="x").url("/"),
    "task_id": replace(LINK, task_id="x").url("/"),
    "map_index": replace(LINK, map_index=0).url("/"),
    "no id": replace(LINK, render_id="a b").url("/"),
    "elsewhere": "https://evil.example/?dag_id=films",
    "script": "javascript:alert(1)",
    "a list": [LINK.url("/")],
}


@pytest.mark.parametrize("link", OTHER_LINKS.values(), ids=OTHER_LINKS)
def test_any_other_link_is_not_offered(client: TestClient, rows: MetadataRows, link: Any) -> None:
    rows.push({}, link=link)
    assert only(client)["video"] is None
