"""The manifest: one shape, whatever is known."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import patient

from airflow_provider_kling import manifest
from airflow_provider_kling.api.models import Render, RenderStatus, TextToVideo
from airflow_provider_kling.manifest import build_manifest, iso, link_fields
from airflow_provider_kling.saving import Saved

NOW = 1_750_000_000.0
FIELDS = [
    "task_id", "status", "model", "prompt", "multi_prompt", "duration", "aspect_ratio", "sound", "video_url",
    "video_type", "video_url_expires_at", "submitted_at", "finished_at", "saved_to", "bytes", "sha256",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "time", SimpleNamespace(time=lambda: NOW))


def done(**fields: Any) -> Render:
    return Render(task_id="t", status=RenderStatus.SUCCEED, **{"video_url": "https://v", **fields})


def test_all_that_is_known_is_in_it() -> None:
    built = build_manifest(
        done(video_type="mp4", video_url_ttl=60, finished_at=NOW + 1.9),
        request=TextToVideo(prompt="a fox", duration=8, aspect_ratio="9:16", sound=True),
        model="kling-v3.0-4k-t2v",
        submitted_at=NOW,
        saved=Saved("/tmp/fox.mp4", 7, "abc"),
    )
    assert built == {
        "task_id": "t",
        "status": "TASK_STATUS_SUCCEED",
        "model": "kling-v3.0-4k-t2v",
        "prompt": "a fox",
        "multi_prompt": None,
        "duration": 8,
        "aspect_ratio": "9:16",
        "sound": True,
        "video_url": "https://v",
        "video_type": "mp4",
        "video_url_expires_at": "2025-06-15T15:07:40+00:00",
        "submitted_at": "2025-06-15T15:06:40+00:00",
        "finished_at": "2025-06-15T15:06:41+00:00",
        "saved_to": "/tmp/fox.mp4",
        "bytes": 7,
        "sha256": "abc",
    }
    assert list(built) == FIELDS


def test_what_is_unknown_is_null_and_never_missing() -> None:
    built = build_manifest(Render(task_id="t", status=RenderStatus.SUCCEED))
    assert list(built) == FIELDS
    assert {name: value for name, value in built.items() if value is not None} == {
        "task_id": "t",
        "status": "TASK_STATUS_SUCCEED",
    }


def test_the_defaults_of_the_service_are_filled_in() -> None:
    built = build_manifest(done(), request=TextToVideo(prompt="a fox"))
    assert (built["duration"], built["aspect_ratio"], built["sound"]) == (5, "16:9", False)


def test_shots_are_plain_data() -> None:
    shots = [{"prompt": "a", "duration": 1}, {"prompt": "b", "duration": 3}]
    built = build_manifest(done(), request=TextToVideo.parse(multi_prompt=shots))
    assert (built["multi_prompt"], built["prompt"], built["duration"]) == (shots, None, 4)
    assert json.loads(json.dumps(built)) == built


def test_a_link_of_unknown_lifetime_is_taken_to_live_an_hour() -> None:
    assert link_fields(done())["video_url_expires_at"] == iso(NOW + 3600)


def test_no_link_does_not_expire() -> None:
    assert link_fields(done(video_url=None, video_url_ttl=60))["video_url_expires_at"] is None


@patient
@given(st.floats(0, 1e15) | st.none(), st.floats(0, 1e15) | st.none())
def test_no_number_of_the_service_breaks_a_manifest(ttl: float | None, finished_at: float | None) -> None:
    built = build_manifest(done(video_url_ttl=ttl, finished_at=finished_at))
    assert json.loads(json.dumps(built)) == built


@patient
@given(st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))
def test_times_can_be_read_back_to_the_second(moment: datetime) -> None:
    text = iso(moment.timestamp())
    assert text
    assert datetime.fromisoformat(text) == moment.replace(microsecond=0)
