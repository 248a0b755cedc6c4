"""Where a video may go, and how it gets there in one step."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.io import fs as airflow_fs
from airflow.sdk.io import store as airflow_store

from airflow_provider_kling.targets import AlreadyThere, InvalidPath, Target, check_path

if TYPE_CHECKING:
    from sources import Store

FILM = b"a video of some bytes"
SHA256 = hashlib.sha256(FILM).hexdigest()


@pytest.fixture
def part(tmp_path: Path) -> Path:
    """A whole file that is to be published."""
    (tmp_path / ".parts").mkdir()
    (tmp_path / ".parts" / "video.mp4").write_bytes(FILM)
    return tmp_path / ".parts" / "video.mp4"


def read(target: Target, most: int) -> bytes:
    with target._open() as file:
        return bytes(file.read(most))


class TestPaths:
    @pytest.mark.parametrize(
        "path",
        ["fox.mp4", "/tmp/fox.mp4", "~/fox.mp4", "file:///tmp/fox.mp4", "s3://bucket/fox.mp4", "gs://bucket/fox.mp4",
         "abfs://container@account/fox.mp4", "S3://bucket/fox.mp4", "memory://fox.mp4", "C:/fox.mp4"],
    )  # fmt: skip
    def test_one_that_may_work_passes_untouched(self, path: str) -> None:
        check_path(path)

    @pytest.mark.parametrize(
        ("path", "words"),
        [
            ("", "must be a local path or a URL such as s3://bucket/video.mp4"),
            ("  ", "must be a local path"),
            (None, "must be a local path"),
            (7, "must be a local path"),
            ("fox.mp4\n", "has blanks, a line break or a zero byte"),
            ("fox\0.mp4", "zero byte"),
            ("/tmp/", "is a folder; name the file, such as /tmp/video.mp4"),
            ("s3://bucket/clips/", "is a folder; name the file, such as s3://bucket/clips/video.mp4"),
            ("http://example.com/fox.mp4", "http can't be written to; use a local path, s3://"),
            ("https://example.com/fox.mp4", "https can't be written to"),
            ("HTTPS://example.com/fox.mp4", "https can't be written to"),
            ("data://fox.mp4", "data can't be written to"),
            ("nosuch://bucket/fox.mp4", "unknown scheme 'nosuch'; use a local path"),
            ("file://nas/fox.mp4", "names a host; write file:///folder/video.mp4"),
            ("file:/tmp/fox.mp4", "looks like a URL, but has no ://"),
            ("s3:/bucket/fox.mp4", "looks like a URL, but has no ://"),
            ("simplecache::s3://bucket/fox.mp4", "looks like a URL, but has no ://"),
        ],
    )
    def test_one_that_can_not_work_is_told_with_field_value_and_fix(self, path: Any, words: str) -> None:
        with pytest.raises(InvalidPath) as refused:
            check_path(path, field="path")
        assert f"path={path!r}" in str(refused.value)
        assert words in str(refused.value)
        with pytest.raises(InvalidPath) as refused_again:
            Target(path, field="path").check()
        assert str(refused_again.value) == str(refused.value)

    def test_a_password_in_the_url_is_refused_and_not_repeated(self) -> None:
        with pytest.raises(InvalidPath, match="has a password in its URL") as told:
            check_path("s3://user:hunter2@bucket/fox.mp4")
        assert "hunter2" not in str(told.value)

    def test_a_device_is_not_replaced(self) -> None:
        with pytest.raises(InvalidPath, match="is a device, pipe or socket"):
            Target("/dev/null").check()

    def test_a_folder_that_is_missing_is_made_before_money_is_spent(self, tmp_path: Path) -> None:
        Target(str(tmp_path / "a" / "b" / "fox.mp4")).check()
        assert (tmp_path / "a" / "b").is_dir()
        assert list((tmp_path / "a" / "b").iterdir()) == []

    def test_a_folder_in_the_place_of_the_file_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidPath, match="is a folder"):
            Target(str(tmp_path)).check()

    def test_a_file_in_the_place_of_the_folder_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_text("")
        with pytest.raises(InvalidPath, match="folder can't be made"):
            Target(str(tmp_path / "a" / "fox.mp4")).check()

    def test_a_folder_that_is_not_writable_is_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "access", lambda *_: False)
        with pytest.raises(InvalidPath, match="not writable"):
            Target(str(tmp_path / "fox.mp4")).check()

    def test_a_home_folder_that_nobody_has_is_told(self) -> None:
        with pytest.raises(InvalidPath, match="home folder"):
            Target("~nobody-of-that-name/fox.mp4").check()

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
            Target(path).check()
        assert f"save_to={path!r}: this worker has no package" in str(refused.value)
        assert package in str(refused.value)

    def test_a_bucket_that_is_missing_is_told_before_money_is_spent(self, object_store: Store) -> None:
        with pytest.raises(
            InvalidPath, match=r"save_to='s3://cellar/fox.mp4': there is no bucket or container 'cellar'"
        ):
            Target("s3://cellar/fox.mp4").check()

    def test_a_bucket_without_a_name_in_it_is_told(self, object_store: Store) -> None:
        with pytest.raises(InvalidPath, match="names a bucket only; add the object's name"):
            Target("s3://bucket").check()

    def test_a_connection_that_was_removed_meanwhile_leads_nowhere_else(self, object_store: Store, part: Path) -> None:
        with pytest.raises(InvalidPath, match="there is no such Airflow connection"):
            Target("s3://bucket/fox.mp4", "removed").publish(part)
        assert object_store.conn_ids == []

    def test_a_bucket_that_can_not_be_looked_at_is_no_mistake(
        self, object_store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(_: str) -> None:
            raise PermissionError("only writing is allowed")

        monkeypatch.setattr(object_store.files, "info", refuse)
        Target("s3://bucket/fox.mp4").check()

    def test_a_connection_that_is_missing_is_told_although_the_store_would_open_without(
        self, object_store: Store
    ) -> None:
        with pytest.raises(InvalidPath, match=r"storage_conn_id='no_such': there is no such Airflow connection"):
            Target("s3://bucket/fox.mp4", "no_such").check()
        assert object_store.conn_ids == []

    def test_a_store_that_can_be_opened_passes_without_being_touched(self, object_store: Store) -> None:
        Target("s3://bucket/fox.mp4", "vault_conn").check()
        assert set(object_store.conn_ids) == {"vault_conn"}
        assert object_store.content() == {}

    def test_a_store_that_can_not_be_opened_is_told_before_money_is_spent(self, object_store: Store) -> None:
        object_store.trouble = RuntimeError("no such connection")
        with pytest.raises(InvalidPath, match=r"can't be opened \(RuntimeError: no such connection\)"):
            Target("s3://bucket/fox.mp4").check()


class TestNames:
    def test_a_local_one_has_many_spellings_and_one_name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.chdir(tmp_path)
        targets = [Target(path) for path in ("a b.mp4", "~/a b.mp4", f"file://{tmp_path}/a b.mp4", "file://~/a b.mp4")]
        assert {target.name for target in targets} == {f"{tmp_path}/a b.mp4"}
        assert {target.uri for target in targets} == {f"file://{tmp_path}/a b.mp4"}

    def test_a_url_is_its_own_name(self) -> None:
        target = Target("s3://bucket/a b.mp4")
        assert (target.local, target.name, target.uri) == (None, "s3://bucket/a b.mp4", "s3://bucket/a b.mp4")

    def test_what_lies_beside_it_is_reached_in_the_same_way(self) -> None:
        assert Target("s3://b/v.mp4", "vault", "path").beside(".json") == Target("s3://b/v.mp4.json", "vault", "path")


@pytest.fixture(params=["local", "remote"])
def target(request: pytest.FixtureRequest, tmp_path: Path, object_store: Store) -> Target:
    return Target(str(tmp_path / "fox.mp4") if request.param == "local" else "s3://bucket/clips/fox.mp4", "vault_conn")


class TestWhatIsThere:
    def test_nothing(self, target: Target) -> None:
        assert target.size() is None
        assert not target.holds(size=len(FILM), sha256=SHA256)

    def test_the_same_video_by_size_and_hash(self, target: Target, part: Path) -> None:
        target.publish(part)
        assert target.size() == len(FILM)
        assert target.holds(size=len(FILM), sha256=SHA256)
        assert not target.holds(size=len(FILM), sha256="0" * 64)
        assert not target.holds(size=len(FILM), sha256=None)
        assert not target.holds(size=None, sha256=SHA256)
        assert read(target, 7) == FILM[:7]
        assert read(target, 1000) == FILM

    def test_it_is_read_only_when_the_size_is_right(
        self, target: Target, part: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        target.publish(part)
        monkeypatch.setattr(Target, "_open", lambda _: pytest.fail("it was read"))
        assert not target.holds(size=len(FILM) + 1, sha256=SHA256)

    def test_a_folder_is_no_file(self, tmp_path: Path, object_store: Store) -> None:
        object_store.files.pipe_file("/clips/fox.mp4", FILM)
        assert Target("s3://bucket/clips").size() is None
        assert Target(str(tmp_path)).size() is None

    def test_a_store_is_asked_and_not_a_memory_of_it(
        self, object_store: Store, part: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        remembered: dict[str, Any] = {}
        info = type(object_store.files).info

        def cached(path: str, **_: Any) -> Any:
            return remembered.setdefault(path, info(object_store.files, path))

        monkeypatch.setattr(object_store.files, "info", cached)
        monkeypatch.setattr(object_store.files, "invalidate_cache", lambda *_: remembered.clear())
        target = Target("s3://bucket/fox.mp4")
        target.publish(part)
        part.write_bytes(FILM * 2)
        target.publish(part)
        assert target.size() == 2 * len(FILM)
        (path,) = object_store.content()
        object_store.files.pipe_file(path, b"replaced by somebody else")
        assert target.size() == len(b"replaced by somebody else")


class TestPublishing:
    def test_an_older_file_is_replaced(self, target: Target, part: Path) -> None:
        older = part.with_name("older")
        older.write_bytes(b"older")
        target.publish(older)
        target.publish(part)
        assert read(target, 100) == FILM

    def test_an_older_file_is_left_when_it_must_not_be_replaced(self, target: Target, part: Path) -> None:
        older = part.with_name("older")
        older.write_bytes(b"older")
        target.publish(older, overwrite=False)
        with pytest.raises(AlreadyThere):
            target.publish(part, overwrite=False)
        assert read(target, 100) == b"older"


class TestPublishingHere:
    @pytest.fixture
    def here(self, tmp_path: Path) -> Target:
        return Target(str(tmp_path / "fox.mp4"))

    def test_a_rename_does_it(self, here: Target, part: Path, tmp_path: Path) -> None:
        number = part.stat().st_ino
        here.publish(part)
        assert (tmp_path / "fox.mp4").stat().st_ino == number
        assert not part.exists()

    @pytest.mark.parametrize("overwrite", [True, False])
    def test_the_file_is_synced_before_and_the_folder_behind_it(
        self, here: Target, part: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool
    ) -> None:
        synced: list[tuple[int, list[str]]] = []

        def note(number: int) -> None:
            synced.append((os.fstat(number).st_ino, sorted(os.listdir(tmp_path))))
            if stat.S_ISDIR(os.fstat(number).st_mode):
                raise OSError("this file system can't")

        monkeypatch.setattr(os, "fsync", note)
        video = part.stat().st_ino
        here.publish(part, overwrite=overwrite)
        assert synced == [(video, [".parts"]), (tmp_path.stat().st_ino, [".parts", "fox.mp4"])]

    def test_a_disk_that_can_not_keep_it_is_told_before_it_gets_its_name(
        self, here: Target, part: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left on device"):
            here.publish(part)
        assert not (tmp_path / "fox.mp4").exists()

    def test_what_comes_at_the_last_moment_is_not_replaced(
        self, here: Target, part: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "fox.mp4").write_bytes(b"another worker was quicker")
        monkeypatch.setattr(Target, "size", lambda _: None)  # looked just before
        with pytest.raises(AlreadyThere):
            here.publish(part, overwrite=False)
        assert (tmp_path / "fox.mp4").read_bytes() == b"another worker was quicker"

    @pytest.mark.parametrize("there", [None, b"older"])
    def test_a_file_system_without_hard_links_will_do(
        self, here: Target, part: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bytes | None
    ) -> None:
        def refuse(*_: object) -> None:
            raise OSError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
        if there:
            (tmp_path / "fox.mp4").write_bytes(there)
        with pytest.raises(AlreadyThere) if there else contextlib.nullcontext():
            here.publish(part, overwrite=False)
        assert (tmp_path / "fox.mp4").read_bytes() == there or FILM

    def test_a_folder_in_the_way_is_an_error_and_stays(self, here: Target, part: Path, tmp_path: Path) -> None:
        (tmp_path / "fox.mp4").mkdir()
        with pytest.raises(IsADirectoryError):
            here.publish(part)
        with pytest.raises(AlreadyThere):
            here.publish(part, overwrite=False)
        assert part.read_bytes() == FILM


class TestStoresThatCompleteUploads:
    MOST = 16 << 20
    """Bytes that an upload may hold in memory at a time."""

    @pytest.mark.parametrize("scheme", ["s3", "s3a", "gs", "gcs", "abfs", "abfss", "S3"])
    def test_one_upload_under_the_final_name_with_little_memory(
        self, object_store: Store, part: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
    ) -> None:
        calls: list[tuple[str, dict[str, Any]]] = []
        put_file = type(object_store.files).put_file

        def put(local: str, remote: str, **options: Any) -> None:
            calls.append((remote, options))
            put_file(object_store.files, local, remote)

        monkeypatch.setattr(object_store.files, "put_file", put)
        Target(f"{scheme}://bucket/clips/fox.mp4").publish(part)
        ((remote, options),) = calls
        assert remote.endswith("clips/fox.mp4")
        assert list(object_store.content().values()) == [FILM]
        if scheme.startswith("a"):
            assert options == {"overwrite": True, "max_concurrency": 1, "timeout": 3600}
        else:
            assert options["chunksize"] * options.get("max_concurrency", 1) <= self.MOST
            assert ("max_concurrency" in options) is scheme.lower().startswith("s3")

    @pytest.mark.parametrize(("scheme", "refusal"), [("s3", ("mode", "create")), ("abfs", ("overwrite", False))])
    def test_the_store_itself_refuses_what_came_since_we_looked(
        self, object_store: Store, part: Path, monkeypatch: pytest.MonkeyPatch, scheme: str, refusal: tuple[str, Any]
    ) -> None:
        def put(local: str, remote: str, mode: str = "", **options: Any) -> None:
            name, value = refusal
            assert {**options, "mode": mode}[name] == value
            raise FileExistsError("another worker was quicker")

        monkeypatch.setattr(object_store.files, "put_file", put)
        with pytest.raises(AlreadyThere):
            Target(f"{scheme}://bucket/fox.mp4").publish(part, overwrite=False)

    def test_a_torn_upload_is_noticed(self, object_store: Store, part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def put_half(local: str, remote: str, **_: Any) -> None:
            object_store.files.pipe_file(remote, Path(local).read_bytes()[:-5])

        monkeypatch.setattr(object_store.files, "put_file", put_half)
        with pytest.raises(OSError, match=f"holds {len(FILM) - 5} bytes after the upload, {len(FILM)} were sent"):
            Target("s3://bucket/fox.mp4").publish(part)

    @pytest.mark.parametrize("error", [PermissionError("AccessDenied"), OSError("Forbidden"), RuntimeError("403")])
    def test_whoever_may_only_write_may_publish(
        self, object_store: Store, part: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr(object_store.files, "info", refuse)
        Target("s3://bucket/fox.mp4").publish(part)
        assert list(object_store.content().values()) == [FILM]


class TestOtherFileSystems:
    """Any other store shows a file while it is written: it is staged under a hidden name, and moved."""

    there = Target("sftp://host/clips/fox.mp4", "vault_conn")

    @pytest.fixture(autouse=True)
    def _older(self, object_store: Store) -> None:
        object_store.files.pipe_file(self.path, b"older")

    path = "/clips/fox.mp4"

    def test_it_is_whole_before_it_has_the_final_name(
        self, object_store: Store, part: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[dict[str, bytes]] = []
        move = type(object_store.files).mv

        def look(staged: str, final: str) -> None:
            seen.append(object_store.content())
            move(object_store.files, staged, final)

        monkeypatch.setattr(object_store.files, "mv", look)
        self.there.publish(part)
        (before,) = seen
        assert before.pop(self.path) == b"older"
        ((staged, content),) = before.items()
        assert staged.startswith("/clips/.fox.mp4.")
        assert content == FILM
        assert object_store.content() == {self.path: FILM}

    def test_its_folder_is_made(self, object_store: Store, part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        made: list[str] = []

        def make(folder: str, exist_ok: bool = False) -> None:
            assert exist_ok
            made.append(folder)

        def put(local: str, remote: str) -> None:
            assert made == ["/clips"]
            object_store.files.pipe_file(remote, Path(local).read_bytes())

        monkeypatch.setattr(object_store.files, "makedirs", make)
        monkeypatch.setattr(object_store.files, "put_file", put)
        self.there.publish(part)

    def test_a_file_system_without_folders_will_do(
        self, object_store: Store, part: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise NotImplementedError

        def put(local: str, remote: str) -> None:
            object_store.files.pipe_file(remote, Path(local).read_bytes())

        monkeypatch.setattr(object_store.files, "makedirs", refuse)
        monkeypatch.setattr(object_store.files, "put_file", put)
        self.there.publish(part)
        assert object_store.content() == {self.path: FILM}

    @pytest.mark.parametrize("trouble", [OSError("connection lost"), KeyboardInterrupt()], ids=repr)
    @pytest.mark.parametrize("step", ["put_file", "info", "mv"])
    def test_nothing_is_left_when_it_breaks(
        self, object_store: Store, part: Path, monkeypatch: pytest.MonkeyPatch, step: str, trouble: BaseException
    ) -> None:
        def half(*names: str, **_: Any) -> None:
            if step == "put_file":
                object_store.files.pipe_file(names[1], FILM[:5])
            raise trouble

        monkeypatch.setattr(object_store.files, step, half)
        with pytest.raises(type(trouble)):
            self.there.publish(part)
        assert object_store.content() == {self.path: b"older"}

    def test_a_torn_upload_is_never_moved(
        self, object_store: Store, part: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def put_half(local: str, remote: str) -> None:
            object_store.files.pipe_file(remote, Path(local).read_bytes()[:-5])

        monkeypatch.setattr(object_store.files, "put_file", put_half)
        with pytest.raises(OSError, match="bytes after the upload"):
            self.there.publish(part)
        assert object_store.content() == {self.path: b"older"}

    def test_a_store_that_breaks_down_altogether_says_why(
        self, object_store: Store, part: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object, **__: object) -> None:
            raise OSError("the line is dead")

        for step in ("put_file", "rm_file"):
            monkeypatch.setattr(object_store.files, step, broken)
        with pytest.raises(OSError, match="the line is dead"):
            self.there.publish(part)
