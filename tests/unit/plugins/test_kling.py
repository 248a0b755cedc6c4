"""Airflow finds the plugin, and only its API server pays for the pages."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

from airflow.plugins_manager import AirflowPlugin
from fastapi import FastAPI

from airflow_provider_kling.plugins.kling import KlingPlugin


def test_airflow_finds_it_through_the_entry_point() -> None:
    (entry,) = (
        entry
        for entry in importlib.metadata.entry_points(group="airflow.plugins")
        if entry.dist is not None and entry.dist.name == "airflow-provider-kling"
    )
    assert entry.load() is KlingPlugin


def test_airflow_takes_it_for_a_plugin() -> None:
    assert issubclass(KlingPlugin, AirflowPlugin)
    assert KlingPlugin.name == "kling"


def test_the_api_server_gets_an_app_under_our_prefix() -> None:
    (entry,) = KlingPlugin().fastapi_apps
    assert entry["url_prefix"] == "/kling"
    assert isinstance(entry["app"], FastAPI)


def test_loading_it_imports_next_to_nothing() -> None:
    """Every component of Airflow loads it, the workers too."""
    code = (
        "import sys; from airflow import plugins_manager; before = set(sys.modules);"
        "from airflow_provider_kling.plugins.kling import KlingPlugin; KlingPlugin();"
        "print(*(set(sys.modules) - before))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    new = set(run.stdout.splitlines()[-1].split())
    ours = {name for name in new if name.startswith("airflow_provider_kling.")}
    assert ours == {f"airflow_provider_kling.{part}" for part in ("links", "plugins", "plugins.kling")}
