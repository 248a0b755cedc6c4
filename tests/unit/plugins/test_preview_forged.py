"""Whatever a card says, and whatever is put below a root: nothing but the videos there comes out."""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from players import FILM, SECRET, play, refused

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi.testclient import TestClient
    from logs import Logs
    from metadata_rows import MetadataRows


def test_without_roots_it_says_how_to_turn_it_on(
    client: TestClient, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__KLING__PREVIEW_ROOTS", "")
    assert "[kling] preview_roots" in refused(client)


@pytest.mark.parametrize(
    "asked",
    [
        {"task_id": "other"},
        {"run_id": "other"},
        {"map_index": 0},
        {"map_index": 10**30},
        {"run_id": "a\0b"},
        {"task_id": "'; --"},
        {"task_id": "x" * 30_000},
    ],
    ids=lambda asked: f"{asked}"[:30],
)
def test_only_that_task_instances_card_counts(client: TestClient, saved: Path, asked: dict[str, Any]) -> None:
    assert play(client, asked=asked).status_code == 404


@pytest.mark.parametrize("key", ["return_value", "kling_render2", "KLING_RENDER"])
def test_no_other_xcom_counts(client: TestClient, folder: Path, rows: MetadataRows, key: str) -> None:
    rows.push({"saved_to": str(folder / "fox.mp4")}, key=key)
    assert "no saved video" in refused(client)


CARDS: dict[str, Any] = {
    "null": None,
    "a number": 5,
    "a list": [{"saved_to": "FOLDER/fox.mp4"}],
    "a text": "FOLDER/fox.mp4",
    "JSON in a text": '{"saved_to": "FOLDER/fox.mp4"}',
    "nothing saved": {"saved_to": None},
    "nothing in it": {},
    "a list as address": {"saved_to": ["FOLDER/fox.mp4"]},
    "an object as address": {"saved_to": {"path": "FOLDER/fox.mp4"}},
    "true": {"saved_to": True},
    "a huge text": {"saved_to": "FOLDER/" + "a/" * 500_000},
    "the password file": {"saved_to": "file:///etc/passwd"},
    "the password file, plainly": {"saved_to": "/etc/passwd"},
    "up": {"saved_to": "FOLDER/../secret/fox.mp4"},
    "encoded up": {"saved_to": "FOLDER/%2e%2e/secret/fox.mp4"},
    "encoded slash": {"saved_to": "FOLDER/..%2fsecret%2ffox.mp4"},
    "backslashes": {"saved_to": "FOLDER\\..\\secret\\fox.mp4"},
    "zero byte": {"saved_to": "FOLDER/fox.mp4\0"},
    "beside": {"saved_to": "FOLDER-secret/fox.mp4"},
    "the root": {"saved_to": "FOLDER"},
    "a folder": {"saved_to": "FOLDER/folder"},
    "a folder with a slash": {"saved_to": "FOLDER/folder/"},
    "a file as folder": {"saved_to": "FOLDER/fox.mp4/x"},
    "a link out": {"saved_to": "FOLDER/out.mp4"},
    "a link out, the film there": {"saved_to": "FOLDER/film out.mp4"},
    "a link to a folder outside": {"saved_to": "FOLDER/folder out/fox.mp4"},
    "a link to a link out": {"saved_to": "FOLDER/twice.mp4"},
    "a link to itself": {"saved_to": "FOLDER/loop.mp4"},
    "a link to the root": {"saved_to": "FOLDER/here"},
    "a pipe": {"saved_to": "FOLDER/pipe.mp4"},
    "a socket": {"saved_to": "FOLDER/socket.mp4"},
    "a device": {"saved_to": "FOLDER/device.mp4"},
    "no film": {"saved_to": "FOLDER/notes.mp4"},
    "a file that begins oddly": {"saved_to": "FOLDER/almost.mp4"},
    "an empty file": {"saved_to": "FOLDER/empty.mp4"},
    "too short a file": {"saved_to": "FOLDER/short.mp4"},
    "gone": {"saved_to": "FOLDER/gone.mp4"},
    "too long a name": {"saved_to": "FOLDER/" + "x" * 300},
    "another bucket": {"saved_to": "s3://secret/fox.mp4"},
    "http": {"saved_to": "http://127.0.0.1:1/fox.mp4"},
    "data": {"saved_to": "data:video/mp4;base64,AAAAGGZ0eXBpc29t"},
    "memory": {"saved_to": "memory://FOLDER/fox.mp4"},
    "another local scheme": {"saved_to": "local://FOLDER/fox.mp4"},
    "markup": {"saved_to": "<script>alert(1)</script>"},
}


@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)
def test_a_forged_card_leads_nowhere(
    client: TestClient, folder: Path, rows: MetadataRows, card: Any, logs: Logs
) -> None:
    (folder / "folder").mkdir()
    for name, target in {
        "out.mp4": "../secret/keys",
        "film out.mp4": "../secret/fox.mp4",
        "folder out": "../secret",
        "twice.mp4": "out.mp4",
        "loop.mp4": "loop.mp4",
        "here": ".",
        "device.mp4": "/dev/zero",
    }.items():
        (folder / name).symlink_to(target)
    os.mkfifo(folder / "pipe.mp4")
    for name, content in {
        "notes.mp4": SECRET,
        "almost.mp4": "\0\0\0\x18Ftypisom....",
        "empty.mp4": "",
        "short.mp4": "....ftyp",
    }.items():
        (folder / name).write_text(content)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(folder / "socket.mp4"))  # an absolute one may be too long for it
        rows.push(json.loads(json.dumps(card).replace("FOLDER", str(folder))))
        told = refused(client)
    assert "<script>" not in told
    assert str(folder) not in told
    assert SECRET not in logs.text


