"""Saved videos played from real stores, in parts, through the connection of a root."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from films import film as make_film

from airflow_provider_kling.plugins.films import Gone, NoFilm, open_film
from airflow_provider_kling.plugins.roots import Root, find, parse_roots
from airflow_provider_kling.targets import Target

if TYPE_CHECKING:
    from pathlib import Path

    from stores import Store

NAMES = ["fox.mp4", "2026/a fox, größer + 100%.mp4"]
FILM = make_film(3_000_000)


@pytest.fixture
def root(store: Store) -> Root:
    (root,) = parse_roots(f"{store.server.scheme}://{store.conn_id}@{store.bucket}/clips")
    return root


def save(store: Store, path: Path, name: str, content: bytes = FILM) -> str:
    """Publish a file as our operators do, and tell what their card says of it."""
    path.write_bytes(content)
    target = Target(store.url(name), store.conn_id)
    target.publish(path)
    return target.name


@pytest.mark.parametrize("name", NAMES)
def test_what_was_saved_can_be_played(store: Store, root: Root, tmp_path: Path, name: str) -> None:
    saved_to = save(store, tmp_path / "film", f"clips/{name}")
    found = find(saved_to, [root])
    assert found == (root, name)
    film = open_film(*found)
    assert film.size == len(FILM)
    for start, stop in ((0, 1), (0, 1 << 20), (1 << 20, 2 << 20), (2_999_999, 3_000_000), (0, 3_000_000)):
        assert film.read(start, stop) == FILM[start:stop]


def test_its_tag_is_that_of_its_content(store: Store, root: Root, tmp_path: Path) -> None:
    save(store, tmp_path / "film", "clips/fox.mp4")
    tags = {open_film(root, "fox.mp4").etag for _ in range(3)}
    save(store, tmp_path / "film", "clips/fox.mp4", make_film(3_000_000, seed=1))
    tags.add(open_film(root, "fox.mp4").etag)
    assert len(tags) == 2
    assert None not in tags


def test_what_is_no_film_stays_where_it_is(store: Store, root: Root, tmp_path: Path) -> None:
    save(store, tmp_path / "notes", "clips/folder/notes.mp4", b"root:x:0:0:root:/root")
    for name in ("folder/notes.mp4", "folder"):
        with pytest.raises((NoFilm, Gone)):
            open_film(root, name)


def test_what_is_gone_is_gone(store: Store, root: Root, tmp_path: Path) -> None:
    save(store, tmp_path / "film", "clips/fox.mp4")
    with pytest.raises(Gone):
        open_film(root, "wolf.mp4")
