"""What every component of Airflow loads; the pages themselves are only made in the API server."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from airflow_provider_kling.links import PREFIX

_HOME = PREFIX.removeprefix("/")
"""Relative: Airflow's UI takes it from its own start, wherever a proxy has put that."""
_VIEWS: list[dict[str, Any]] = [
    {
        "name": "Kling renders",
        "href": f"{_HOME}/gallery",
        "destination": "nav",
        "category": "browse",
        "url_route": "kling-renders",
    },
    {
        "name": "Kling video",
        "href": f"{_HOME}/player?dag_id={{DAG_ID}}&run_id={{RUN_ID}}&task_id={{TASK_ID}}&map_index={{MAP_INDEX}}",
        "destination": "task_instance",
        "url_route": "kling-video",
        # Airflow 3.4 shows the tab for these only; before, every task instance has it.
        "applies_to": {"operators": ["KlingTextToVideoOperator", "KlingRenderSensor", "KlingToObjectStorageOperator"]},
    },
]


class KlingPlugin(AirflowPlugin):
    """The gallery, the player, and the page behind the link "Video"; nothing of it with `[kling] enable_ui` off."""

    name = "kling"

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]  # a list would import FastAPI everywhere
        """The pages; only the API server asks for them."""
        if not _enabled():
            return []
        from airflow_provider_kling.plugins.app import app

        return [{"app": app, "url_prefix": PREFIX, "name": "Kling"}]

    @property
    def external_views(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """Where Airflow's UI shows them."""
        return [*_VIEWS] if _enabled() else []


def _enabled() -> bool:
    from airflow.configuration import conf

    return bool(conf.getboolean("kling", "enable_ui", fallback=True))
