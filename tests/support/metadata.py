"""A metadata database, real tables and all, with the few rows that pages in Airflow's UI read."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow import settings
from airflow.models import import_all_models
from airflow.models.base import Base
from airflow.models.xcom import XComModel
from sqlalchemy import create_engine, event
from sqlalchemy.orm import scoped_session, sessionmaker

if TYPE_CHECKING:
    import pytest

RUN = "manual__2026-01-01T00:00:00+00:00"


class MetadataDatabase:
    """An SQLite file that Airflow uses during a test.

    :param folder: where the file goes
    :param monkeypatch: puts Airflow's own back
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = folder / "airflow.db"
        file.write_bytes(_empty_database())
        self.engine = create_engine(f"sqlite:///{file}")
        event.listen(self.engine, "connect", _hasten)
        self._session = sessionmaker(self.engine)
        monkeypatch.setattr(settings, "NonScopedSession", self._session)
        monkeypatch.setattr(settings, "Session", scoped_session(self._session))

    def push(
        self,
        value: Any,
        *,
        key: str = "kling_render",
        dag_id: str = "films",
        task_id: str = "render",
        map_index: int = -1,
        run_id: str = RUN,
    ) -> None:
        """Push an XCom, in place of an earlier one; the column takes it as it is.

        :param value: what to push
        :param key: its key; default that of a card
        :param dag_id: of the task instance
        :param task_id: of the task instance
        :param map_index: of the task instance
        :param run_id: of the task instance
        """
        whose = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": map_index, "key": key}
        with self._session() as session:
            session.merge(XComModel(dag_run_id=abs(hash((dag_id, run_id))) % 2**31, value=value, **whose))
            session.commit()


@cache
def _empty_database() -> bytes:
    """All tables; to make them takes longer than most tests."""
    import_all_models()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "airflow.db")
        engine = create_engine(f"sqlite:///{file}")
        event.listen(engine, "connect", _hasten)
        Base.metadata.create_all(engine)
        engine.dispose()
        return file.read_bytes()


def _hasten(connection: Any, _: object) -> None:
    connection.execute("PRAGMA synchronous = OFF")  # nobody pulls the plug of a test
