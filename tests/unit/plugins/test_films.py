"""A stored video is opened through its root's connection alone, checked, and read part by part."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import ObjectStoragePath
from films import film as make_film

from airflow_provider_kling.plugins import films
from airflow_provider_kling.plugins.films import Gone, NoFilm, StoreTrouble, open_film
from airflow_provider_kling.plugins.roots import Root, find

if TYPE_CHECKING:
    from sources import Store

FILM = make_film(5_000)
ROOT = Root("s3", "bucket", ("videos",), "vault_conn")
PASSWORD = "hunter2"


@pytest.fixture(autouse=True)
def _connected(object_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, PASSWORD)
    monkeypatch.setattr(films, "_films_seen", type(films._films_seen)())
    films._attach.cache_clear()


def connect(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_VAULT_CONN", json.dumps({"conn_type": "vault", "password": password}))


def put(store: Store, name: str = "videos/fox.mp4", content: bytes = FILM) -> None:
    store.files.pipe_file(f"/bucket/{name}", content)


def reads(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Which parts are asked of the store from now on."""
    noted: list[tuple[int, int]] = []
    proper = store.files.cat_file

    def cat_file(path: str, start: int, end: int, **options: Any) -> bytes:
        noted.append((start, end))
        content: bytes = proper(path, start=start, end=end, **options)
        return content

    monkeypatch.setattr(store.files, "cat_file", cat_file)
    return noted


def test_it_is_read_in_parts(object_store: Store) -> None:
    put(object_store)
    film = open_film(ROOT, "fox.mp4")
    assert film.size == len(FILM)
    assert film.read(0, 5_000) == FILM
    assert film.read(10, 20) == FILM[10:20]
    film.close()


def test_only_the_connection_of_the_root_is_used(object_store: Store) -> None:
    put(object_store)
    found = find("s3://another_conn@bucket/videos/fox.mp4", [ROOT])
    assert found
    open_film(*found).read(0, 10)
    assert object_store.conn_ids == ["vault_conn"]


def test_a_root_without_a_connection_uses_none(object_store: Store) -> None:
    put(object_store)
    open_film(Root("s3", "bucket", ("videos",)), "fox.mp4")
    assert object_store.conn_ids == [None]


