"""Airflow finds the plugin, and only its API server pays for the pages."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from urllib.parse import urljoin

import pytest
from airflow.api_fastapi.core_api.datamodels.plugins import ExternalViewResponse
from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin
from airflow.providers_manager import ProvidersManager
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


def test_airflows_ui_gets_a_gallery_and_a_tab() -> None:
    gallery, tab = (ExternalViewResponse.model_validate(view) for view in KlingPlugin().external_views)
    assert (gallery.destination, gallery.category, gallery.url_route) == ("nav", "browse", "kling-renders")
    assert (tab.destination, tab.url_route) == ("task_instance", "kling-video")
    assert gallery.href == "kling/gallery"
    ids = "dag_id={DAG_ID}&run_id={RUN_ID}&task_id={TASK_ID}&map_index={MAP_INDEX}"
    assert tab.href == f"kling/player?{ids}"


def test_addresses_hold_behind_a_prefix() -> None:
    for view in KlingPlugin().external_views:
        assert urljoin("https://host/prefix/", view["href"]).startswith("https://host/prefix/kling/")


@pytest.mark.parametrize("off", ["False", "f", "0"])
def test_all_of_it_can_be_turned_off(monkeypatch: pytest.MonkeyPatch, off: str) -> None:
    monkeypatch.setenv("AIRFLOW__KLING__ENABLE_UI", off)
    assert KlingPlugin().fastapi_apps == []
    assert KlingPlugin().external_views == []


def test_airflow_knows_its_options() -> None:
    (options,) = (
        sections["kling"]["options"]
        for provider, sections in ProvidersManager().provider_configs
        if provider == "airflow-provider-kling"
    )
    assert set(options) == {"enable_ui", "preview_roots"}
    for name, option in options.items():
        assert conf.get("kling", name, fallback=option["default"]) == option["default"]


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
