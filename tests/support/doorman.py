"""An auth manager that keeps people out, for the API server of a test: `[core] auth_manager = doorman.Doorman`."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

OUTSIDER, MARKETING, NEWCOMER = "outsider", "marketing", "newcomer"


class Doorman(SimpleAuthManager):
    """Airflow's own, but some people see nothing of some DAGs, which their names tell."""

    def is_authorized_dag(self, *, user: Any, details: Any = None, **asked: Any) -> bool:
        dag_id = details.id if details else None
        if dag_id and not _may_see(user.username, dag_id):
            return False
        return super().is_authorized_dag(user=user, details=details, **asked)


def _may_see(user: str, dag_id: str) -> bool:
    if user == MARKETING:
        return dag_id.startswith("spring_")
    return user != NEWCOMER and not (user == OUTSIDER and dag_id.startswith("hidden_"))
