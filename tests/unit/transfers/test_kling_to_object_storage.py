"""A render that anybody has bought, by its id, into the user's storage."""

from __future__ import annotations

import hashlib
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from airflow.sdk import Asset, AssetAlias

from airflow_provider_kling import exceptions
from airflow_provider_kling._compat import AirflowFailException
from airflow_provider_kling.exceptions import WATCHING
from airflow_provider_kling.hooks.kling import KlingHook
from airflow_provider_kling.simulator import faults
from airflow_provider_kling.transfers.kling_to_object_storage import KlingToObjectStorageOperator

if TYPE_CHECKING:
    from pathlib import Path

    from sources import Store
    from task_runs import TaskRun

    from airflow_provider_kling.simulator.faults import Fault

pytestmark = pytest.mark.kling_simulator(render_seconds=1e6, speed=1, short_side=90)


def bought(task_run: TaskRun, *, finished: bool = True) -> str:
    """The id of a render of another task."""
    from airflow_provider_kling.api.models import TextToVideo

    task_id = KlingHook().submit(TextToVideo(prompt="a secret fox", duration=3))
    if finished:
        task_run.simulator.finish(task_id)
    task_run.simulator.reset()
    return task_id


def operator(**arguments: Any) -> KlingToObjectStorageOperator:
    return KlingToObjectStorageOperator(task_id="save", **arguments)


def transfer(task_run: TaskRun, **arguments: Any) -> dict[str, Any]:
    """One attempt; what it returns goes through XCom."""
    manifest: dict[str, Any] = json.loads(json.dumps(operator(**arguments).execute(task_run.context())))
    assert task_run.simulator.submits == 0
    return manifest


def fails(task_run: TaskRun, **arguments: Any) -> exceptions.KlingException:
    with pytest.raises(exceptions.KlingException) as failure:
        transfer(task_run, **arguments)
    assert task_run.simulator.submits == 0
    assert "sign=" not in str(failure.value)
    return failure.value


@pytest.fixture
def fox(tmp_path: Path) -> Path:
    return tmp_path / "clips" / "fox.mp4"


def test_the_video_of_a_finished_render_is_saved(task_run: TaskRun, fox: Path) -> None:
    task_id = bought(task_run)
    manifest = transfer(task_run, kling_task_id=task_id, path=str(fox))
    film = httpx.get(manifest["video_url"]).content
    assert fox.read_bytes() == film
    assert (manifest["task_id"], manifest["status"]) == (task_id, "TASK_STATUS_SUCCEED")
    assert (manifest["saved_to"], manifest["bytes"]) == (str(fox), len(film))
    assert manifest["sha256"] == hashlib.sha256(film).hexdigest()
    assert manifest["model"] is manifest["prompt"] is None  # whoever bought it knows
    assert list(fox.parent.iterdir()) == [fox]


def test_it_goes_through_a_connection_into_a_store(task_run: TaskRun, object_store: Store) -> None:
    url = "s3://bucket/clips/fox.mp4"
    manifest = transfer(task_run, kling_task_id=bought(task_run), path=url, storage_conn_id="vault_conn")
    (stored,) = object_store.content().values()
    assert hashlib.sha256(stored).hexdigest() == manifest["sha256"]
    assert manifest["saved_to"] == url
    assert set(object_store.conn_ids) == {"vault_conn"}


def test_assets_are_told(task_run: TaskRun, fox: Path) -> None:
    asset, alias = Asset(name="foxes"), AssetAlias("videos")
    manifest = transfer(task_run, kling_task_id=bought(task_run), path=fox, outlets=[asset, alias])
    extra = task_run.outlet_events[asset].extra
    assert {"sha256": manifest["sha256"], "task_id": manifest["task_id"]}.items() <= extra.items()
    (event,) = task_run.outlet_events[alias].asset_alias_events
    assert (event.dest_asset_key.uri, event.extra) == (fox.as_uri(), extra)


