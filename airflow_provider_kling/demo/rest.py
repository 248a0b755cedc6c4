"""A small client of Airflow's public REST API, for an Airflow in which everybody is admin."""

import http.client
import json
import time
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

FINISHED = ("success", "failed")


class RestError(Exception):
    """Airflow answered with an error.

    :param status: HTTP status
    :param message: what was asked, and the body of the answer
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"HTTP {status}: {message}")
        self.status = status


class AirflowRest:
    """Talks to one API server: `get`, `post` and `patch` for any path, and helpers for the usual steps.

    :param base_url: address of the API server, such as `http://127.0.0.1:8080`
    """

    def __init__(self, *, base_url: str) -> None:
        self.base_url = base_url
        self._token: str | None = None

    def get(self, path: str, **params: Any) -> Any:
        """Return the parsed answer to a GET.

        :param path: path below `/api/v2`
        :param params: the query
        """
        query = f"?{urlencode(params)}" if params else ""
        return self._authorized("GET", f"/api/v2/{path.lstrip('/')}{query}")

    def post(self, path: str, body: Any) -> Any:
        """Return the parsed answer to a POST.

        :param path: path below `/api/v2`
        :param body: sent as JSON
        """
        return self._authorized("POST", f"/api/v2/{path.lstrip('/')}", body)

    def patch(self, path: str, body: Any) -> Any:
        """Return the parsed answer to a PATCH.

        :param path: path below `/api/v2`
        :param body: sent as JSON
        """
        return self._authorized("PATCH", f"/api/v2/{path.lstrip('/')}", body)

    def wait_for_dag(self, dag_id: str, *, timeout: float = 60.0) -> None:
        """Wait until a DAG has been parsed and can be triggered.

        :param dag_id: the DAG
        :param timeout: seconds, default 60; then a `TimeoutError` with the import errors
        """
        deadline = time.monotonic() + timeout
        while True:
            try:
                self.get(f"dags/{dag_id}/details")
            except RestError as error:
                if error.status != http.client.NOT_FOUND:
                    raise
            else:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"no DAG {dag_id} after {timeout:.0f} s; import errors: {self.import_errors()}")
            time.sleep(0.25)

    def unpause(self, dag_id: str) -> None:
        """Let the runs of a DAG start.

        :param dag_id: the DAG
        """
        self.patch(f"dags/{dag_id}", {"is_paused": False})

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None, run_id: str | None = None) -> str:
        """Start a run and return its id.

        :param dag_id: the DAG, not paused
        :param conf: values for the DAG's params, default none
        :param run_id: default: Airflow makes one up
        """
        body: dict[str, Any] = {"logical_date": None, "conf": conf or {}}
        if run_id:
            body["dag_run_id"] = run_id
        return str(self.post(f"dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return the state of a run.

        :param dag_id: the DAG
        :param run_id: the run
        """
        return str(self.get(_run(dag_id, run_id))["state"])

    def wait_for_run(self, dag_id: str, run_id: str, timeout: float = 300.0) -> str:
        """Wait for the end of a run and return its state.

        :param dag_id: the DAG
        :param run_id: the run
        :param timeout: seconds, default 300; then a `TimeoutError`
        """
        deadline = time.monotonic() + timeout
        while (state := self.run_state(dag_id, run_id)) not in FINISHED:
            if time.monotonic() > deadline:
                raise TimeoutError(f"run {run_id} of {dag_id} is still {state} after {timeout:.0f} s")
            time.sleep(0.25)
        return state

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the task instances of a run.

        :param dag_id: the DAG
        :param run_id: the run
        """
        found: list[dict[str, Any]] = self.get(f"{_run(dag_id, run_id)}/taskInstances", limit=100)["task_instances"]
        return found

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """Return an XCom value.

        :param dag_id: the DAG
        :param run_id: the run
        :param task_id: the task
        :param key: default `return_value`
        :param map_index: of a mapped task, default -1: not mapped
        """
        path = f"{_run(dag_id, run_id)}/taskInstances/{quote(task_id)}/xcomEntries/{quote(key)}"
        return self.get(path, map_index=map_index, stringify="false")["value"]

    def logs(self, dag_id: str, run_id: str, task_id: str, try_number: int, map_index: int = -1) -> str:
        """Return the log of one attempt as text, one entry per line.

        :param dag_id: the DAG
        :param run_id: the run
        :param task_id: the task
        :param try_number: the attempt, from 1
        :param map_index: of a mapped task, default -1: not mapped
        """
        path = f"{_run(dag_id, run_id)}/taskInstances/{quote(task_id)}/logs/{try_number}"
        content = self.get(path, map_index=map_index, full_content="true")["content"]
        return "\n".join(_log_line(entry) for entry in content)

    def import_errors(self) -> list[dict[str, Any]]:
        """Return what went wrong when DAG files were parsed."""
        errors: list[dict[str, Any]] = self.get("importErrors", limit=100)["import_errors"]
        return errors

    def _authorized(self, method: str, path: str, body: Any = None) -> Any:
        for token in (self._token, None):
            self._token = token or self._call("GET", "/auth/token")["access_token"]
            try:
                return self._call(method, path, body)
            except RestError as error:
                # A token that was good before has expired: get another one, once.
                if error.status != http.client.UNAUTHORIZED or token is None:
                    raise
        raise AssertionError("unreachable")

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        base = urlsplit(self.base_url)
        connection = http.client.HTTPConnection(base.netloc, timeout=120)
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            connection.request(method, f"{base.path}{path}", None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.status >= http.client.BAD_REQUEST:
            raise RestError(answer.status, f"{method} {path}: {text[:1000]}")
        return json.loads(text) if text else None


def _run(dag_id: str, run_id: str) -> str:
    return f"dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"


def _log_line(entry: str | dict[str, Any]) -> str:
    if isinstance(entry, str):
        return entry
    causes = [f"{e['exc_type']}: {e['exc_value']}" for e in entry.get("error_detail") or []]
    return " ".join([entry.get("timestamp") or "", entry.get("level", ""), entry["event"], *causes]).strip()
