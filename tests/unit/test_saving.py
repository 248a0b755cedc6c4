"""A finished video reaches the user's storage whole, or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from films import film

from airflow_provider_kling.api.errors import VideoUnavailable
from airflow_provider_kling.api.models import Render, RenderStatus
from airflow_provider_kling.fetching import Hopeless
from airflow_provider_kling.saving import Saved, publish_text, save
from airflow_provider_kling.targets import Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from sources import Downloads, Store

FILM = film(200)
SHA256 = hashlib.sha256(FILM).hexdigest()
DONE = Render(task_id="t", status=RenderStatus.SUCCEED, raw_status="TASK_STATUS_SUCCEED", video_url="https://v?sign=1")
URL = "s3://bucket/clips/fox.mp4"

pytestmark = pytest.mark.usefixtures("downloads")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return tmp_path / "tmp"


@pytest.fixture
def fox(tmp_path: Path) -> Path:
    """A local target in a folder of its own."""
    return tmp_path / "clips" / "fox.mp4"


class TestAnObjectStore:
    def test_the_video_arrives_in_one_upload(self, object_store: Store, folder: Path) -> None:
        render, saved = save(lambda: DONE, Target(URL, "vault_conn"))
        assert (render, saved) == (DONE, Saved(URL, len(FILM), SHA256, 3.0))
        ((path, stored),) = object_store.content().items()
        assert path.endswith("/clips/fox.mp4")
        assert stored == FILM
        assert object_store.conn_ids == ["vault_conn"]
        assert list(folder.iterdir()) == []

    def test_an_older_object_is_replaced(self, object_store: Store) -> None:
        save(lambda: DONE, Target(URL))
        (path,) = object_store.content()
        object_store.files.pipe_file(path, b"older")
        save(lambda: DONE, Target(URL))
        assert object_store.content() == {path: FILM}

    @pytest.mark.parametrize("path", [URL, "sftp://host/clips/fox.mp4"])
    def test_an_upload_that_fails_is_a_video_that_could_not_be_written(
        self, object_store: Store, monkeypatch: pytest.MonkeyPatch, folder: Path, path: str
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise PermissionError("AccessDenied")

        monkeypatch.setattr(object_store.files, "put_file", refuse)
        with pytest.raises(VideoUnavailable, match=r"could not be written \(PermissionError: AccessDenied\)") as caught:
            save(lambda: DONE, Target(path))
        assert caught.value.bought == "yes"
        assert isinstance(caught.value.__cause__, PermissionError)
        assert object_store.content() == {}
        assert list(folder.iterdir()) == []

    def test_a_video_that_does_not_come_is_never_uploaded(self, object_store: Store, downloads: Downloads) -> None:
        downloads.come = [FILM[:10]]
        with pytest.raises(VideoUnavailable, match=f"10 bytes long, {len(FILM)} were announced"):
            save(lambda: DONE, Target(URL))
        assert object_store.content() == {}

    @pytest.mark.parametrize("error", [PermissionError("AccessDenied"), OSError("Forbidden"), RuntimeError("403")])
    def test_whoever_may_only_write_may_save(
        self, object_store: Store, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        """S3, Google and Azure say it in three different ways."""

        def refuse(*_: object, **__: object) -> None:
            raise error

        for question in ("info", "_open"):
            monkeypatch.setattr(object_store.files, question, refuse)
        monkeypatch.setattr(
            object_store.files, "put_file", lambda local, remote, **_: object_store.files.pipe_file(remote, FILM)
        )
        monkeypatch.setattr(
            object_store.files, "pipe_file", lambda path, content: object_store.files.store.update({path: content})
        )
        save(lambda: DONE, Target(URL))
        assert list(object_store.files.store.values()) == [FILM]


class TestWhatIsThereAlready:
    @pytest.mark.parametrize("overwrite", [True, False])
    def test_the_same_video_is_not_written_again(
        self, object_store: Store, fox: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool,
        caplog: pytest.LogCaptureFixture,
    ) -> None:  # fmt: skip
        caplog.set_level("INFO")
        targets = (Target(URL), Target(str(fox)))
        saved = [save(lambda: DONE, target, overwrite=overwrite) for target in targets]
        monkeypatch.setattr(Target, "publish", lambda *_, **__: pytest.fail("it was written again"))
        assert [save(lambda: DONE, target, overwrite=overwrite) for target in targets] == saved
        assert f"The same video is at {URL} already." in caplog.messages

    def test_something_of_the_same_size_is_not_the_same(self, fox: Path) -> None:
        fox.parent.mkdir()
        fox.write_bytes(b"x" * len(FILM))
        save(lambda: DONE, Target(str(fox)))
        assert fox.read_bytes() == FILM

    def test_something_else_is_left_when_it_must_not_be_replaced(self, object_store: Store, fox: Path) -> None:
        fox.parent.mkdir()
        fox.write_bytes(b"older")
        object_store.files.pipe_file("/clips/fox.mp4", b"older")
        for path in (str(fox), "sftp://host/clips/fox.mp4"):
            with pytest.raises(VideoUnavailable) as caught:
                save(lambda: DONE, Target(path, field="path"), overwrite=False)
            assert str(caught.value) == (
                f"path={path!r} holds something else, which is left as it is; choose another path or set overwrite=True"
            )
        assert fox.read_bytes() == b"older"
        assert object_store.content() == {"/clips/fox.mp4": b"older"}

    def test_the_same_video_that_came_meanwhile_is_fine(self, fox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        publish = Target.publish

        def be_late(target: Target, file: Path, *, overwrite: bool) -> None:
            fox.write_bytes(FILM)
            publish(target, file, overwrite=overwrite)

        monkeypatch.setattr(Target, "publish", be_late)
        _, saved = save(lambda: DONE, Target(str(fox)), overwrite=False)
        assert saved.sha256 == SHA256


class TestAFolderHere:
    def test_a_target_that_became_a_folder_meanwhile_is_told(self, fox: Path) -> None:
        fox.mkdir(parents=True)
        with pytest.raises(VideoUnavailable, match=r"fox.mp4 could not be written \(IsADirectoryError"):
            save(lambda: DONE, Target(str(fox)))
        assert list(fox.parent.iterdir()) == [fox]

    def test_what_is_not_whole_yet_is_beside_it_and_hidden(
        self, fox: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def look(target: Target, file: Path, *, overwrite: bool) -> None:
            assert file.parent.parent == fox.parent
            assert file.parent.name.startswith(".")
            assert list(folder.iterdir()) == []

        monkeypatch.setattr(Target, "publish", look)
        save(lambda: DONE, Target(str(fox)))
        assert list(fox.parent.iterdir()) == []

    def test_a_failure_leaves_nothing(self, fox: Path, downloads: Downloads) -> None:
        downloads.film = b"no video"
        downloads.come = [b"no video"]
        with pytest.raises(Hopeless, match="no whole MP4"):
            save(lambda: DONE, Target(str(fox)))
        assert list(fox.parent.iterdir()) == []

    def test_the_expected_length_is_looked_at_before_anything_is_published(self, fox: Path) -> None:
        with pytest.raises(VideoUnavailable, match="9 s were expected"):
            save(lambda: DONE, Target(str(fox)), seconds=9)
        assert list(fox.parent.iterdir()) == []


class TestSweeping:
    """What killed workers have left is removed a day later; nothing else is."""

    OLD, YOUNG = 90_000, 80_000

    @staticmethod
    def left(place: Path, age: float, *files: str) -> Path:
        place.mkdir(parents=True)
        for name in files:
            (place / name).write_bytes(b"part")
        for path in (*place.iterdir(), place):
            os.utime(path, times=(0, time.time() - age))
        return place

    @pytest.mark.parametrize("files", [(), ("video.mp4.part",), ("text.part",)])
    def test_old_ones_of_ours_are_removed(
        self, fox: Path, folder: Path, object_store: Store, files: tuple[str]
    ) -> None:
        for parent, target in ((fox.parent, str(fox)), (folder, URL)):
            self.left(parent / ".kling-part-abc", self.OLD, *files)
            save(lambda: DONE, Target(target))
            assert not (parent / ".kling-part-abc").exists()

    def test_young_ones_may_belong_to_a_worker_that_is_alive(self, fox: Path) -> None:
        kept = self.left(fox.parent / ".kling-part-abc", self.YOUNG, "video.mp4.part")
        growing = self.left(fox.parent / ".kling-part-def", self.OLD, "video.mp4.part")
        (growing / "video.mp4.part").write_bytes(b"more of it")
        os.utime(growing, times=(0, 0))
        save(lambda: DONE, Target(str(fox)))
        assert sorted(fox.parent.iterdir()) == [kept, growing, fox]

    @pytest.mark.parametrize(
        ("name", "files"),
        [
            (".kling-part-time", ("keys", "video.mp4.part")),
            (".kling-part-x", ("video.mp4",)),
            ("clips", ("video.mp4",)),
            (".kling", ()),
        ],
    )
    def test_what_others_have_is_left(self, fox: Path, name: str, files: tuple[str]) -> None:
        kept = self.left(fox.parent / name, self.OLD, *files)
        (fox.parent / ".kling-part-file").touch()
        os.utime(fox.parent / ".kling-part-file", times=(0, 0))
        (fox.parent / ".kling-part-link").symlink_to(kept)
        save(lambda: DONE, Target(str(fox)))
        assert len(list(kept.iterdir())) == len(files)
        assert (fox.parent / ".kling-part-file").exists()

    def test_a_sweep_that_fails_fails_nothing(self, fox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        rmtree: Callable[..., Any] = shutil.rmtree

        def refuse(path: Any, *args: Any, **kwargs: Any) -> None:
            if Path(path).name == ".kling-part-abc":
                raise PermissionError
            rmtree(path, *args, **kwargs)

        self.left(fox.parent / ".kling-part-abc", self.OLD)
        monkeypatch.setattr(shutil, "rmtree", refuse)
        save(lambda: DONE, Target(str(fox)))
        assert fox.read_bytes() == FILM


class TestTexts:
    def test_one_is_published_in_one_step_too(self, object_store: Store, fox: Path, folder: Path) -> None:
        for path in (str(fox), URL):
            publish_text("older", Target(path))
            publish_text("schnee ❄\n", Target(path))
        assert fox.read_text(encoding="utf-8") == "schnee ❄\n"
        assert list(object_store.content().values()) == ["schnee ❄\n".encode()]
        assert [*folder.iterdir(), *fox.parent.iterdir()] == [fox]

    def test_one_that_can_not_be_written_is_told_like_a_video(
        self, object_store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise PermissionError("AccessDenied")

        monkeypatch.setattr(object_store.files, "put_file", refuse)
        with pytest.raises(VideoUnavailable, match=rf"{URL} could not be written \(PermissionError: AccessDenied\)"):
            publish_text("text", Target(URL))
