"""The connection form's test button, as the UI calls it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow_provider_kling.demo.local_airflow import LocalAirflow
    from airflow_provider_kling.simulator import KlingSimulator

pytestmark = pytest.mark.airflow


def press_test(airflow: LocalAirflow, **fields: Any) -> tuple[bool, str]:
    body = {"connection_id": "kling_form", "conn_type": "kling", **fields}
    answer = airflow.post("connections/test", body)
    return answer["status"], answer["message"]


def test_a_good_key_is_accepted_and_nothing_is_bought(airflow: LocalAirflow, simulator: KlingSimulator) -> None:
    submits = simulator.submits
    status, message = press_test(airflow, host=simulator.base_url, password=simulator.api_key)
    assert status
    assert simulator.base_url in message
    assert simulator.submits == submits


def test_a_wrong_key_is_told(airflow: LocalAirflow, simulator: KlingSimulator) -> None:
    status, message = press_test(airflow, host=simulator.base_url, password="sk_nope")
    assert not status
    assert "refuses the key" in message
    assert "sk_nope" not in message


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"host": "http://127.0.0.1:1", "password": "sk_x"}, "got no answer"),
        ({"host": "not a url", "password": "sk_x"}, "base URL"),
        ({"host": "https://api.highwayapi.ai"}, "no API key"),
        ({"password": "sk_x", "extra": json.dumps({"timeout": "soon"})}, "timeout='soon'"),
    ],
)
def test_each_mistake_is_named(airflow: LocalAirflow, fields: dict[str, str], words: str) -> None:
    status, message = press_test(airflow, **fields)
    assert not status
    assert words in message


def test_the_provider_and_its_form_are_known_to_the_api_server(airflow: LocalAirflow) -> None:
    providers = airflow.get("providers", limit=200)["providers"]
    assert "airflow-provider-kling" in {provider["package_name"] for provider in providers}
