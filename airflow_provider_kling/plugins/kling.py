"""What every component of Airflow loads; the pages themselves are only made in the API server."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from airflow_provider_kling.links import PREFIX


class KlingPlugin(AirflowPlugin):
    """Serves the page behind the link "Video"."""

    name = "kling"

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]  # a list would import FastAPI everywhere
        """The pages; only the API server asks for them."""
        from airflow_provider_kling.plugins.video import app

        return [{"app": app, "url_prefix": PREFIX, "name": "Kling"}]