def test_a_connection_that_is_missing_opens_nothing(object_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some providers would go on with what rights the machine itself has."""
    put(object_store)
    open_film(ROOT, "fox.mp4")
    monkeypatch.delenv("AIRFLOW_CONN_VAULT_CONN")
    with pytest.raises(StoreTrouble):
        open_film(ROOT, "fox.mp4")
    assert object_store.conn_ids == ["vault_conn"]


def test_a_changed_connection_counts_at_once(object_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    put(object_store)
    for password in (PASSWORD, PASSWORD, "another"):
        connect(monkeypatch, password)
        open_film(ROOT, "fox.mp4")
    assert object_store.conn_ids == ["vault_conn", "vault_conn"]


def test_its_tag_changes_with_it(object_store: Store) -> None:
    put(object_store)
    etag = open_film(ROOT, "fox.mp4").etag
    assert etag == open_film(ROOT, "fox.mp4").etag
    put(object_store, content=make_film(5_000, seed=2))
    assert etag != open_film(ROOT, "fox.mp4").etag


def test_a_store_that_tells_nothing_gives_no_tag(object_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    put(object_store)
    monkeypatch.setattr(object_store.files, "info", lambda _: {"type": "file", "size": len(FILM)})
    noted = reads(object_store, monkeypatch)
    for _ in range(2):
        assert open_film(ROOT, "fox.mp4").etag is None
    assert noted == [(0, 12), (0, 12)]


def test_its_beginning_is_looked_at_once(object_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    put(object_store)
    noted = reads(object_store, monkeypatch)
    for _ in range(3):
        open_film(ROOT, "fox.mp4")
    assert noted == [(0, 12)]
    put(object_store, content=b"no film at all, but of secrets")
    for _ in range(2):
        with pytest.raises(NoFilm):
            open_film(ROOT, "fox.mp4")
    assert noted == [(0, 12)] * 3


def test_it_remembers_so_many_and_no_more(object_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(films, "_MOST_SEEN", 3)
    for number in range(9):
        put(object_store, f"videos/{number}.mp4")
        open_film(ROOT, f"{number}.mp4")
    assert len(films._films_seen) == 3


@pytest.mark.parametrize("content", [b"", b"....ftyp", b"root:x:0:0:root:/root", b"\0\0\0\x18moovisom...."])
def test_what_is_no_film_is_not_opened(object_store: Store, content: bytes) -> None:
    put(object_store, content=content)
    with pytest.raises(NoFilm):
        open_film(ROOT, "fox.mp4")


def test_a_folder_is_no_film(object_store: Store) -> None:
    put(object_store, "videos/folder/fox.mp4")
    with pytest.raises(NoFilm):
        open_film(ROOT, "folder")


def test_what_a_store_calls_a_folder_is_no_film(object_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    put(object_store)
    monkeypatch.setattr(object_store.files, "info", lambda _: {"type": "directory", "size": len(FILM)})
    with pytest.raises(NoFilm):
        open_film(ROOT, "fox.mp4")


def test_what_a_file_system_remembers_is_not_believed(object_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    put(object_store)
    forgotten: list[str] = []
    monkeypatch.setattr(object_store.files, "invalidate_cache", forgotten.append)
    for _ in range(2):
        open_film(ROOT, "fox.mp4")
    assert len(forgotten) == 2


def test_what_is_gone_is_gone(object_store: Store) -> None:
    put(object_store)
    with pytest.raises(Gone):
        open_film(ROOT, "gone.mp4")


def test_an_address_that_is_read_in_another_way_leads_nowhere(
    object_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file system has its own rules for what an address means: a path that is not below the root is refused."""
    put(object_store)
    for path in ("bucket/secret/fox.mp4", "bucket/videos/2026/fox.mp4", "videos/videos/fox.mp4", "/fox.mp4"):
        put(object_store, path.removeprefix("bucket/"))
        monkeypatch.setattr(ObjectStoragePath, "path", path)
        with pytest.raises(NoFilm):
            open_film(ROOT, "fox.mp4")
    monkeypatch.setattr(ObjectStoragePath, "path", "/bucket/videos/fox.mp4")
    open_film(ROOT, "fox.mp4")


@pytest.mark.parametrize("step", ["info", "cat_file"])
@pytest.mark.parametrize(
    "trouble",
    [PermissionError(f"key {PASSWORD}"), TimeoutError(PASSWORD), OSError(PASSWORD), KeyError(PASSWORD)],
    ids=lambda trouble: type(trouble).__name__,
)
def test_trouble_is_named_without_the_stores_own_words(
    object_store: Store, monkeypatch: pytest.MonkeyPatch, trouble: Exception, step: str
) -> None:
    put(object_store)

    def broken(*_: object, **__: object) -> None:
        raise trouble

    monkeypatch.setattr(object_store.files, step, broken)
    with pytest.raises(StoreTrouble, match=type(trouble).__name__) as failure:
        open_film(ROOT, "fox.mp4")
    assert PASSWORD not in str(failure.value)
    assert failure.value.__suppress_context__


def test_a_store_that_breaks_while_it_plays_is_trouble(object_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    put(object_store)
    film = open_film(ROOT, "fox.mp4")
    put(object_store, content=FILM[:100])
    with pytest.raises(StoreTrouble, match="shorter"):
        film.read(0, 5_000)
    object_store.files.rm_file("/bucket/videos/fox.mp4")
    with pytest.raises(StoreTrouble, match="FileNotFoundError"):
        film.read(0, 10)


def test_a_store_that_can_not_be_had_is_trouble(object_store: Store) -> None:
    object_store.trouble = ImportError("no package")
    with pytest.raises(StoreTrouble, match="ImportError"):
        open_film(ROOT, "fox.mp4")
