"""A video in real stores: whole or not there, whatever happens on the way."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from films import film as make_film
from task_runs import TaskRun

from airflow_provider_kling import exceptions
from airflow_provider_kling.api.errors import VideoUnavailable
from airflow_provider_kling.api.models import Render, RenderStatus, TextToVideo
from airflow_provider_kling.hooks.kling import KlingHook
from airflow_provider_kling.saving import save
from airflow_provider_kling.simulator.downloads import FilmStore
from airflow_provider_kling.targets import InvalidPath, Target
from airflow_provider_kling.transfers.kling_to_object_storage import KlingToObjectStorageOperator

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import Context
    from stores import Store

    from airflow_provider_kling.simulator import KlingSimulator

pytestmark = [pytest.mark.kling_simulator(render_seconds=0, short_side=90), pytest.mark.timeout(180)]
LARGE = 40_000_000
"""Several parts of a multipart upload."""


@pytest.fixture
def films(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Callable[[bytes], None]:
    """Choose what the file host sends."""
    return lambda content: monkeypatch.setattr(FilmStore, "film", lambda *_: content)


@pytest.fixture
def task_id(kling_simulator: KlingSimulator) -> str:
    """A finished render."""
    return KlingHook().submit(TextToVideo(prompt="a fox"))


@pytest.fixture
def ask(task_id: str) -> Callable[[], Render]:
    """Asks about it."""
    return lambda: KlingHook().get_render(task_id)


@pytest.fixture
def context(kling_simulator: KlingSimulator) -> Context:
    """What Airflow hands to a task."""
    return TaskRun(kling_simulator, remembers=False).context()


def target(store: Store, name: str = "clips/fox.mp4") -> Target:
    return Target(store.url(name), store.conn_id, "path")


@pytest.mark.parametrize("size", [5_000, LARGE])
def test_a_video_arrives_whole_and_replaces_an_older_one(
    store: Store, ask: Callable[[], Render], films: Callable[[bytes], None], size: int
) -> None:
    for seed in (1, 2):
        films(make_film(size, seed=seed))
        render, saved = save(ask, target(store))
        assert render.status is RenderStatus.SUCCEED
        assert hashlib.sha256(store.read("clips/fox.mp4")).hexdigest() == saved.sha256
        assert (saved.path, saved.size) == (store.url("clips/fox.mp4"), size)
        assert store.names() == ["clips/fox.mp4"]


def test_the_same_video_is_not_written_again(
    store: Store, ask: Callable[[], Render], monkeypatch: pytest.MonkeyPatch
) -> None:
    save(ask, target(store))
    monkeypatch.setattr(Target, "publish", None)
    _, saved = save(ask, target(store), overwrite=False)
    assert target(store).holds(size=saved.size, sha256=saved.sha256)
    assert not target(store).holds(size=saved.size, sha256="another")
    assert not target(store).holds(size=saved.size + 1, sha256=saved.sha256)


def test_something_else_is_only_replaced_when_that_is_wanted(
    store: Store, ask: Callable[[], Render], films: Callable[[bytes], None]
) -> None:
    older, newer = make_film(5_000, seed=1), make_film(6_000, seed=2)
    films(older)
    save(ask, target(store), overwrite=False)
    films(newer)
    with pytest.raises(VideoUnavailable, match=r"holds something else, which is left as it is.*overwrite=True"):
        save(ask, target(store), overwrite=False)
    assert store.read("clips/fox.mp4") == older
    save(ask, target(store), overwrite=True)
    assert store.read("clips/fox.mp4") == newer


@pytest.mark.parametrize("older", [None, make_film(5_000, seed=9)], ids=["new", "older"])
def test_a_worker_killed_while_uploading_shows_no_part_under_the_final_name(
    store: Store, tmp_path: Path, older: bytes | None
) -> None:
    file = tmp_path / "video.mp4"
    if older:
        file.write_bytes(older)
        target(store).publish(file)
    file.write_bytes(make_film(5 * LARGE))
    worker = subprocess.Popen(
        [sys.executable, str(Path(__file__).parents[1] / "support" / "uploader.py"), store.url("clips/fox.mp4")],
        env={**os.environ, "STORE_CONN_ID": store.conn_id, "STORE_FILE": str(file)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdout
    assert any(line == "uploading\n" for line in worker.stdout), "it never began"
    worker.send_signal(signal.SIGKILL)
    assert worker.wait(30) == -signal.SIGKILL
    assert worker.stdout.read() == "", "it was killed too late"
    time.sleep(1)  # a server that would publish what it has got would do it now
    assert store.names() == (["clips/fox.mp4"] if older else [])
    if older:
        assert store.read("clips/fox.mp4") == older
    file.write_bytes(make_film(LARGE))  # the retry
    target(store).publish(file)
    assert store.read("clips/fox.mp4") == make_film(LARGE)


def test_an_upload_takes_little_memory(store: Store, tmp_path: Path) -> None:
    """A twentieth of the 2 GiB that `benchmarks/upload.py` sends; defaults of the file systems need more for it."""
    file = tmp_path / "video.mp4"
    file.write_bytes(make_film(5 * LARGE))
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parents[1] / "support" / "uploader.py"), store.url("clips/fox.mp4")],
        env={**os.environ, "STORE_CONN_ID": store.conn_id, "STORE_FILE": str(file)},
        capture_output=True,
        text=True,
        check=True,
    )
    grown = int(done.stdout.split()[-1])
    assert grown < 64 << 20


def test_a_bucket_that_is_missing_is_told_before_anything_is_bought_or_fetched(store: Store) -> None:
    target(store).check()
    with pytest.raises(InvalidPath, match=rf"there is no bucket or container '{store.bucket}-missing'"):
        Target(f"{store.server.scheme}://{store.bucket}-missing/fox.mp4", store.conn_id).check()
    assert store.names() == []


def test_a_bucket_that_is_deleted_meanwhile_is_told_as_not_delivered(store: Store, ask: Callable[[], Render]) -> None:
    gone = Target(f"{store.server.scheme}://{store.bucket}-missing/fox.mp4", store.conn_id)
    with pytest.raises(VideoUnavailable, match="could not be written") as told:
        save(ask, gone)
    assert told.value.bought == "yes"


def test_a_connection_that_is_missing_is_told_before_anything_is_bought_or_fetched(store: Store) -> None:
    with pytest.raises(InvalidPath, match=r"storage_conn_id='no_such': there is no such Airflow connection"):
        Target(store.url("fox.mp4"), "no_such").check()


def test_the_transfer_saves_video_and_manifest(
    store: Store, task_id: str, kling_simulator: KlingSimulator, context: Context
) -> None:
    operator = KlingToObjectStorageOperator(
        task_id="save",
        kling_task_id=task_id,
        path=store.url("clips/fox.mp4"),
        storage_conn_id=store.conn_id,
        write_manifest=True,
    )
    manifest = operator.execute(context)
    assert store.names() == ["clips/fox.mp4", "clips/fox.mp4.json"]
    assert manifest["saved_to"] == store.url("clips/fox.mp4")
    assert hashlib.sha256(store.read("clips/fox.mp4")).hexdigest() == manifest["sha256"]
    assert json.loads(store.read("clips/fox.mp4.json")) == manifest | {"video_url": None, "video_url_expires_at": None}
    assert kling_simulator.submits == 1


def test_the_transfer_leaves_something_else_and_says_so(
    store: Store, task_id: str, films: Callable[[bytes], None], context: Context
) -> None:
    films(make_film(5_000, seed=1))
    arguments: dict[str, Any] = {
        "kling_task_id": task_id,
        "path": store.url("fox.mp4"),
        "storage_conn_id": store.conn_id,
    }
    KlingToObjectStorageOperator(task_id="one", **arguments).execute(context)
    films(make_film(5_000, seed=2))
    with pytest.raises(exceptions.VideoUnavailable, match="holds something else"):
        KlingToObjectStorageOperator(task_id="two", **arguments).execute(context)
    assert store.read("fox.mp4") == make_film(5_000, seed=1)
