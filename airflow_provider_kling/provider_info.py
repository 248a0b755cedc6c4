"""What Airflow discovers of this provider."""

from __future__ import annotations

from typing import Any

from airflow_provider_kling import __version__

UI_FIELD_BEHAVIOUR: dict[str, Any] = {
    "hidden-fields": ["login", "schema", "extra"],
    "relabeling": {"host": "Base URL", "password": "API key"},
    # The port is shown because the Test button of Airflow 3.3.1 and 3.3.2 refuses connections without one.
    "placeholders": {"host": "https://api.highwayapi.ai", "port": "443", "password": "sk_..."},
}

_CONNECTION = {
    "connection-type": "kling",
    "hook-class-name": "airflow_provider_kling.hooks.kling.KlingHook",
    "hook-name": "Kling (Highway API)",
    "ui-field-behaviour": UI_FIELD_BEHAVIOUR,
    "conn-fields": {
        "requests_per_second": {
            "label": "Requests per second",
            "description": "Most questions per second that one process asks this API; default 10.",
            "schema": {"type": ["number", "null"], "exclusiveMinimum": 0},
        },
        "submits_per_minute": {
            "label": "Submits per minute",
            "description": "What your account may submit per minute, if you know it: refused tasks line up by it; "
            "default 30.",
            "schema": {"type": ["number", "null"], "exclusiveMinimum": 0},
        },
        "timeout": {
            "label": "Timeout (seconds)",
            "description": "Seconds without a byte before an exchange is given up; default 30.",
            "schema": {"type": ["number", "null"], "exclusiveMinimum": 0},
        },
    },
}

_CONFIG = {
    "kling": {
        "description": "The pages of the Kling provider in Airflow's UI.",
        "options": {
            "enable_ui": {
                "description": "Whether the API server has the gallery of renders, the player on a task instance's "
                'page, and the page behind the link "Video".',
                "version_added": "0.1.0",
                "type": "boolean",
                "example": None,
                "default": "True",
            },
            "preview_roots": {
                "description": "Folders whose saved videos may be played in the UI by whoever may read the XComs of "
                "their DAG, divided by commas or line breaks; none when empty. Object storage is read by the API "
                "server, with the Airflow connection named before the @.",
                "version_added": "0.1.0",
                "type": "string",
                "example": "s3://aws_default@bucket/videos, file:///data/videos",
                "default": "",
            },
        },
    }
}


def get_provider_info() -> dict[str, Any]:
    """Describe this provider; found by Airflow through the entry point `apache_airflow_provider`."""
    return {
        "package-name": "airflow-provider-kling",
        "name": "Kling",
        "description": "Kling v3.0 4K text-to-video on the Highway API: paid once, nothing lost, nobody waits.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": "Kling",
                "external-doc-url": "https://docs.jiekou.ai/en/docs/models/reference-kling-v3.0-4k-t2v",
                "tags": ["service"],
            }
        ],
        "hooks": [{"integration-name": "Kling", "python-modules": ["airflow_provider_kling.hooks.kling"]}],
        "operators": [{"integration-name": "Kling", "python-modules": ["airflow_provider_kling.operators.kling"]}],
        "sensors": [{"integration-name": "Kling", "python-modules": ["airflow_provider_kling.sensors.kling"]}],
        "triggers": [{"integration-name": "Kling", "python-modules": ["airflow_provider_kling.triggers.kling"]}],
        "transfers": [
            {
                "source-integration-name": "Kling",
                "target-integration-name": "Kling",
                "python-module": "airflow_provider_kling.transfers.kling_to_object_storage",
            }
        ],
        "connection-types": [_CONNECTION],
        "extra-links": ["airflow_provider_kling.links.KlingVideoLink"],
        "config": _CONFIG,
        "cli": ["airflow_provider_kling.cli.get_kling_commands"],
    }
