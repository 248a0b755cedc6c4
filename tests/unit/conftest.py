"""Stores in memory, and links that lead to a tiny film."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.io import fs as airflow_fs
from airflow.sdk.io import store as airflow_store
from fsspec.implementations.memory import MemoryFileSystem
from sources import Downloads, Store

from airflow_provider_kling import fetching
from airflow_provider_kling.api.downloads import Piece
from airflow_provider_kling.api.video import Download

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def object_store(monkeypatch: pytest.MonkeyPatch) -> Store:
    files = MemoryFileSystem(skip_instance_cache=True)
    monkeypatch.setattr(files, "store", {})
    monkeypatch.setattr(files, "pseudo_dirs", ["", "/bucket"])
    monkeypatch.setenv("AIRFLOW_CONN_VAULT_CONN", json.dumps({"conn_type": "vault"}))
    store = Store(files)

    def open_store(conn_id: str | None, _: Any) -> MemoryFileSystem:
        store.conn_ids.append(conn_id)
        if store.trouble:
            raise store.trouble
        return files

    schemes = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "sftp")
    monkeypatch.setattr(airflow_fs, "_register_filesystems", lambda: dict.fromkeys(schemes, open_store))
    monkeypatch.setattr(airflow_store, "_STORE_CACHE", {})
    return store


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> Downloads:
    """Links give a tiny film, at once and over and over; they are noted."""
    downloads = Downloads()

    @contextlib.contextmanager
    def open_video(url: str, *, have: int = 0, etag: str | None = None) -> Iterator[Download]:
        downloads.opened.append(url)
        film = downloads.film
        yield Download(
            Piece(total=len(film)), iter([film[:10], film[10:]] if downloads.come is None else downloads.come)
        )

    monkeypatch.setattr(fetching, "open_video", open_video)
    monkeypatch.setattr(fetching, "_PAUSES", (0.0, 0.0, 0.0))
    return downloads
