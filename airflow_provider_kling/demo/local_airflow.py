"""A real Airflow in a throw-away home: API server, scheduler, DAG processor and triggerers as processes."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from airflow_provider_kling.demo import sessions
from airflow_provider_kling.demo.rest import AirflowRest, RestError

# Without their log servers, which would listen on all interfaces: the API server reads the same files.
COMMANDS = {
    "api-server": ["api-server"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}


class StartFailed(Exception):
    """Airflow, or one component of it, did not come up."""


class LocalAirflow(AirflowRest):
    """An Airflow of its own, on 127.0.0.1 only, that leaves no process behind.

    Use it as a context manager. Nothing of the caller's Airflow configuration or connections is seen by it.

    :param home: its `AIRFLOW_HOME`; created if missing, and never removed
    :param dags_folder: where its DAGs are
    :param env: more environment variables, which win over our own, default none
    :param parallelism: tasks at the same time, default 8
    :param database_url: SQLAlchemy address of the metadata database, default SQLite in `home`
    :param triggerers: number of triggerers, default 1; the second is called `triggerer-2`
    :param prefix: path below which it is served, such as `/airflow`, default none
    """

    def __init__(
        self,
        *,
        home: Path,
        dags_folder: Path,
        env: dict[str, str] | None = None,
        parallelism: int = 8,
        database_url: str | None = None,
        triggerers: int = 1,
        prefix: str = "",
    ) -> None:
        api_port, closed_port = _free_ports(2)
        super().__init__(base_url=f"http://127.0.0.1:{api_port}{prefix}")
        self.home = home.resolve()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._guardian: sessions.Guardian | None = None
        self._triggerers = ["triggerer", *(f"triggerer-{n}" for n in range(2, triggerers + 1))]
        settings = {
            "CORE__DAGS_FOLDER": str(dags_folder.resolve()),
            "CORE__PARALLELISM": str(parallelism),
            "CORE__EXECUTION_API_SERVER_URL": f"{self.base_url}/execution/",
            "DATABASE__SQL_ALCHEMY_CONN": database_url or f"sqlite:///{self.home}/airflow.db?timeout=30",
            "API__BASE_URL": self.base_url,
            "API__PORT": str(api_port),
            # Nobody serves logs there: the look-up is refused at once instead of reaching another Airflow.
            "LOGGING__WORKER_LOG_SERVER_PORT": str(closed_port),
            "LOGGING__TRIGGER_LOG_SERVER_PORT": str(closed_port),
        }
        self.env = _environment(self.home, settings) | (env or {})

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def start(self, *, timeout: float = 180.0) -> None:
        """Create the database, start all components, and return when all are healthy.

        :param timeout: seconds until `StartFailed`, default 180
        """
        (self.home / "logs").mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + timeout
        try:
            self._guardian = sessions.Guardian()
            self._migrate(timeout)
            for name in ("api-server", "scheduler", "dag-processor", *self._triggerers):
                self.start_component(name)
            self._wait_until_healthy(deadline)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End every process; harmless when there is none."""
        if self._guardian:
            self._guardian.end_all()
            self._guardian = None
        for process in self.processes.values():
            process.wait()
        self.processes.clear()

    def start_component(self, name: str) -> None:
        """Start one component, which must not be running.

        :param name: `api-server`, `scheduler`, `dag-processor`, `triggerer`, `triggerer-2`, ...
        """
        if name in self.processes and self.processes[name].poll() is None:
            raise RuntimeError(f"{name} is running")
        command = COMMANDS.get(name) or COMMANDS["triggerer"]
        self.processes[name] = self._spawn(name, command)

    def kill(self, name: str, sig: int) -> None:
        """Send a signal to a component and all processes it has started; after SIGKILL, return when it is gone.

        :param name: as for `start_component`
        :param sig: such as `signal.SIGKILL`, `SIGSTOP` or `SIGCONT`
        """
        sessions.send([self.processes[name].pid], sig)
        if sig == signal.SIGKILL:
            self.processes[name].wait()

    def is_healthy(self) -> bool:
        """Tell whether the database and all components are well."""
        with suppress(OSError, RestError):
            # The first request builds the workers' API, for seconds: better now than when the first task waits.
            self._call("GET", "/execution/health")
            health = self._call("GET", "/api/v2/monitor/health")
            parts = ("metadatabase", "scheduler", "triggerer", "dag_processor")
            if any(health[part]["status"] != "healthy" for part in parts):
                return False
            # The health page knows the latest triggerer only.
            alive = self.get("jobs", job_type="TriggererJob", is_alive="true")["total_entries"]
            return bool(alive >= len(self._triggerers))
        return False

    def log_tail(self, name: str, *, lines: int = 15) -> str:
        """Return the last lines a component has printed.

        :param name: as for `start_component`
        :param lines: how many, default 15
        """
        return "\n".join(self._log(name).read_text(errors="replace").splitlines()[-lines:])

    def _log(self, name: str) -> Path:
        return self.home / "logs" / f"{name}.log"

    def _spawn(self, name: str, arguments: list[str]) -> subprocess.Popen[bytes]:
        assert self._guardian, "not started"
        with self._log(name).open("ab") as log:
            command = [sys.executable, "-m", "airflow", *arguments]
            return self._guardian.spawn(command, env=self.env, log=log.fileno(), cwd=str(self.home))

    def _migrate(self, timeout: float) -> None:
        try:
            code = self._spawn("db-migrate", ["db", "migrate"]).wait(timeout)
        except subprocess.TimeoutExpired:
            code = None
        if code != 0:
            raise StartFailed(f"'airflow db migrate' failed:\n{self.log_tail('db-migrate')}")

    def _wait_until_healthy(self, deadline: float) -> None:
        while not self.is_healthy():
            self._expect_alive()
            if time.monotonic() > deadline:
                raise StartFailed(f"Airflow did not get healthy in time, see {self.home / 'logs'}")
            time.sleep(0.2)

    def _expect_alive(self) -> None:
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise StartFailed(f"{name} ended with code {process.returncode}:\n{self.log_tail(name)}")


def _free_ports(count: int) -> list[int]:
    # All are held until all are known, or the system might hand out the same one twice.
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in held]
    for sock in held:
        sock.close()
    return ports


def _environment(home: Path, settings: dict[str, str]) -> dict[str, str]:
    """The caller's environment without its Airflow, and with ours."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    ours = {
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__FERNET_KEY": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "CORE__TEST_CONNECTION": "Enabled",
        # The default asks the name server, which may take seconds on a laptop.
        "CORE__HOSTNAME_CALLABLE": "socket.gethostname",
        "API__HOST": "127.0.0.1",
        "API__WORKERS": "1",
        "API__SECRET_KEY": secrets.token_hex(16),
        "API_AUTH__JWT_SECRET": secrets.token_hex(32),
        # Brisk: a demo or a test should wait for the render, not for Airflow.
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.3",
        "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
        "DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        "DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
        "DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(home / "bundles"),
        "LOGGING__COLORED_CONSOLE_LOG": "False",
    }
    no_proxy = ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1,localhost"]))
    plain = {
        "AIRFLOW_HOME": str(home),
        "NO_PROXY": no_proxy,
        "no_proxy": no_proxy,
        "PYTHONUNBUFFERED": "1",
        "SCARF_ANALYTICS": "false",
    }
    return inherited | {f"AIRFLOW__{name}": value for name, value in (ours | settings).items()} | plain
