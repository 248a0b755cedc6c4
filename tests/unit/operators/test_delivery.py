"""The end of a render: its video stored, described and handed on, and all of it once more when that is asked for."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import Asset
from films import film
from task_runs import PROMPT

from airflow_provider_kling import exceptions
from airflow_provider_kling.simulator.downloads import FilmStore
from airflow_provider_kling.targets import Target

if TYPE_CHECKING:
    from pathlib import Path

    from logs import Logs
    from sources import Store
    from task_runs import TaskRun

pytestmark = pytest.mark.kling_simulator(speed=1e6, short_side=90)
URL = "s3://bucket/clips/fox.mp4"
ASSET = Asset(name="foxes")


@pytest.fixture
def fox(tmp_path: Path) -> Path:
    return tmp_path / "fox.mp4"


@pytest.fixture(params=["local", "remote"])
def path(request: pytest.FixtureRequest, fox: Path, object_store: Store) -> str:
    return str(fox) if request.param == "local" else URL


def test_an_asset_is_told_of_a_saved_video(task_run: TaskRun, fox: Path) -> None:
    manifest = task_run.attempt(save_to=str(fox), outlets=[ASSET])
    assert task_run.outlet_events[ASSET].extra == {
        **{name: manifest[name] for name in ("task_id", "model", "duration", "bytes", "sha256")},
        "prompt_sha256": hashlib.sha256(PROMPT.encode()).hexdigest(),
    }


def test_nothing_is_told_of_a_video_that_is_nowhere(task_run: TaskRun) -> None:
    task_run.attempt(outlets=[ASSET])
    assert task_run.outlet_events[ASSET].extra == {}
    assert task_run.simulator.downloads == 0


def test_an_older_video_is_replaced(task_run: TaskRun, fox: Path) -> None:
    fox.write_bytes(b"older")
    assert task_run.attempt(save_to=str(fox))["bytes"] == fox.stat().st_size > len(b"older")


@pytest.mark.parametrize("seconds", [4, 5, 6, 0])
def test_a_video_of_about_the_length_asked_for_is_no_news(
    task_run: TaskRun, fox: Path, logs: Logs, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    monkeypatch.setattr(FilmStore, "film", lambda *_: film(seconds=seconds))
    task_run.attempt(save_to=str(fox))
    assert "were asked for" not in logs.text


def test_a_video_of_another_length_is_what_was_paid_for_and_told(
    task_run: TaskRun, fox: Path, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FilmStore, "film", lambda *_: film(seconds=9))
    assert task_run.attempt(save_to=str(fox))["bytes"] == 200
    assert "plays for" in logs.text


class TestManifests:
    def test_one_is_written_beside_the_video_without_the_link(self, task_run: TaskRun, fox: Path) -> None:
        manifest = task_run.attempt(save_to=str(fox), write_manifest=True)
        written = json.loads((fox.parent / "fox.mp4.json").read_text())
        assert written == manifest | {"video_url": None, "video_url_expires_at": None}
        assert written["prompt"] == PROMPT

    @pytest.mark.parametrize("arguments", [{}, {"write_manifest": False}])
    def test_none_is_written_unless_told_so(self, task_run: TaskRun, fox: Path, arguments: dict[str, Any]) -> None:
        task_run.attempt(save_to=str(fox), **arguments)
        assert list(fox.parent.iterdir()) == [fox]

    def test_without_a_video_there_is_nothing_to_lie_beside(self, task_run: TaskRun) -> None:
        assert task_run.attempt(write_manifest=True)["saved_to"] is None

    def test_one_that_can_not_be_written_is_told_before_anything_is_bought(self, task_run: TaskRun, fox: Path) -> None:
        (fox.parent / "fox.mp4.json").mkdir()
        with pytest.raises(exceptions.InvalidTarget, match=r"fox.mp4.json'?: is a folder. Nothing was sent or paid"):
            task_run.attempt(save_to=str(fox), write_manifest=True)
        assert task_run.simulator.submits == 0

    def test_a_saved_video_never_fails_of_it(self, task_run: TaskRun, fox: Path, logs: Logs) -> None:
        deferred = task_run.defer(save_to=str(fox), write_manifest=True)
        (fox.parent / "fox.mp4.json").mkdir()
        assert task_run.resume(deferred, save_to=str(fox), write_manifest=True)["bytes"]
        assert "The video is saved, but its manifest" in logs.text


@pytest.mark.needs_task_state_store
class TestOnceMore:
    @staticmethod
    def again(task_run: TaskRun, path: str) -> dict[str, Any]:
        """A clear that must not buy: the render is the one from before."""
        task_run.clear()
        task_run.simulator.reset()
        manifest = task_run.attempt(on_clear="reuse", save_to=path, outlets=[ASSET])
        assert task_run.simulator.submits == 0
        return manifest

    def test_what_is_still_there_is_told_of_and_not_fetched(self, task_run: TaskRun, path: str) -> None:
        first = task_run.attempt(save_to=path)
        again = self.again(task_run, path)
        assert task_run.simulator.downloads == 0
        assert {**again, "video_url": None, "video_url_expires_at": None} == {
            **first, "video_url": None, "video_url_expires_at": None,
        }  # fmt: skip
        assert task_run.outlet_events[ASSET].extra["sha256"] == first["sha256"]

    @pytest.mark.parametrize("change", ["removed", "replaced"])
    def test_what_is_there_no_more_is_fetched_anew_and_free(
        self, task_run: TaskRun, object_store: Store, path: str, fox: Path, change: str
    ) -> None:
        first = task_run.attempt(save_to=path)
        if path == URL:
            (place,) = object_store.content()
            object_store.files.rm(place)
            if change == "replaced":
                object_store.files.pipe_file(place, b"x" * first["bytes"])
        else:
            fox.unlink()
            if change == "replaced":
                fox.write_bytes(b"x" * first["bytes"])
        assert self.again(task_run, path)["sha256"] == first["sha256"]
        assert task_run.simulator.downloads == 1
        assert Target(path).holds(size=first["bytes"], sha256=first["sha256"])

    def test_whoever_may_only_write_takes_it_for_still_there(
        self, task_run: TaskRun, path: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        task_run.attempt(save_to=path)

        def refuse(*_: object, **__: object) -> bool:
            raise PermissionError

        monkeypatch.setattr(Target, "holds", refuse)
        assert self.again(task_run, path)["bytes"]
        assert task_run.simulator.downloads == 0

    def test_a_store_that_can_not_be_asked_is_written_to_once_more(
        self, task_run: TaskRun, path: str, monkeypatch: pytest.MonkeyPatch, logs: Logs
    ) -> None:
        task_run.attempt(save_to=path)
        answers = iter([ConnectionError("no route")])
        holds = Target.holds

        def broken_once(target: Target, **wanted: Any) -> bool:
            if error := next(answers, None):
                raise error
            return holds(target, **wanted)

        monkeypatch.setattr(Target, "holds", broken_once)
        assert self.again(task_run, path)["bytes"]
        assert task_run.simulator.downloads == 1
        assert f"Could not look whether {path} is still there (ConnectionError)." in logs.warnings

    def test_another_spelling_of_the_same_place_is_the_same(self, task_run: TaskRun, fox: Path) -> None:
        task_run.attempt(save_to=str(fox))
        self.again(task_run, f"file://{fox}")
        assert task_run.simulator.downloads == 0
