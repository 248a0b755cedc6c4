"""Which renders the pages list, in which order, and what they come to; on every database alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.dialects import mysql

from airflow_provider_kling.plugins import catalogue
from airflow_provider_kling.plugins.cards import read_card, read_json
from airflow_provider_kling.plugins.catalogue import State, Totals, Wanted

if TYPE_CHECKING:
    from metadata_rows import MetadataRows

START = datetime(2026, 1, 1, tzinfo=UTC)


def made(hours: float = 0, **more: Any) -> dict[str, Any]:
    return {"created_at": (START + timedelta(hours=hours)).isoformat(timespec="seconds"), **more}


def found(rows: MetadataRows, *, limit: int = 24, offset: int = 0, **wanted: Any) -> list[str]:
    """The tasks of what is found; it checks that the count agrees."""
    asked = Wanted(**{"readable": ["films"], **wanted})
    with rows.session() as session:
        listed = [render.task_id for render in catalogue.page(session, asked, limit=limit, offset=offset)]
        if not offset and len(listed) < limit:
            assert catalogue.count(session, asked) == len(listed)
    return listed


def totals(rows: MetadataRows, **wanted: Any) -> Totals:
    with rows.session() as session:
        return catalogue.totals(session, Wanted(**{"readable": ["films"], **wanted}))


def test_nothing_is_found_where_there_is_nothing(rows_anywhere: MetadataRows) -> None:
    assert found(rows_anywhere) == []
    assert totals(rows_anywhere) == (0, 0, {"rendering": 0, "finished": 0, "failed": 0})


def test_the_youngest_comes_first(rows_anywhere: MetadataRows) -> None:
    for task_id, hours in (("b", 2), ("a", 3), ("c", 1)):
        rows_anywhere.push(made(hours), task_id=task_id)
    assert found(rows_anywhere) == ["a", "b", "c"]


def test_of_the_same_age_the_later_run_comes_first_and_then_the_order_is_by_name(rows: MetadataRows) -> None:
    rows.push(made(), run_id="first", task_id="a")
    for task_id, map_index in (("b", 1), ("c", -1), ("b", 0)):
        rows.push(made(), run_id="second", task_id=task_id, map_index=map_index)
    with rows.session() as session:
        listed = catalogue.page(session, Wanted(readable=["films"]), limit=24, offset=0)
    assert [(one.task_id, one.map_index) for one in listed] == [("b", 0), ("b", 1), ("c", -1), ("a", -1)]


def test_what_has_no_time_comes_last(rows_anywhere: MetadataRows) -> None:
    for task_id, card in (("a", {}), ("b", made()), ("c", None), ("d", [])):
        rows_anywhere.push(card, task_id=task_id)
    assert found(rows_anywhere) == ["b", "a", "c", "d"]


def test_a_giant_is_listed_but_not_read(rows_anywhere: MetadataRows) -> None:
    rows_anywhere.push(made(prompt="x" * 2_000_000), task_id="giant")
    rows_anywhere.push(made(prompt="x" * 50_000), task_id="honest")
    with rows_anywhere.session() as session:
        listed = catalogue.page(session, Wanted(readable=["films"]), limit=24, offset=0)
    assert [(one.task_id, one.card is None) for one in listed] == [("giant", True), ("honest", False)]


def test_pages_show_everything_once(rows: MetadataRows) -> None:
    rows.push_all([made(hours % 7) for hours in range(50)], run_id="mapped")
    asked = Wanted(readable=["films"])
    seen = []
    with rows.session() as session:
        for offset in range(0, 60, 12):
            seen += [one.map_index for one in catalogue.page(session, asked, limit=12, offset=offset)]
    assert sorted(seen) == list(range(50))


@pytest.mark.parametrize(
    ("ti_state", "state"),
    [
        ("success", "finished"),
        *((bad, "failed") for bad in ("failed", "upstream_failed", "removed", "skipped")),
        *((going, "rendering") for going in ("deferred", "running", "up_for_retry", "up_for_reschedule", "queued")),
        (None, "rendering"),
    ],
)
def test_a_task_instances_state_is_one_of_three(rows: MetadataRows, ti_state: str | None, state: State) -> None:
    rows.push(made(), state=ti_state)
    assert catalogue.state_of(ti_state) == state
    for asked in ("rendering", "finished", "failed"):
        assert found(rows, state=asked) == (["render"] if asked == state else [])
    assert totals(rows).by_state[state] == 1


def test_a_time_span_includes_both_its_ends(rows_anywhere: MetadataRows) -> None:
    for hours in range(5):
        rows_anywhere.push(made(hours), task_id=str(hours))
    since, until = START + timedelta(hours=1), START + timedelta(hours=3)
    assert found(rows_anywhere, since=since) == ["4", "3", "2", "1"]
    assert found(rows_anywhere, until=until) == ["3", "2", "1", "0"]
    assert found(rows_anywhere, since=since, until=until) == ["3", "2", "1"]


TEXTS = {
    "a word": ("fox", "A fox in the snow", True),
    "in capitals": ("FOX", "A fox in the snow", True),
    "of a text in capitals": ("fox", "A FOX", True),
    "not there": ("bear", "A fox", False),
    "a percent sign": ("50%", "50% off", True),
    "no wildcard": ("5%f", "50% off", False),
    "an underscore": ("a_b", "a_b", True),
    "no wildcard for a letter": ("a_b", "axb", False),
    "the escape itself": ("a/b", "a/b", True),
    "a backslash": ("a\\b", "a\\b", True),
    "quotes": ("""say "it's" '""", """They say "it's" 'now'""", True),
    "other scripts": ("лиса 狐", "Рыжая лиса 狐狸", True),
    "an umlaut": ("Füchse", "Zwei Füchse", True),
    "a name of a field": ("duration", "A fox", False),
}


