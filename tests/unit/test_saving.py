"""Where a video may be saved to, and how it gets into an object store."""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.io import fs as airflow_fs
from airflow.sdk.io import store as airflow_store
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_kling import saving
from airflow_provider_kling.api.client import Download
from airflow_provider_kling.api.errors import PollFailed, VideoUnavailable
from airflow_provider_kling.api.models import Render, RenderStatus
from airflow_provider_kling.saving import InvalidPath, Saved, check_path, check_target, deliver, is_saved

if TYPE_CHECKING:
    from collections.abc import Iterator

FILM = b"".join((8 + len(rest)).to_bytes(4, "big") + kind + rest for kind, rest in [
    (b"ftyp", b"isom"), (b"moov", b"header"), (b"mdat", b"pictures"),
])  # fmt: skip
DONE = Render(task_id="t", status=RenderStatus.SUCCEED, raw_status="TASK_STATUS_SUCCEED", video_url="https://v?sign=1")


class TestPaths:
    @pytest.mark.parametrize(
        "path",
        ["fox.mp4", "/tmp/fox.mp4", "~/fox.mp4", "file:///tmp/fox.mp4", "s3://bucket/fox.mp4", "gs://bucket/fox.mp4",
         "abfs://container@account/fox.mp4", "S3://bucket/fox.mp4", "memory://fox.mp4", "C:/fox.mp4"],
    )  # fmt: skip
    def test_a_path_that_may_work_passes_untouched(self, path: str) -> None:
        check_path(path)

    @pytest.mark.parametrize(
        ("path", "words"),
        [
            ("", "must be a local path or a URL such as s3://bucket/video.mp4"),
            ("  ", "must be a local path"),
            (None, "must be a local path"),
            (7, "must be a local path"),
            ("/tmp/", "is a folder; name the file, such as /tmp/video.mp4"),
            ("s3://bucket/clips/", "is a folder; name the file, such as s3://bucket/clips/video.mp4"),
            ("http://example.com/fox.mp4", "http can't be written to; use a local path, s3://"),
            ("https://example.com/fox.mp4", "https can't be written to"),
            ("HTTPS://example.com/fox.mp4", "https can't be written to"),
            ("data://fox.mp4", "data can't be written to"),
            ("nosuch://bucket/fox.mp4", "unknown scheme 'nosuch'; use a local path"),
        ],
    )
    def test_a_path_that_can_not_work_is_told_with_value_and_fix(self, path: Any, words: str) -> None:
        for check in (check_path, check_target):
            with pytest.raises(InvalidPath) as refused:
                check(path)
            assert f"save_to={path!r}" in str(refused.value)
            assert words in str(refused.value)

    def test_a_folder_that_is_missing_is_made_before_money_is_spent(self, tmp_path: Path) -> None:
        check_target(str(tmp_path / "a" / "b" / "fox.mp4"))
        assert (tmp_path / "a" / "b").is_dir()
        assert list((tmp_path / "a" / "b").iterdir()) == []

    def test_a_folder_as_target_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidPath, match="is a folder"):
            check_target(str(tmp_path))

    def test_a_file_in_the_place_of_the_folder_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_text("")
        with pytest.raises(InvalidPath, match="folder can't be made"):
            check_target(str(tmp_path / "a" / "fox.mp4"))

    def test_a_folder_that_is_not_writable_is_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "access", lambda *_: False)
        with pytest.raises(InvalidPath, match="not writable"):
            check_target(str(tmp_path / "fox.mp4"))

    def test_a_home_folder_that_nobody_has_is_told(self) -> None:
        with pytest.raises(InvalidPath, match="home folder"):
            check_target("~nobody-of-that-name/fox.mp4")

    @pytest.mark.parametrize(
        ("path", "package"),
        [
            ("s3://bucket/fox.mp4", "pip install 'apache-airflow-providers-amazon[s3fs]'"),
            ("gs://bucket/fox.mp4", "pip install apache-airflow-providers-google"),
            ("abfs://container/fox.mp4", "pip install apache-airflow-providers-microsoft-azure"),
            ("webdav://host/fox.mp4", "install the Airflow provider that serves it"),
        ],
    )
    def test_a_missing_package_is_told_with_its_name(
        self, path: str, package: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(airflow_fs, "_register_filesystems", dict)
        monkeypatch.setattr(airflow_store, "_STORE_CACHE", {})
        with pytest.raises(InvalidPath) as refused:
            check_target(path)
        assert f"save_to={path!r}: this worker has no package" in str(refused.value)
        assert package in str(refused.value)

    def test_it_is_known_whether_a_video_is_there_already(self, tmp_path: Path) -> None:
        assert not is_saved(str(tmp_path / "a.mp4"), f"file://{tmp_path}/a.mp4")
        (tmp_path / "a.mp4").touch()
        assert is_saved(str(tmp_path / "a.mp4"), f"file://{tmp_path}/a.mp4")
        assert is_saved("s3://b/a.mp4", "s3://b/a.mp4")
        assert not is_saved("s3://b/a.mp4", "s3://b/b.mp4")
        assert not is_saved(None, "a.mp4")


@dataclass
class Store:
    """A file system in memory, which Airflow knows as s3://; it can be told to fail."""

    files: MemoryFileSystem
    conn_ids: list[str | None]
    trouble: Exception | None = None


@pytest.fixture
def object_store(monkeypatch: pytest.MonkeyPatch) -> Store:
    files = MemoryFileSystem(skip_instance_cache=True)
    monkeypatch.setattr(files, "store", {})
    monkeypatch.setattr(files, "pseudo_dirs", [""])
    store = Store(files, [])

    def open_store(conn_id: str | None, _: Any) -> MemoryFileSystem:
        store.conn_ids.append(conn_id)
        if store.trouble:
            raise store.trouble
        return files

    monkeypatch.setattr(airflow_fs, "_register_filesystems", lambda: {"s3": open_store})
    monkeypatch.setattr(airflow_store, "_STORE_CACHE", {})
    return store


@pytest.fixture(autouse=True)
def downloads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Links give a tiny film; they are noted."""
    opened: list[str] = []

    @contextlib.contextmanager
    def open_video(url: str) -> Iterator[Download]:
        opened.append(url)
        yield Download(length=len(FILM), chunks=iter([FILM[:10], FILM[10:]]))

    monkeypatch.setattr(saving, "open_video", open_video)
    monkeypatch.setattr(saving, "_PAUSES", (0.0, 0.0, 0.0))
    return opened


class TestAnObjectStore:
    URL = "s3://bucket/clips/fox.mp4"

    def test_the_video_arrives_in_one_upload(
        self, object_store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        _, saved = deliver(lambda: DONE, self.URL, conn_id="vault_conn")
        assert isinstance(saved, Saved)
        assert (saved.path, saved.size) == (self.URL, len(FILM))
        ((path, stored),) = object_store.files.store.items()
        assert path.endswith("/bucket/clips/fox.mp4") or path.endswith("/clips/fox.mp4")
        assert stored.getvalue() == FILM
        assert object_store.conn_ids == ["vault_conn"]
        assert list(tmp_path.iterdir()) == []

    def test_an_older_object_is_replaced(self, object_store: Store) -> None:
        deliver(lambda: DONE, self.URL)
        (path,) = object_store.files.store
        object_store.files.pipe_file(path, b"older")
        deliver(lambda: DONE, self.URL)
        assert object_store.files.cat_file(path) == FILM

    def test_a_torn_upload_is_noticed(self, object_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        def put_half(local: str, remote: str) -> None:
            object_store.files.pipe_file(remote, Path(local).read_bytes()[:-5])

        monkeypatch.setattr(object_store.files, "put_file", put_half)
        with pytest.raises(VideoUnavailable, match=rf"holds {len(FILM) - 5} bytes after the upload, {len(FILM)} were"):
            deliver(lambda: DONE, self.URL)

    def test_an_upload_that_fails_is_a_video_that_could_not_be_written(
        self, object_store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

        def refuse(*_: object) -> None:
            raise PermissionError("AccessDenied")

        monkeypatch.setattr(object_store.files, "put_file", refuse)
        with pytest.raises(VideoUnavailable, match=r"could not be written \(PermissionError: AccessDenied\)") as caught:
            deliver(lambda: DONE, self.URL)
        assert caught.value.bought == "yes"
        assert object_store.files.store == {}
        assert list(tmp_path.iterdir()) == []

    def test_a_video_that_does_not_come_is_never_uploaded(
        self, object_store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        @contextlib.contextmanager
        def torn(_: str) -> Iterator[Download]:
            yield Download(length=len(FILM), chunks=iter([FILM[:10]]))

        monkeypatch.setattr(saving, "open_video", torn)
        with pytest.raises(VideoUnavailable, match=f"10 bytes long, {len(FILM)} were announced"):
            deliver(lambda: DONE, self.URL)
        assert object_store.files.store == {}

    def test_a_store_that_can_be_opened_passes_without_being_touched(self, object_store: Store) -> None:
        check_target(self.URL, conn_id="vault_conn")
        assert object_store.conn_ids == ["vault_conn"]
        assert object_store.files.store == {}

    def test_a_store_that_can_not_be_opened_is_told_before_money_is_spent(self, object_store: Store) -> None:
        object_store.trouble = RuntimeError("no such connection")
        with pytest.raises(InvalidPath, match=r"can't be opened \(RuntimeError: no such connection\)"):
            check_target(self.URL)


class TestPatience:
    def test_each_attempt_asks_for_a_fresh_link(
        self, downloads: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        links = iter(range(9))
        torn = iter([True, True, False])

        def check(_: Path) -> None:
            if next(torn):
                raise ValueError("torn")

        monkeypatch.setattr(saving, "check_mp4", check)
        deliver(lambda: DONE.model_copy(update={"video_url": f"https://v/{next(links)}"}), str(tmp_path / "fox.mp4"))
        assert downloads == ["https://v/0", "https://v/1", "https://v/2"]

    def test_pauses_grow_and_the_last_failure_is_raised(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        slept: list[float] = []
        monkeypatch.setattr(saving, "_PAUSES", (1.0, 3.0, 9.0))
        monkeypatch.setattr(saving, "time", SimpleNamespace(sleep=slept.append))

        def ask() -> Render:
            raise PollFailed("no answer", reason="GET_RESULT_FAILED", http_status=500)

        with pytest.raises(VideoUnavailable, match="no answer") as caught:
            deliver(ask, None)
        assert slept == [1, 3, 9]
        assert (caught.value.reason, caught.value.http_status) == ("GET_RESULT_FAILED", 500)
        assert "trying again in 3 s with a fresh link" in caplog.text

    def test_a_render_without_a_link_says_how_it_stands(self) -> None:
        with pytest.raises(VideoUnavailable, match=r"no link to the video \(status TASK_STATUS_QUEUED\)"):
            deliver(lambda: Render(task_id="t", status=RenderStatus.QUEUED, raw_status="TASK_STATUS_QUEUED"), None)

    def test_a_full_disk_is_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(VideoUnavailable, match="No space left on device"):
            deliver(lambda: DONE, str(tmp_path / "fox.mp4"))
        assert list(tmp_path.iterdir()) == []

    def test_a_target_that_became_a_folder_meanwhile_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "fox.mp4").mkdir()
        with pytest.raises(VideoUnavailable, match=r"fox.mp4 could not be written \(IsADirectoryError"):
            deliver(lambda: DONE, str(tmp_path / "fox.mp4"))
        assert [path.name for path in tmp_path.iterdir()] == ["fox.mp4"]
