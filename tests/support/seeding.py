"""Thousands of renders that never were, in the database of a real Airflow: a finished task instance, over and over."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import MetaData, Table, create_engine, insert, select

from airflow_provider_kling.card import KEY, updated
from airflow_provider_kling.manifest import iso

if TYPE_CHECKING:
    from sqlalchemy import Connection

ANIMALS = ("A fox", "An otter", "A heron", "A hedgehog", "A lynx")
PLACES = ("in the snow", "by a lake at dawn", "on a rainy street", "in a wheat field", "on the moon")
_AT_ONCE = 500


def seed(database_url: str, dag_id: str, run_id: str, task_id: str, *, count: int, at: float) -> None:
    """Make an unmapped, finished task instance a mapped one with many finished renders, one in ten failed.

    :param database_url: SQLAlchemy address of Airflow's database
    :param dag_id: of the task instance
    :param run_id: of the task instance
    :param task_id: of the task instance
    :param count: how many
    :param at: epoch seconds of the newest
    """
    engine = create_engine(database_url)
    with engine.begin() as connection:
        tables = MetaData()
        tables.reflect(connection, only=["task_instance", "xcom"])
        task_instances, xcoms = tables.tables["task_instance"], tables.tables["xcom"]
        ti = _one(connection, task_instances, dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=-1)
        xcom = _one(connection, xcoms, dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=-1, key=KEY)
        for first in range(0, count, _AT_ONCE):
            numbers = range(first, min(first + _AT_ONCE, count))
            states = {number: "failed" if number % 10 == 9 else "success" for number in numbers}
            connection.execute(
                insert(task_instances),
                [{**ti, "id": _like(ti["id"]), "map_index": number, "state": states[number]} for number in numbers],
            )
            connection.execute(
                insert(xcoms),
                [_xcom(xcom, number, at - 60.0 * number, failed=states[number] == "failed") for number in numbers],
            )
    engine.dispose()


def prompt_of(number: int) -> str:
    """What a seeded render shows.

    :param number: its map index
    """
    detail = " ".join(random.Random(number).choices(("soft", "grain", "slow", "pan", "golden", "light", "lens"), k=100))
    return f"{ANIMALS[number % 5]} {PLACES[number // 5 % 5]}, take {number}: {detail}"


def _xcom(template: dict[str, Any], number: int, at: float, *, failed: bool) -> dict[str, Any]:
    news = {"submitted_at": iso(at), "prompt": prompt_of(number), "task_id": str(uuid.UUID(int=number))}
    if failed:
        news |= {"status": "TASK_STATUS_FAILED", "failure": "Render failed (out of memory). A clear buys a new render."}
    card = updated({**template["value"], "created_at": None}, at + 240, **news)
    written = datetime.fromtimestamp(at, UTC) + timedelta(seconds=240)
    return {**template, "map_index": number, "value": card, "timestamp": written}


def _one(connection: Connection, table: Table, **where: Any) -> dict[str, Any]:
    query = select(table).where(*(table.c[name] == value for name, value in where.items()))
    return dict(connection.execute(query).mappings().one())


def _like(identity: Any) -> Any:
    """A fresh id in the form that this database keeps them."""
    fresh = uuid.uuid4()
    if isinstance(identity, uuid.UUID):
        return fresh
    return str(fresh) if "-" in str(identity) else fresh.hex