@pytest.mark.parametrize(("text", "prompt", "there"), TEXTS.values(), ids=TEXTS)
def test_a_text_is_looked_for_in_prompts(rows_anywhere: MetadataRows, text: str, prompt: str, *, there: bool) -> None:
    last = [{"prompt": "x", "duration": 1}] * 14 + [{"prompt": prompt, "duration": 1}]
    for task_id, card in (("one", {"prompt": prompt, "multi_prompt": None}), ("shots", {"multi_prompt": last})):
        rows_anywhere.push(made(**card, duration=5), task_id=task_id)
    assert found(rows_anywhere, text=text) == (["one", "shots"] if there else [])


def test_a_text_is_looked_for_nowhere_else(rows: MetadataRows) -> None:
    rows.push(made(prompt="x", negative_prompt="fox", model="fox", failure="fox", task_id="fox"), task_id="fox")
    assert found(rows, text="fox") == []


def test_only_dags_that_may_be_read_are_there(rows_anywhere: MetadataRows) -> None:
    rows_anywhere.push(made(duration=5), dag_id="films", task_id="mine")
    rows_anywhere.push(made(duration=7), dag_id="secret", task_id="theirs")
    rows_anywhere.push({"no": "card"}, dag_id="x", key="another")
    assert found(rows_anywhere) == ["mine"]
    assert found(rows_anywhere, readable=["films", "secret"], dag_id="secret") == ["theirs"]
    assert found(rows_anywhere, dag_id="secret") == []
    assert found(rows_anywhere, readable=[]) == []
    assert totals(rows_anywhere)[:2] == (1, 5)
    with rows_anywhere.session() as session:
        assert catalogue.dag_ids(session, ["films"]) == ["films"]
        assert catalogue.dag_ids(session, ["films", "secret", "x"]) == ["films", "secret"]


def test_only_cards_are_there(rows: MetadataRows) -> None:
    for key in ("return_value", "kling_render2", "KLING_RENDER", "task_id"):
        whose = rows.push(made(), key=key, task_id=key)
        with rows.session() as session:
            assert catalogue.one(session, **whose) is None
    assert found(rows) == []


def test_one_is_the_one_asked_for(rows_anywhere: MetadataRows) -> None:
    for map_index in (-1, 0, 1):
        rows_anywhere.push({"n": map_index}, map_index=map_index)
    rows_anywhere.push({"n": "other"}, run_id="other")
    rows_anywhere.show_as("films", "Our films")
    whose = {"dag_id": "films", "run_id": "run", "task_id": "render"}
    with rows_anywhere.session() as session:
        one = catalogue.one(session, **whose, map_index=1)
        assert one
        assert (read_json(one.card), one.dag_display_name, one.try_number) == ({"n": 1}, "Our films", 1)
        assert catalogue.one(session, **whose, map_index=2) is None


def test_seconds_are_those_of_finished_videos_and_forged_ones_count_for_nothing(rows_anywhere: MetadataRows) -> None:
    for map_index, duration in enumerate((5, 10, 10, "abc", 1e300, -5, None, {"a": 1}, [5], 5.5, "'; --", 10**9)):
        rows_anywhere.push(made(duration=duration), map_index=map_index)
    rows_anywhere.push(made(duration=15), task_id="going", state="running")
    assert totals(rows_anywhere) == (13, 25, {"rendering": 1, "finished": 12, "failed": 0})


@pytest.mark.parametrize("forged", ['{"duration": NaN}', "no JSON", "[" * 1100 + "]" * 1100])
def test_what_is_no_json_does_not_hide_the_others(rows: MetadataRows, forged: str) -> None:
    """SQLite keeps whatever it is given."""
    rows.push(made(prompt="fox", duration=5), task_id="good")
    rows.push({}, task_id="bad")
    with rows.session.begin() as session:
        raw = session.connection().connection.cursor()
        raw.execute("UPDATE xcom SET value = ? WHERE task_id = 'bad'", (forged,))
    with rows.session() as session:
        everything = Wanted(readable=["films"])
        assert catalogue.count(session, everything) == 2
        assert [one.task_id for one in catalogue.page(session, everything, limit=9, offset=0)] == ["good", "bad"]
        assert catalogue.totals(session, everything)[:2] == (2, 5)
        assert catalogue.count(session, Wanted(readable=["films"], text="fox", since=START)) == 1


def test_five_thousand_are_found_page_by_page(rows_anywhere: MetadataRows) -> None:
    for run in range(50):
        cards = [made((run * 100 + number) % 4999, prompt=f"fox {run} {number}", duration=5) for number in range(100)]
        rows_anywhere.push_all(cards, run_id=f"run {run}")
    with rows_anywhere.session() as session:
        everything = Wanted(readable=["films"])
        assert catalogue.count(session, everything) == 5000
        assert catalogue.totals(session, everything)[:2] == (5000, 25000)
        cards = [read_card(one.card) or {} for one in catalogue.page(session, everything, limit=100, offset=2400)]
        times = [card["created_at"] for card in cards]
        assert times == [made(4998 - number)["created_at"] for number in range(2400, 2500)]
        (one,) = catalogue.page(session, Wanted(readable=["films"], text="FOX 17 42"), limit=9, offset=0)
        assert (one.run_id, one.map_index) == ("run 17", 42)


def test_mysql_is_asked_in_its_own_words(rows: MetadataRows) -> None:
    with rows.session() as session:
        wanted = Wanted(readable=["films"], text="fox", state="failed", since=START)
        query = str(catalogue._matching(session, wanted).compile(dialect=mysql.dialect()))
    assert "JSON_UNQUOTE(JSON_EXTRACT(" in query
