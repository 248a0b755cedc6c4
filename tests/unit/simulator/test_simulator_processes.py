"""What only shows in a process of its own: light imports, the pytest plugin, signals."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

import airflow_provider_kling

ROOT = Path(airflow_provider_kling.__file__).parents[1]
# Plugins are named one by one, so that it does not matter whether the provider is installed.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def python(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: PLW1510
        [sys.executable, *arguments], cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=60
    )


def test_the_plugin_is_light_and_the_simulator_independent() -> None:
    script = """
import sys, pytest
before = set(sys.modules)
import airflow_provider_kling.simulator.pytest_plugin
light = {m for m in set(sys.modules) - before if not m.startswith("airflow_provider_kling")}
ours = {m for m in sys.modules if m.startswith("airflow_provider_kling")}
from airflow_provider_kling.simulator import KlingSimulator
heavy = {m.partition(".")[0] for m in sys.modules} & {"airflow", "av", "PIL", "httpx", "pydantic"}
strange = {m for m in sys.modules if m.startswith("airflow_provider_kling.")}
strange = {m for m in strange if not m.startswith("airflow_provider_kling.simulator")}
print(sorted(light), sorted(ours), sorted(heavy), sorted(strange), sep="|")
"""
    done = python("-c", script)
    light, ours, heavy, strange = done.stdout.strip().split("|")
    assert light == heavy == strange == "[]"
    assert "server" not in ours


def test_fixture_and_marker(tmp_path: Path) -> None:
    tmp_path.joinpath("test_of_a_user.py").write_text(
        """
import json, os, urllib.request
import pytest

def size(simulator):
    return simulator._service._films._short_side

def test_default(kling_simulator):
    connection = json.loads(os.environ["AIRFLOW_CONN_KLING_DEFAULT"])
    assert connection["host"] == kling_simulator.base_url
    assert b"simulator" in urllib.request.urlopen(kling_simulator.base_url).read()
    assert size(kling_simulator) == 270

def test_gone():
    assert "AIRFLOW_CONN_KLING_DEFAULT" not in os.environ

@pytest.mark.kling_simulator(short_side=90)
class TestMarked:
    def test_class(self, kling_simulator):
        assert size(kling_simulator) == 90

    @pytest.mark.kling_simulator(short_side=180, api_key="sk_mine")
    def test_closest_wins(self, kling_simulator):
        assert size(kling_simulator) == 180
        assert kling_simulator.api_key == "sk_mine"
"""
    )
    plugin = "airflow_provider_kling.simulator.pytest_plugin"
    done = python("-m", "pytest", "-p", plugin, "--strict-markers", "-q", "-p", "no:cacheprovider", cwd=tmp_path)
    assert "4 passed" in done.stdout, done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_forever_until_a_signal(number: signal.Signals) -> None:
    script = (
        "from airflow_provider_kling.simulator import KlingSimulator, run_forever\n"
        'run_forever(KlingSimulator(api_key="sk_it\'s"))\n'
        "print('clean')"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        hello, export = process.stdout.readline(), process.stdout.readline()
        name, _, value = shlex.split(export)[1].partition("=")
        connection = json.loads(value)
        assert name == "AIRFLOW_CONN_KLING_DEFAULT"
        assert connection["host"] in hello
        assert connection["password"] == "sk_it's"
        assert httpx.get(connection["host"], trust_env=False).status_code == 200
        process.send_signal(number)
        rest, _ = process.communicate(timeout=10)
        assert (rest, process.returncode) == ("clean\n", 0)
