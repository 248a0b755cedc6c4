"""People with a session at Airflow's API server, and which DAGs they may see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.api_fastapi import app as airflow_app
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

if TYPE_CHECKING:
    import pytest


class PerDag(SimpleAuthManager):
    """Airflow's own, in which a role is a list of DAGs whose XComs may be read, and nothing else of them."""

    def is_authorized_dag(
        self,
        *,
        method: Any,
        user: SimpleAuthManagerUser,
        access_entity: DagAccessEntity | None = None,
        details: Any = None,
    ) -> bool:
        named = details is None or details.id is None or details.id in (user.role or "").split()
        return (method, access_entity) == ("GET", DagAccessEntity.XCOM) and named

    def get_authorized_dag_ids(self, *, user: SimpleAuthManagerUser, **_: Any) -> set[str]:
        return set((user.role or "").split())


def sign_in(*dag_ids: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The cookie of somebody who may read the XComs of some DAGs.

    :param dag_ids: the DAGs
    :param monkeypatch: puts Airflow's own auth manager back
    """
    monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "a secret of the tests, which is long enough for HS512" * 2)
    manager = PerDag()  # type: ignore[no-untyped-call]
    if hasattr(airflow_app, "_AuthManagerState"):
        monkeypatch.setattr(airflow_app._AuthManagerState, "instance", manager)
    else:  # Airflow 3.1
        monkeypatch.setattr(airflow_app, "auth_manager", manager)
    return {"_token": manager.generate_jwt(SimpleAuthManagerUser(username="ann", role=" ".join(dag_ids)))}
