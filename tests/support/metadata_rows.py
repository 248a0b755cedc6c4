"""A metadata database with runs and task instances."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow import settings
from airflow.models import import_all_models
from airflow.models.base import Base
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import Engine, create_engine, delete, insert, select
from sqlalchemy.orm import sessionmaker

if TYPE_CHECKING:
    import pytest
    from sqlalchemy.orm import Session

_NOW = datetime(2026, 1, 1, tzinfo=UTC)


_Row = tuple[dict[str, Any], str | None, dict[str, Any]]
"""Whose task instance, its state, and its XComs by their keys."""
_TABLES = (XComModel, TaskInstance, DagRun, DagModel, DagBundleModel)


def make_tables(url: str) -> Engine:
    """Make the tables of Airflow's metadata database.

    :param url: SQLAlchemy address of an empty database
    """
    engine = create_engine(url)
    import_all_models()
    Base.metadata.create_all(engine)
    return engine


class MetadataRows:
    """A metadata database without rows, used by Airflow during a test.

    :param engine: what :func:`make_tables` gave
    :param monkeypatch: puts Airflow's own back
    """

    def __init__(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.session = sessionmaker(engine, autoflush=False, expire_on_commit=False)
        for name in ("Session", "NonScopedSession"):
            monkeypatch.setattr(settings, name, self.session)
        with self.session.begin() as session:
            for table in _TABLES:
                session.execute(delete(table))
            session.execute(insert(DagBundleModel), [{"name": "films"}])

    def push(
        self,
        card: Any,
        *,
        dag_id: str = "films",
        run_id: str = "run",
        task_id: str = "render",
        map_index: int = -1,
        state: str | None = "success",
        key: str = "kling_render",
        link: Any = None,
    ) -> dict[str, Any]:
        """A task instance that has pushed a card, in place of an earlier one; returns whose it is.

        :param card: the XCom, taken as it is
        :param dag_id: of the task instance
        :param run_id: of the task instance
        :param task_id: of the task instance
        :param map_index: of the task instance
        :param state: of the task instance
        :param key: of the XCom; default: that of a card
        :param link: what it has pushed as its link to the video; default: nothing
        """
        whose = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": map_index}
        with self.session.begin() as session:
            for table in (XComModel, TaskInstance):
                session.execute(delete(table).filter_by(**whose))
            links = {"_link_KlingVideoLink": link} if link else {}
            self._push_all(session, [(whose, state, {key: card, **links})])
        return whose

    def push_all(self, cards: list[Any], *, run_id: str, dag_id: str = "films", state: str = "success") -> None:
        """Many mapped task instances that have pushed cards.

        :param cards: their cards
        :param run_id: of their run
        :param dag_id: of their DAG
        :param state: of them all
        """
        whose: dict[str, Any] = {"dag_id": dag_id, "run_id": run_id, "task_id": "render"}
        rows: list[_Row] = []
        rows += [({**whose, "map_index": number}, state, {"kling_render": card}) for number, card in enumerate(cards)]
        with self.session.begin() as session:
            self._push_all(session, rows)

    def show_as(self, dag_id: str, name: str) -> None:
        """Give a DAG a name for people.

        :param dag_id: the DAG
        :param name: its name
        """
        with self.session.begin() as session:
            dag = session.get(DagModel, dag_id)
            assert dag
            dag._dag_display_property_value = name

    def _push_all(self, session: Session, rows: list[_Row]) -> None:
        run = self._run_id(session, rows[0][0])
        session.execute(insert(TaskInstance), [_task_instance(whose, state) for whose, state, _ in rows])
        xcoms = [
            {**whose, "dag_run_id": run, "key": key, "value": value, "timestamp": _NOW}
            for whose, _, pushed in rows
            for key, value in pushed.items()
        ]
        session.execute(insert(XComModel), xcoms)

    def _run_id(self, session: Session, whose: dict[str, Any]) -> int:
        """The id of the run, which is made when it is not there."""
        ids = {"dag_id": whose["dag_id"], "run_id": whose["run_id"]}
        found = session.scalar(select(DagRun.id).filter_by(**ids))
        if found is not None:
            return found
        if session.get(DagModel, ids["dag_id"]) is None:
            session.add(DagModel(dag_id=ids["dag_id"], bundle_name="films", timetable_summary=""))
            session.flush()
        session.execute(insert(DagRun), [{**ids, "run_type": "manual", "state": "success", "run_after": _NOW}])
        return session.scalars(select(DagRun.id).filter_by(**ids)).one()


def _task_instance(whose: dict[str, Any], state: str | None) -> dict[str, Any]:
    plain = {"pool": "default_pool", "pool_slots": 1, "max_tries": 0, "try_number": 1, "operator": "x"}
    return {**whose, **plain, "state": state}
