"""Which renders there are: the pages' questions to Airflow's metadata database.

A card is read as it lies in the database, with the JSON operators that SQLite, PostgreSQL and MySQL share. Nothing in
it is cast to a type, because a forged one would then break the whole list.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from airflow.models.dag import DagModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import String, Text, and_, case, cast, func, or_, select
from sqlalchemy.orm import aliased

from airflow_provider_kling.card import KEY
from airflow_provider_kling.links import KlingVideoLink

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sqlalchemy.orm import Session
    from sqlalchemy.sql import ColumnElement, Select, Subquery

State = Literal["rendering", "finished", "failed"]
_FINISHED = ("success",)
_FAILED = ("failed", "upstream_failed", "removed", "skipped")
_LENGTHS = [str(seconds) for seconds in range(1, 61)]
"""What counts as the length of a video; more than the API sells today."""
_MOST_SHOTS = 15
_LONGEST_CARD = 1_000_000
"""Characters; an honest one has far fewer, and two dozen giants would take all memory of the API server."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which renders are meant.

    :param readable: the DAGs that the person may read
    :param dag_id: of this DAG only; default: of all
    :param state: in this state only; default: in any
    :param text: only with this text in a prompt, upper and lower case alike; default: with any
    :param since: not created before; default: whenever
    :param until: not created after; default: whenever
    """

    readable: Collection[str]
    dag_id: str | None = None
    state: State | None = None
    text: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class Found(NamedTuple):
    """A render: its task instance, and the JSON of what was pushed as its card and as its link to the video."""

    dag_id: str
    dag_display_name: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    ti_state: str | None
    card: str | None
    link: str | None


class Totals(NamedTuple):
    """How much there is: renders, seconds of finished video, renders by state."""

    clips: int
    seconds: int
    by_state: dict[State, int]


def state_of(ti_state: str | None) -> State:
    """In which of our three states a task instance is.

    :param ti_state: its state in Airflow
    """
    if ti_state in _FINISHED:
        return "finished"
    return "failed" if ti_state in _FAILED else "rendering"


def count(session: Session, wanted: Wanted) -> int:
    """How many there are.

    :param session: of the metadata database
    :param wanted: which ones are meant
    """
    return session.scalar(select(func.count()).select_from(_matching(session, wanted).subquery())) or 0


def page(session: Session, wanted: Wanted, *, limit: int, offset: int) -> list[Found]:
    """Some of them, the youngest first.

    :param session: of the metadata database
    :param wanted: which ones are meant
    :param limit: how many at most
    :param offset: how many to skip
    """
    matching = _matching(session, wanted)
    created, dag_run_id, task_id, map_index = matching.selected_columns
    chosen = matching.order_by(created.desc(), dag_run_id.desc(), task_id, map_index).limit(limit).offset(offset)
    return _look_up(session, chosen.subquery())


def one(session: Session, *, dag_id: str, run_id: str, task_id: str, map_index: int) -> Found | None:
    """The render of one task instance; None when it has none.

    :param session: of the metadata database
    :param dag_id: of the task instance
    :param run_id: of the task instance
    :param task_id: of the task instance
    :param map_index: of the task instance, -1 when it is not mapped
    """
    chosen = _matching(session, Wanted(readable=[dag_id])).where(
        XComModel.run_id == run_id, XComModel.task_id == task_id, XComModel.map_index == map_index
    )
    return next(iter(_look_up(session, chosen.subquery())), None)


def totals(session: Session, wanted: Wanted) -> Totals:
    """How much there is of them.

    :param session: of the metadata database
    :param wanted: which ones are meant
    """
    length = cast(_card(session)["duration"].as_string(), String(20))
    each = _matching(session, wanted, with_state=True).with_only_columns(
        TaskInstance.state.label("state"), case((length.in_(_LENGTHS), length)).label("length")
    )
    rows = each.subquery()
    kinds = session.execute(select(rows.c.state, rows.c.length, func.count()).group_by(rows.c.state, rows.c.length))
    seconds = 0
    by_state: dict[State, int] = {"rendering": 0, "finished": 0, "failed": 0}
    for ti_state, text, number in kinds:
        state = state_of(ti_state)
        by_state[state] += number
        seconds += int(text or 0) * number if state == "finished" else 0
    return Totals(sum(by_state.values()), seconds, by_state)


def dag_ids(session: Session, readable: Collection[str]) -> list[str]:
    """The DAGs that have renders.

    :param session: of the metadata database
    :param readable: the DAGs that the person may read
    """
    having = select(XComModel.dag_id).where(XComModel.key == KEY, XComModel.dag_id.in_(readable)).distinct()
    return sorted(session.scalars(having))


def _matching(session: Session, wanted: Wanted, *, with_state: bool = False) -> Select[Any]:
    """When they were created, and their primary keys."""
    card = _card(session)
    created = func.coalesce(card["created_at"].as_string(), "")
    ids = (XComModel.dag_run_id, XComModel.task_id, XComModel.map_index)
    query = select(created.label("created"), *ids).where(XComModel.key == KEY, XComModel.dag_id.in_(wanted.readable))
    if with_state or wanted.state:  # else not: it takes longer than all the rest
        query = query.join(TaskInstance, _of_the_same(XComModel))
    if wanted.dag_id is not None:
        query = query.where(XComModel.dag_id == wanted.dag_id)
    if wanted.state:
        query = query.where(_is_in(wanted.state))
    if wanted.text:
        pattern = "%" + "".join(f"/{c}" if c in "/%_" else c for c in wanted.text) + "%"
        query = query.where(_speaks_of(card, pattern))
    if wanted.since:
        query = query.where(created >= _iso(wanted.since))
    if wanted.until:
        query = query.where(created <= _iso(wanted.until))
    return query


def _look_up(session: Session, chosen: Subquery) -> list[Found]:
    link = aliased(XComModel)
    card = cast(XComModel.value, Text)  # as text: whoever reads it copes with what is no JSON
    query = (
        select(
            XComModel.dag_id,
            func.coalesce(DagModel.dag_display_name, XComModel.dag_id),
            *(XComModel.run_id, XComModel.task_id, XComModel.map_index),
            *(TaskInstance.try_number, TaskInstance.state),
            case((func.length(card) <= _LONGEST_CARD, card)).label("card"),
            cast(link.value, Text).label("link"),
        )
        .select_from(chosen)
        .join(XComModel, and_(_is_of(chosen.c, XComModel), XComModel.key == KEY))
        .join(TaskInstance, _of_the_same(XComModel))
        .outerjoin(DagModel, DagModel.dag_id == XComModel.dag_id)
        .outerjoin(link, and_(_is_of(chosen.c, link), link.key == KlingVideoLink().xcom_key))
        .order_by(chosen.c.created.desc(), chosen.c.dag_run_id.desc(), chosen.c.task_id, chosen.c.map_index)
    )
    return [Found(*row) for row in session.execute(query)]


def _card(session: Session) -> Any:
    """The card; on SQLite, which takes what is no JSON and then fails over it, nothing in place of such."""
    if session.get_bind().dialect.name == "sqlite":
        return case((func.json_valid(XComModel.value) == 1, XComModel.value))
    return XComModel.value


def _speaks_of(card: Any, pattern: str) -> ColumnElement[bool]:
    first, *others = (card["multi_prompt", number, "prompt"].as_string() for number in range(_MOST_SHOTS))
    in_a_shot = or_(*(prompt.ilike(pattern, escape="/") for prompt in (first, *others)))
    return or_(card["prompt"].as_string().ilike(pattern, escape="/"), and_(first.is_not(None), in_a_shot))


def _is_in(state: State) -> ColumnElement[bool]:
    if state == "rendering":
        return or_(TaskInstance.state.is_(None), TaskInstance.state.not_in([*_FINISHED, *_FAILED]))
    return TaskInstance.state.in_(_FINISHED if state == "finished" else _FAILED)


def _of_the_same(xcom: Any) -> ColumnElement[bool]:
    names = ("dag_id", "run_id", "task_id", "map_index")
    return and_(*(getattr(TaskInstance, name) == getattr(xcom, name) for name in names))


def _is_of(chosen: Any, xcom: Any) -> ColumnElement[bool]:
    names = ("dag_run_id", "task_id", "map_index")
    return and_(*(getattr(chosen, name) == getattr(xcom, name) for name in names))


def _iso(moment: datetime) -> str:
    """As it stands in a card, where times are texts."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")
