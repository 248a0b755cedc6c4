"""What Airflow discovers of this provider is valid, and is really there."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

import airflow
import jsonschema  # type: ignore[import-untyped]
import pytest
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService

from airflow_provider_kling import __version__
from airflow_provider_kling.hooks.kling import KlingHook
from airflow_provider_kling.provider_info import get_provider_info

AIRFLOW = Path(airflow.__file__).parent


def test_it_is_valid_for_airflow() -> None:
    jsonschema.validate(get_provider_info(), json.loads((AIRFLOW / "provider_info.schema.json").read_text()))


def test_it_carries_the_distributions_name_and_version() -> None:
    info = get_provider_info()
    distribution = importlib.metadata.distribution("airflow-provider-kling")
    assert info["package-name"] == distribution.metadata["Name"]
    assert info["versions"] == [__version__]


def test_airflow_finds_it_through_the_entry_point() -> None:
    (entry,) = (
        entry
        for entry in importlib.metadata.entry_points(group="apache_airflow_provider")
        if entry.dist is not None and entry.dist.name == "airflow-provider-kling"
    )
    assert entry.load()() == get_provider_info()


@pytest.mark.parametrize("part", ["hooks", "operators", "sensors", "triggers"])
def test_every_module_it_names_can_be_imported(part: str) -> None:
    modules = [module for entry in get_provider_info()[part] for module in entry["python-modules"]]
    assert modules == [f"airflow_provider_kling.{part}.kling"]
    for module in modules:
        importlib.import_module(module)


def test_the_connection_type_is_the_hooks() -> None:
    (connection,) = get_provider_info()["connection-types"]
    module, name = connection["hook-class-name"].rsplit(".", 1)
    assert getattr(importlib.import_module(module), name) is KlingHook
    assert (connection["connection-type"], connection["hook-name"]) == (KlingHook.conn_type, KlingHook.hook_name)
    assert KlingHook.default_conn_name == "kling_default"
    assert hasattr(KlingHook("x"), KlingHook.conn_name_attr)


def test_the_form_in_the_ui_asks_for_base_url_and_key() -> None:
    (form,) = (form for form in HookMetaService.hook_meta_data() if form.connection_type == "kling")
    assert form.hook_name == KlingHook.hook_name
    fields = form.standard_fields
    assert fields is not None
    assert fields.host is not None
    assert fields.password is not None
    assert (fields.host.title, fields.password.title) == ("Base URL", "API key")
    assert fields.login is not None
    assert fields.login.hidden


def test_the_hook_describes_the_form_as_airflow_3_1_wants_it() -> None:
    form = KlingHook.get_ui_field_behaviour()
    jsonschema.validate(form, json.loads((AIRFLOW / "customized_form_field_behaviours.schema.json").read_text()))
    assert not set(form["hidden_fields"]) & set(form["relabeling"])


def test_the_extra_fields_of_the_form_are_those_the_hook_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    (connection,) = get_provider_info()["connection-types"]
    extra = dict.fromkeys(connection["conn-fields"], 7)
    monkeypatch.setenv(
        "AIRFLOW_CONN_KLING_DEFAULT", json.dumps({"conn_type": "kling", "password": "k", "extra": extra})
    )
    account = KlingHook().account()
    assert {name: getattr(account, name) for name in extra} == extra