class TestArguments:
    def test_templates_are_rendered(self, task_run: TaskRun, fox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_KLING_FOX", task_run.simulator.connection_json)
        made = operator(
            kling_task_id="{{ render }}",
            path=f"{fox.parent}/{{{{ who }}}}-{{{{ ti.map_index }}}}.mp4",
            storage_conn_id="{{ none }}",
            expected_duration="{{ seconds }}",
            kling_conn_id="kling_{{ who }}",
        )
        context: Any = {**task_run.context(), "render": bought(task_run), "who": "fox", "seconds": 3}
        monkeypatch.delenv("AIRFLOW_CONN_KLING_DEFAULT")
        made.render_template_fields(context)
        assert made.execute(context)["saved_to"] == str(fox.parent / "fox--1.mp4")
        assert set(made.template_fields) == {
            "kling_task_id", "path", "storage_conn_id", "expected_duration", "kling_conn_id",
        }  # fmt: skip

    def test_a_path_object_is_taken(self, fox: Path) -> None:
        assert operator(kling_task_id="t", path=fox).path == str(fox)

    def test_blanks_around_an_id_are_no_part_of_it(self, task_run: TaskRun, fox: Path) -> None:
        task_id = bought(task_run)
        assert transfer(task_run, kling_task_id=f" {task_id}\n", path=fox)["task_id"] == task_id

    @pytest.mark.parametrize("seconds", [None, "", "None", 3, 3.5, "3", "2.5", 4])
    def test_an_expected_duration_that_comes_true_or_is_none_passes(
        self, task_run: TaskRun, fox: Path, seconds: Any
    ) -> None:
        assert transfer(task_run, kling_task_id=bought(task_run), path=fox, expected_duration=seconds)["bytes"]

    @pytest.mark.parametrize(
        ("arguments", "kind", "words"),
        [
            ({"kling_task_id": ""}, "InvalidRequest", "kling_task_id='': must be the id"),
            ({"kling_task_id": None}, "InvalidRequest", "kling_task_id=None: must be the id"),
            ({"kling_task_id": "None"}, "InvalidRequest", "kling_task_id='None': must be the id"),
            ({"expected_duration": 0}, "InvalidRequest", "expected_duration=0: must be a number of seconds above 0"),
            ({"expected_duration": -1.5}, "InvalidRequest", "expected_duration=-1.5: must be"),
            ({"expected_duration": "long"}, "InvalidRequest", "expected_duration='long': must be"),
            ({"expected_duration": float("nan")}, "InvalidRequest", "expected_duration=nan: must be"),
            ({"expected_duration": "inf"}, "InvalidRequest", "expected_duration='inf': must be"),
            ({"expected_duration": [3]}, "InvalidRequest", "expected_duration=[3]: must be"),
            ({"path": ""}, "InvalidTarget", "path='': must be a local path"),
            ({"path": "https://h/v.mp4"}, "InvalidTarget", "path='https://h/v.mp4': https can't be written to"),
            ({"path": "/videos/"}, "InvalidTarget", "path='/videos/': is a folder"),
            ({"kling_conn_id": "nope"}, "InvalidConnection", "kling_conn_id='nope' does not exist"),
        ],
        ids=lambda value: str(value) if isinstance(value, dict) else "",
    )
    def test_a_mistake_is_told_before_anything_is_asked(
        self, task_run: TaskRun, fox: Path, arguments: dict[str, Any], kind: str, words: str
    ) -> None:
        error = fails(task_run, **{"kling_task_id": "t", "path": fox, **arguments})
        assert type(error) is getattr(exceptions, kind)
        assert isinstance(error, AirflowFailException)
        assert words in str(error)
        assert "clear" in str(error)
        assert error.bought == "no"
        assert task_run.simulator.requests == []

    def test_two_mapped_tasks_may_not_write_one_file(self, task_run: TaskRun, fox: Path) -> None:
        other = SimpleNamespace(task_id="save", map_index=1, xcom_push=lambda **_: None, xcom_pull=lambda **_: [0, 1])
        with pytest.raises(exceptions.InvalidTarget, match=r"mapped task 0 of this run .* Nothing was fetched"):
            operator(kling_task_id="t", path=fox).execute({**task_run.context(), "ti": other})  # type: ignore[typeddict-item]
        assert task_run.simulator.requests == []


class TestRendersWithoutAVideo:
    @pytest.mark.parametrize(
        ("reason", "kind", "what"),
        [
            ("out of memory", "RenderFailed", "failed (out of memory)"),
            ("content policy", "ContentRejected", "was refused by moderation (content policy)"),
        ],
    )
    def test_a_failed_one_is_shown_as_what_it_is(
        self, task_run: TaskRun, fox: Path, reason: str, kind: str, what: str
    ) -> None:
        task_run.simulator.inject(faults.Fail(reason), on="render")
        task_id = bought(task_run)
        error = fails(task_run, kling_task_id=task_id, path=fox)
        assert type(error) is getattr(exceptions, kind)
        assert str(error) == f"Render {task_id} {what}. The API does not say whether it is charged. {WATCHING}"
        assert (error.bought, error.task_id, error.reason) == ("perhaps", task_id, reason)

    def test_one_that_still_goes_on_is_for_the_sensor(self, task_run: TaskRun, fox: Path) -> None:
        task_id = bought(task_run, finished=False)
        error = fails(task_run, kling_task_id=task_id, path=fox)
        assert type(error) is exceptions.VideoUnavailable
        assert str(error) == (
            f"Render {task_id} is not finished (TASK_STATUS_QUEUED). It is paid and goes on: let a KlingRenderSensor "
            f"wait for it before this task. {WATCHING}"
        )
        assert (task_run.simulator.polls, task_run.simulator.downloads) == (1, 0)
        task_run.simulator.finish()
        assert transfer(task_run, kling_task_id=task_id, path=fox)["bytes"]

    @pytest.mark.parametrize(
        ("fault", "said", "fix"),
        [
            (faults.NotFound(), "HTTP 404, TASK_NOT_FOUND: task not found.", "Look whether the id is one of this"),
            (faults.ErrorBody(401, "FAILED_TO_AUTH"), "HTTP 401, FAILED_TO_AUTH.", "Correct the key in the connection"),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_one_that_can_not_be_asked_about_is_told_at_once_and_nothing_is_said_of_money(
        self, task_run: TaskRun, fox: Path, fault: Fault, said: str, fix: str
    ) -> None:
        task_id = bought(task_run)
        task_run.simulator.inject(fault, on="poll")
        error = fails(task_run, kling_task_id=task_id, path=fox)
        assert type(error) is exceptions.VideoUnavailable
        assert str(error).startswith(f"The video of render {task_id} was not fetched: ")
        assert f"{said} {fix}" in str(error)
        assert str(error).endswith(WATCHING)
        assert "paid" not in str(error)
        assert error.http_status in {404, 401}
        assert task_run.simulator.polls == 1


class TestVideosThatDoNotCome:
    @pytest.mark.parametrize(
        ("fault", "on", "said"),
        [
            (faults.BadGateway(), "poll", "HTTP 502"),
            (faults.Drop(), "poll", "got no answer"),
            (faults.NoLink(), "poll", "the API gives no link to the video (status TASK_STATUS_SUCCEED)"),
            (faults.Torn(), "download", "the download broke off (RemoteProtocolError)"),
            (faults.ExpiredLink(), "download", "the file host 127.0.0.1 answered with HTTP 403"),
            (faults.Html(), "download", "what was downloaded (55 bytes) is no whole MP4"),
            (faults.WrongLength(1 << 50), "download", "that is no clip"),
        ],
        ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
    )
    def test_it_is_told_what_happened_that_it_is_paid_and_what_a_retry_does(
        self, task_run: TaskRun, fox: Path, *, fault: Fault, on: str, said: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1 << 50))
        task_id = bought(task_run)
        task_run.simulator.inject(fault, on=on, times=None)
        error = fails(task_run, kling_task_id=task_id, path=fox)
        assert type(error) is exceptions.VideoUnavailable
        assert str(error).startswith(f"The video of render {task_id} was not delivered: ")
        assert said in str(error)
        assert str(error).endswith(f"It is rendered and paid. {WATCHING}")
        assert (error.bought, error.task_id) == ("yes", task_id)
        assert not isinstance(error, AirflowFailException)
        assert not fox.exists()
        task_run.simulator.clear_faults()
        assert transfer(task_run, kling_task_id=task_id, path=fox)["bytes"]

    def test_the_length_that_was_expected_is_looked_at(self, task_run: TaskRun, fox: Path) -> None:
        error = fails(task_run, kling_task_id=bought(task_run), path=fox, expected_duration="15")
        assert "the video plays for 3.0 s, 15 s were expected. It is rendered and paid." in str(error)
        assert not fox.exists()

    def test_a_store_that_refuses_is_told_with_its_own_words(
        self, task_run: TaskRun, object_store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def put(*_: Any, **__: Any) -> None:
            raise PermissionError("AccessDenied")

        monkeypatch.setattr(object_store.files, "put_file", put)
        error = fails(task_run, kling_task_id=bought(task_run), path="s3://bucket/fox.mp4", write_manifest=True)
        assert "could not be written (PermissionError: AccessDenied). It is rendered and paid." in str(error)
        assert isinstance(error.__cause__, PermissionError)

    def test_a_first_question_that_breaks_is_asked_again(self, task_run: TaskRun, fox: Path) -> None:
        task_id = bought(task_run)
        task_run.simulator.inject(faults.BadGateway(), on="poll", times=2)
        assert transfer(task_run, kling_task_id=task_id, path=fox)["bytes"]


class TestWhatIsThereAlready:
    def test_the_same_video_is_left_as_it_is_and_the_task_succeeds(self, task_run: TaskRun, fox: Path) -> None:
        task_id = bought(task_run)
        first = transfer(task_run, kling_task_id=task_id, path=fox)
        before = fox.stat()
        again = transfer(task_run, kling_task_id=task_id, path=fox)
        assert (fox.stat().st_ino, fox.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
        assert again["sha256"] == first["sha256"]

    def test_something_else_fails_the_task_and_is_left(self, task_run: TaskRun, fox: Path) -> None:
        fox.parent.mkdir()
        fox.write_bytes(b"older")
        error = fails(task_run, kling_task_id=bought(task_run), path=fox)
        assert f"path='{fox}' holds something else, which is left as it is; choose another path or set" in str(error)
        assert [path.read_bytes() for path in fox.parent.iterdir()] == [b"older"]

    def test_something_else_is_replaced_when_told_so(self, task_run: TaskRun, fox: Path) -> None:
        fox.parent.mkdir()
        fox.write_bytes(b"older")
        manifest = transfer(task_run, kling_task_id=bought(task_run), path=fox, overwrite=True)
        assert fox.stat().st_size == manifest["bytes"]


class TestManifests:
    def test_one_is_written_beside_the_video_without_the_link(self, task_run: TaskRun, fox: Path) -> None:
        manifest = transfer(task_run, kling_task_id=bought(task_run), path=fox, write_manifest=True)
        written = json.loads((fox.parent / "fox.mp4.json").read_text())
        assert written == manifest | {"video_url": None, "video_url_expires_at": None}
        assert manifest["video_url"]

    def test_none_is_written_unless_told_so(self, task_run: TaskRun, fox: Path) -> None:
        transfer(task_run, kling_task_id=bought(task_run), path=fox)
        assert list(fox.parent.iterdir()) == [fox]
