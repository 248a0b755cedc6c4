"""What Airflow is told of a saved video."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import Asset, AssetAlias
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_kling import assets
from airflow_provider_kling.assets import asset_extra, hand_on, write_manifest
from airflow_provider_kling.hooks.kling import KlingHook
from airflow_provider_kling.operators.kling import KlingTextToVideoOperator
from airflow_provider_kling.targets import Target

if TYPE_CHECKING:
    from pathlib import Path

    from logs import Logs

PROMPT = "A secret fox"
MANIFEST: dict[str, Any] = {
    "task_id": "t",
    "status": "TASK_STATUS_SUCCEED",
    "model": "kling-v3.0-4k-t2v",
    "prompt": PROMPT,
    "multi_prompt": None,
    "duration": 5,
    "video_url": "https://files/fox.mp4?sign=1",
    "video_url_expires_at": "2026-01-01T00:00:00+00:00",
    "saved_to": "s3://bucket/fox.mp4",
    "bytes": 7,
    "sha256": "abc",
}
EXTRA = {
    "task_id": "t",
    "model": "kling-v3.0-4k-t2v",
    "duration": 5,
    "bytes": 7,
    "sha256": "abc",
    "prompt_sha256": hashlib.sha256(PROMPT.encode()).hexdigest(),
}
TARGET = Target("s3://bucket/fox.mp4")


class Collector:
    """Airflow's lineage collector, as far as it is used."""

    def __init__(self) -> None:
        self.outputs: list[dict[str, Any]] = []

    def add_output_asset(self, context: object, *, uri: str, asset_extra: dict[str, Any]) -> None:
        self.outputs.append({"context": context, "uri": uri, "asset_extra": asset_extra})


@pytest.fixture(autouse=True)
def collector(monkeypatch: pytest.MonkeyPatch) -> Collector:
    collector = Collector()
    monkeypatch.setattr(assets, "get_hook_lineage_collector", lambda: collector)
    return collector


@pytest.fixture
def events() -> OutletEventAccessors:
    return OutletEventAccessors()


def tell(events: object, *outlets: Asset | AssetAlias, target: Target = TARGET) -> KlingHook:
    """Hand a video on from a task with these outlets."""
    operator = KlingTextToVideoOperator(task_id="render", prompt=PROMPT, outlets=list(outlets))
    hook = KlingHook("kling_default")
    hand_on({"outlet_events": events}, operator, hook, MANIFEST, target)  # type: ignore[typeddict-item]
    return hook


def test_an_asset_gets_what_a_reader_needs(events: OutletEventAccessors) -> None:
    first, second = Asset("s3://bucket/fox.mp4"), Asset(name="foxes")
    events[first].extra["own"] = "kept"
    tell(events, first, second)
    assert events[first].extra == {"own": "kept", **EXTRA}
    assert events[second].extra == EXTRA


@pytest.mark.parametrize("path", ["s3://bucket/fox.mp4", "local"])
def test_an_alias_gets_an_asset_of_the_object(events: OutletEventAccessors, tmp_path: Path, path: str) -> None:
    target = Target(path) if path != "local" else Target(str(tmp_path / "fox.mp4"))
    alias = AssetAlias("videos")
    tell(events, alias, target=target)
    (event,) = events[alias].asset_alias_events
    assert event.dest_asset_key.uri == target.uri
    assert event.extra == EXTRA


def test_without_outlets_only_lineage_is_told(events: OutletEventAccessors, collector: Collector) -> None:
    hook = tell(events)
    assert len(events) == 0
    assert collector.outputs == [{"context": hook, "uri": TARGET.uri, "asset_extra": EXTRA}]


def test_airflows_own_collector_is_called_in_words_that_it_knows(
    events: OutletEventAccessors, monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    try:
        from airflow.sdk.lineage import HookLineageCollector
    except ImportError:  # Airflow 3.1
        from airflow.lineage.hook import HookLineageCollector  # type: ignore[import-not-found,no-redef]

    own = HookLineageCollector()
    monkeypatch.setattr(assets, "get_hook_lineage_collector", lambda: own)
    tell(events)
    (output,) = own.collected_assets.outputs
    assert (output.asset.uri, output.asset.extra) == (TARGET.uri, EXTRA)
    assert "could not be given in full" not in logs.text


class Broken:
    """Event accessors, or a collector, of an Airflow that is out of order."""

    def __getitem__(self, outlet: object) -> object:
        raise RuntimeError("no such outlet")

    def add_output_asset(self, **_: object) -> None:
        raise RuntimeError("no such outlet")


def test_a_saved_video_never_fails_of_it(
    events: OutletEventAccessors, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(Broken(), Asset(name="foxes"))
    monkeypatch.setattr(assets, "get_hook_lineage_collector", Broken)
    tell(events)
    assert "The video is saved, but its lineage could not be given." in logs.text
    assert "The video is saved, but the asset event of" in logs.text
    assert "no such outlet" in logs.text


def test_an_odd_outlet_takes_nothing_from_the_others(events: OutletEventAccessors) -> None:
    clip = Asset(name="foxes")
    tell(events, {"lineage": "entity"}, clip)  # type: ignore[arg-type]
    assert events[clip].extra["sha256"]


class TestExtra:
    def test_neither_prompt_nor_link_is_in_it(self) -> None:
        shots = [{"prompt": PROMPT, "duration": 3}]
        for manifest in (MANIFEST, MANIFEST | {"prompt": None, "multi_prompt": shots}):
            told = json.dumps(asset_extra(manifest))
            assert "secret" not in told
            assert "sign" not in told
            assert list(asset_extra(manifest)) == list(EXTRA)

    def test_the_same_request_has_the_same_hash_and_another_one_another(self) -> None:
        def hashed(prompt: object, shots: object = None) -> object:
            return asset_extra(MANIFEST | {"prompt": prompt, "multi_prompt": shots})["prompt_sha256"]

        one, other = (
            {"prompt": "ein Fuchs im Schnee ❄", "duration": 3},
            {"duration": 3, "prompt": "ein Fuchs im Schnee ❄"},
        )
        assert hashed("a") == hashlib.sha256(b"a").hexdigest() != hashed("b")
        assert hashed(None, [one]) == hashed(None, [other]) != hashed(None, [one, one])
        assert hashed(None) is None


def test_the_manifest_lies_beside_the_object_without_its_link(tmp_path: Path) -> None:
    write_manifest(MANIFEST | {"prompt": "Schnee ❄"}, Target(str(tmp_path / "fox.mp4")))
    text = (tmp_path / "fox.mp4.json").read_text(encoding="utf-8")
    assert json.loads(text) == MANIFEST | {"prompt": "Schnee ❄", "video_url": None, "video_url_expires_at": None}
    assert "❄" in text
    assert text.endswith("}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["fox.mp4.json"]
