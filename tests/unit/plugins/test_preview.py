"""A saved video plays for those who may see it, whole or in parts, and breaks off when its store does."""

from __future__ import annotations

import http.client
import json
import os
import socket
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import pytest
import uvicorn
from fastapi.testclient import TestClient
from films import film as make_film
from players import ASKED, FILM, SECRET, play, refused
from sign_in import sign_in

from airflow_provider_kling.plugins import films, preview
from airflow_provider_kling.plugins.ranges import Part

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fastapi import FastAPI
    from logs import Logs
    from metadata_rows import MetadataRows
    from sources import Store

    from airflow_provider_kling.plugins.roots import Root


@pytest.fixture
def port(app: FastAPI, cookies: dict[str, str]) -> Iterator[int]:
    """A real server, for what only happens on a real connection."""
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join()


def test_the_saved_video_is_played(client: TestClient, saved: Path) -> None:
    answer = play(client)
    assert answer.status_code == 200
    assert answer.content == FILM
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["content-length"] == str(len(FILM))
    assert answer.headers["accept-ranges"] == "bytes"
    assert (
        answer.headers["content-security-policy"] == "default-src 'none'; media-src 'self'; sandbox allow-same-origin"
    )
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["content-disposition"] == "inline; filename*=UTF-8''fox.mp4"


@pytest.mark.parametrize(
    ("wanted", "start", "stop"),
    [
        ("bytes=0-", 0, len(FILM)),
        ("bytes=0-0", 0, 1),
        ("bytes=5-1999999", 5, 2_000_000),
        ("bytes=1048576-1048576", 1 << 20, (1 << 20) + 1),
        ("bytes=-7", len(FILM) - 7, len(FILM)),
        (f"bytes=2999999-{'9' * 30}", 2_999_999, 3_000_000),
    ],
)
def test_a_player_gets_the_part_it_wants(client: TestClient, saved: Path, wanted: str, start: int, stop: int) -> None:
    answer = play(client, {"Range": wanted})
    assert answer.status_code == 206
    assert answer.content == FILM[start:stop]
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(FILM)}"
    assert answer.headers["content-length"] == str(stop - start)


@pytest.mark.parametrize("wanted", ["bytes=0-1,5-6", "bytes=9-3", "bytes=" + "0-," * 9999, "chapters=1-2", "bytes=x"])
def test_an_odd_range_gets_the_whole_video(client: TestClient, saved: Path, wanted: str) -> None:
    answer = play(client, {"Range": wanted})
    assert answer.status_code == 200
    assert answer.content == FILM
    assert "content-range" not in answer.headers


def test_two_range_headers_are_two_ranges(client: TestClient, saved: Path) -> None:
    headers = [("range", "bytes=0-1"), ("range", "bytes=5-6")]
    answer = client.get("/preview", params=ASKED, headers=headers)
    assert (answer.status_code, len(answer.content)) == (200, len(FILM))


@pytest.mark.parametrize("wanted", ["bytes=3000000-", f"bytes={'9' * 40}-", "bytes=-0"])
def test_beyond_its_end_there_is_nothing(client: TestClient, saved: Path, wanted: str) -> None:
    answer = play(client, {"Range": wanted})
    assert (answer.status_code, answer.content) == (416, b"")
    assert answer.headers["content-range"] == "bytes */3000000"


def test_head_tells_its_length_and_sends_nothing(client: TestClient, saved: Path) -> None:
    for headers in ({}, {"range": "bytes=0-5"}):
        answer = play(client, method="HEAD", headers=headers)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-length"] == str(len(FILM))
        assert answer.headers["accept-ranges"] == "bytes"


def test_a_player_that_has_it_is_told_so(client: TestClient, saved: Path) -> None:
    etag = play(client, method="HEAD").headers["etag"]
    answer = play(client, {"If-None-Match": etag})
    assert (answer.status_code, answer.content) == (304, b"")
    assert play(client, {"Range": "bytes=0-3", "If-Range": etag}).status_code == 206
    os.utime(saved, (0, 0))  # of the same size, but written anew
    assert play(client, {"If-None-Match": etag}).status_code == 200
    assert play(client, {"Range": "bytes=0-3", "If-Range": etag}).status_code == 200


def test_it_is_never_compressed_on_the_way(client: TestClient, saved: Path) -> None:
    saved.write_bytes(FILM[:60] + bytes(500_000))
    for headers in ({}, {"range": "bytes=0-399999"}):
        answer = play(client, {"Accept-Encoding": "gzip", **headers})
        assert answer.headers["content-encoding"] == "identity"
        assert answer.headers["content-length"] == str(len(answer.content))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ('a "b"; c.mp4', 'a "b"; c.mp4'),
        ("狐.MP4", "狐.MP4"),
        ("page.html", "page.html.mp4"),
        ("no type", "no type.mp4"),
    ],
)
def test_its_name_stays_a_name(client: TestClient, folder: Path, rows: MetadataRows, name: str, told: str) -> None:
    (folder / name).write_bytes(FILM)
    rows.push({"saved_to": str(folder / name)})
    assert play(client).headers["content-disposition"] == f"inline; filename*=UTF-8''{quote(told, safe='')}"