def test_a_folder_swapped_for_a_link_at_the_last_moment_leads_nowhere(
    client: TestClient, saved: Path, rows: MetadataRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at a path and its opening, whoever can write there may change it."""
    (saved.parent / "mine").mkdir()
    (saved.parent / "mine" / "fox.mp4").write_bytes(FILM)
    rows.push({"saved_to": str(saved.parent / "mine" / "fox.mp4")})
    assert play(client).status_code == 200
    look = os.path.realpath

    def swap(path: str) -> str:
        seen = look(path)
        if seen.endswith("mine/fox.mp4"):
            (saved.parent / "mine").rename(saved.parent / "was mine")
            (saved.parent / "mine").symlink_to("../secret")
        return seen

    monkeypatch.setattr(os.path, "realpath", swap)
    assert play(client).status_code == 404


def test_a_file_swapped_for_a_link_at_the_last_moment_leads_nowhere(
    client: TestClient, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = os.path.realpath

    def swap(path: str) -> str:
        seen = look(path)
        if seen.endswith("fox.mp4"):
            saved.unlink()
            saved.symlink_to("../secret/fox.mp4")
        return seen

    monkeypatch.setattr(os.path, "realpath", swap)
    assert play(client).status_code == 404


def test_a_root_that_leads_to_everything_leads_nowhere(
    client: TestClient, rows: MetadataRows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fox.mp4").write_bytes(FILM)
    (tmp_path / "all").symlink_to("/")
    monkeypatch.setenv("AIRFLOW__KLING__PREVIEW_ROOTS", str(tmp_path / "all"))
    rows.push({"saved_to": f"{tmp_path}/all{tmp_path}/fox.mp4"})
    refused(client)


SEGMENTS = st.sampled_from(["..", ".", "", "secret", "fox.mp4", "folder out", "%2e%2e", "keys", "etc", "videos", "\\"])


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(segments=st.lists(SEGMENTS, max_size=5))
def test_whatever_a_card_says_only_the_film_comes_out(
    client: TestClient, saved: Path, rows: MetadataRows, segments: list[str]
) -> None:
    if not (saved.parent / "folder out").is_symlink():
        (saved.parent / "folder out").symlink_to("../secret")
    rows.push({"saved_to": "/".join([str(saved.parent), *segments])})
    answer = play(client)
    assert answer.content == FILM if answer.status_code == 200 else answer.status_code == 404
