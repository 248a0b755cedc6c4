"""A real Airflow below a path prefix, in which nobody gets in without a session."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from airflow.api_fastapi.auth.tokens import JWTGenerator

from airflow_provider_kling.demo.local_airflow import LocalAirflow

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

PREFIX = "/studio"
ADMIN = "ann"


class GuardedAirflow(LocalAirflow):
    """Airflow with the auth manager of :mod:`doorman`; its REST client is the admin's.

    :param options: of :class:`LocalAirflow`
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, prefix=PREFIX)
        found = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.env |= {
            "AIRFLOW__CORE__AUTH_MANAGER": "doorman.Doorman",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
            "PYTHONPATH": os.pathsep.join(found),
        }
        self._token = self.session(ADMIN)

    def session(self, user: str) -> str:
        """What the cookie `_token` of somebody holds.

        :param user: their name; all but the admin may only look
        """
        secret = self.env["AIRFLOW__API_AUTH__JWT_SECRET"]
        signer = JWTGenerator(secret_key=secret, valid_for=7200, audience="apache-airflow")
        return signer.generate({"sub": user, "role": "ADMIN" if user == ADMIN else "VIEWER", "teams": []})

    def sign_in(self, context: BrowserContext, user: str) -> None:
        """Give a browser the session of somebody.

        :param context: of the browser
        :param user: their name
        """
        context.add_cookies([{"name": "_token", "value": self.session(user), "url": self.base_url, "httpOnly": True}])

    def browse(self, user: str | None = ADMIN) -> httpx.Client:
        """A browser without a window, for our pages.

        :param user: who is signed in; None: nobody
        """
        cookies = {"_token": self.session(user)} if user else {}
        return httpx.Client(base_url=f"{self.base_url}/kling/", cookies=cookies, trust_env=False, timeout=60)

    def start_run(self, dag_id: str) -> str:
        """Start a run of a DAG that may just have been found; returns its id.

        :param dag_id: the DAG
        """
        self.wait_for_dag(dag_id)
        self.unpause(dag_id)
        return self.trigger(dag_id)