def test_each_copy_of_a_mapped_task_has_its_own(client: TestClient, saved: Path, rows: MetadataRows) -> None:
    other = make_film(5_000, seed=7)
    (saved.parent / "other.mp4").write_bytes(other)
    rows.push({"saved_to": str(saved.parent / "other.mp4")}, map_index=3)
    assert play(client, asked={"map_index": 3}).content == other
    assert play(client).content == FILM
    assert play(client, asked={"map_index": 4}).status_code == 404


def test_a_link_within_the_folder_is_followed(client: TestClient, saved: Path, rows: MetadataRows) -> None:
    (saved.parent / "2026").mkdir()
    (saved.parent / "2026" / "latest.mp4").symlink_to("../fox.mp4")
    (saved.parent / "this year").symlink_to("2026")
    rows.push({"saved_to": str(saved.parent / "this year" / "latest.mp4")})
    assert play(client).content == FILM


def test_a_folder_that_is_a_link_itself_is_fine(
    client: TestClient, saved: Path, rows: MetadataRows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(saved.parent)
    monkeypatch.setenv("AIRFLOW__KLING__PREVIEW_ROOTS", str(tmp_path / "link"))
    rows.push({"saved_to": str(tmp_path / "link" / "fox.mp4")})
    assert play(client).content == FILM


def test_without_a_session_there_is_nothing_to_see(stranger: TestClient, saved: Path) -> None:
    for method in ("GET", "HEAD"):
        answer = stranger.request(method, "/preview", params=ASKED)
        assert answer.status_code == 401
        assert b"ftyp" not in answer.content


@pytest.mark.parametrize("dag_id", ["other", "", "~", "FILMS"])
def test_who_may_not_see_the_dag_sees_none_of_its_videos(
    app: FastAPI, saved: Path, rows: MetadataRows, monkeypatch: pytest.MonkeyPatch, dag_id: str
) -> None:
    with TestClient(app, cookies=sign_in(dag_id, monkeypatch=monkeypatch)) as client:
        for method in ("GET", "HEAD"):
            answer = client.request(method, "/preview", params=ASKED)
            assert answer.status_code == 403
            assert b"ftyp" not in answer.content


def test_two_dags_in_one_question_do_not_help(
    app: FastAPI, saved: Path, rows: MetadataRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow checks the permission for one of them: that must be the one whose card is read."""
    asked = urlencode({**ASKED, "dag_id": "own"})
    with TestClient(app, cookies=sign_in("own", monkeypatch=monkeypatch)) as client:
        for query in (f"dag_id=films&{asked}", f"{asked}&dag_id=films"):
            assert client.get(f"/preview?{query}").status_code in {403, 404}


def test_nothing_is_sent_to_it(client: TestClient, saved: Path) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert client.request(method, "/preview", params=ASKED).status_code == 405


def test_neither_an_answer_nor_the_log_tells_a_stores_secrets(
    client: TestClient,
    rows: MetadataRows,
    object_store: Store,
    monkeypatch: pytest.MonkeyPatch,
    logs: Logs,
) -> None:
    secret = "hunter2"
    monkeypatch.setenv("AIRFLOW__KLING__PREVIEW_ROOTS", "s3://vault_conn@bucket/videos")
    monkeypatch.setenv("AIRFLOW_CONN_VAULT_CONN", json.dumps({"conn_type": "vault", "password": secret}))
    object_store.files.pipe_file("/bucket/videos/fox.mp4", FILM)
    rows.push({"saved_to": f"s3://somebody:{secret}@bucket/videos/fox.mp4"})
    played = play(client)
    assert played.content == FILM
    object_store.files.pipe_file("/bucket/videos/fox.mp4", b"something else, and longer than that")
    told = refused(client)
    monkeypatch.setattr(object_store.files, "info", _refuse(PermissionError(f"key {secret}")))
    told += refused(client, 502)
    monkeypatch.delenv("AIRFLOW_CONN_VAULT_CONN")
    told += refused(client, 502)
    for word in (secret, "vault_conn", "PermissionError"):
        assert word not in f"{told} {played.headers}"
    assert "PermissionError" in logs.text
    assert secret not in logs.text


def test_a_video_that_is_gone_says_so(client: TestClient, saved: Path) -> None:
    saved.unlink()
    assert "not there any more" in refused(client)


def test_a_video_removed_while_it_plays_plays_on(saved: Path, port: int, cookies: dict[str, str]) -> None:
    whole = _long(saved)
    answer = _ask(port, cookies)
    first = answer.read(1000)
    saved.unlink()
    assert len(first + answer.read()) == whole


def test_a_video_cut_off_while_it_plays_breaks_off(saved: Path, port: int, cookies: dict[str, str]) -> None:
    _long(saved)
    answer = _ask(port, cookies)
    answer.read(1000)
    os.truncate(saved, 2000)
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        answer.read()


def test_it_is_let_go_of_when_the_player_goes_away(
    saved: Path, port: int, cookies: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _long(saved)
    closed = threading.Event()

    def open_film(root: Root, rest: str) -> films.Film:
        film = films.open_film(root, rest)
        monkeypatch.setattr(film, "close", lambda let_go=film.close: (let_go(), closed.set()))  # type: ignore[func-returns-value]
        return film

    monkeypatch.setattr(preview, "open_film", open_film)
    answer = _ask(port, cookies)
    answer.read(1000)
    assert not closed.is_set()
    answer.close()
    assert closed.wait(30)


@pytest.mark.parametrize(
    ("method", "headers"),
    [("GET", {}), ("GET", {"range": "bytes=9-"}), ("GET", {"range": "bytes=3000000-"}), ("HEAD", {})],
    ids=str,
)
def test_nothing_stays_open(
    client: TestClient, saved: Path, monkeypatch: pytest.MonkeyPatch, method: str, headers: dict[str, str]
) -> None:
    opened: list[Any] = []

    def open_film(root: Root, rest: str) -> films.Film:
        opened.append(films.open_film(root, rest))
        return opened[-1]  # type: ignore[no-any-return]

    monkeypatch.setattr(preview, "open_film", open_film)
    play(client, headers, method=method)
    (film,) = opened
    assert film._file.closed


def test_no_refusal_leaves_anything_open(client: TestClient, saved: Path, rows: MetadataRows) -> None:
    (saved.parent / "notes.mp4").write_text(SECRET)
    (saved.parent / "folder" / "folder").mkdir(parents=True)
    for name in ("notes.mp4", "folder", "folder/folder", "folder/gone/fox.mp4", "fox.mp4/x"):
        rows.push({"saved_to": str(saved.parent / name)})
        assert play(client).status_code == 404
    assert not [path for path in _open_files() if path.startswith(str(saved.parent))]


class _Endless:
    """A film that nobody can read to its end; it notes who tries."""

    size, etag = 10**12, '"x"'

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.goes_on = threading.Event()
        self.now = self.most = 0
        self.parts: list[tuple[int, int]] = []

    def read(self, start: int, stop: int) -> bytes:
        with self.lock:
            self.parts.append((start, stop))
            self.now += 1
            self.most = max(self.most, self.now)
        self.goes_on.wait(30)
        with self.lock:
            self.now -= 1
        return bytes(stop - start)

    def close(self) -> None:
        pass


async def test_it_reads_a_mebibyte_at_a_time() -> None:
    film = _Endless()
    film.goes_on.set()
    pieces = [len(piece) async for piece in preview._pieces(film, Part(5, 3_000_000))]
    assert max(pieces) == 1 << 20
    assert sum(pieces) == 3_000_000 - 5
    assert film.parts == [(5, 1048581), (1048581, 2097157), (2097157, 3_000_000)]


def test_a_crowd_of_players_leaves_airflows_threads_alone(
    app: FastAPI, saved: Path, port: int, cookies: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    film = _Endless()
    monkeypatch.setattr(preview, "open_film", lambda *_: film)
    app.get("/other")(lambda: "fine")
    with ExitStack() as stack:
        stack.callback(film.goes_on.set)
        for _ in range(60):
            stack.callback(_send(port, cookies).close)
        other = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        other.request("GET", "/other")
        assert other.getresponse().read() == b'"fine"'
        other.close()
    assert 0 < film.most <= 8


def _refuse(error: Exception) -> Any:
    def refuse(*_: object, **__: object) -> None:
        raise error

    return refuse


def _long(path: Path) -> int:
    """Make the video longer than all buffers on the way; it takes no room."""
    os.truncate(path, 200_000_000)
    return 200_000_000


def _send(port: int, cookies: dict[str, str]) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", f"/preview?{urlencode(ASKED)}", headers={"Cookie": f"_token={cookies['_token']}"})
    return connection


def _ask(port: int, cookies: dict[str, str]) -> http.client.HTTPResponse:
    answer = _send(port, cookies).getresponse()
    assert answer.status == 200
    return answer


def _open_files() -> list[str]:
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:
            continue
    return found
