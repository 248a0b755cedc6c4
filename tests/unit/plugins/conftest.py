"""Airflow's API server around the pages: its database, its users, and a folder of videos."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from films import film as make_film
from metadata_rows import MetadataRows, make_tables
from players import FILM, SECRET
from postgres import PostgreSQL, find_binaries
from sign_in import sign_in
from starlette.middleware.gzip import GZipMiddleware

from airflow_provider_kling.plugins import preview

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose videos may be played, beside one whose files may not."""
    videos, secret = tmp_path / "videos", tmp_path / "secret"
    videos.mkdir()
    secret.mkdir()
    (videos / "fox.mp4").write_bytes(FILM)
    (secret / "fox.mp4").write_bytes(make_film(5_000, seed=5))
    (secret / "keys").write_text(SECRET)
    monkeypatch.setenv("AIRFLOW__KLING__PREVIEW_ROOTS", f"file://{videos}")
    yield videos
    shutil.rmtree(videos)  # pytest would keep hundreds of films


@pytest.fixture
def app() -> FastAPI:
    """As Airflow has it: it compresses what it can."""
    app = FastAPI()
    app.include_router(preview.router)
    app.add_middleware(GZipMiddleware, minimum_size=1024)
    return app


@pytest.fixture
def stranger(app: FastAPI, rows: MetadataRows, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """Somebody without a session."""
    sign_in("films", monkeypatch=monkeypatch)
    return TestClient(app)


@pytest.fixture
def cookies(rows: MetadataRows, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    return sign_in("films", monkeypatch=monkeypatch)


@pytest.fixture
def client(app: FastAPI, cookies: dict[str, str]) -> Iterator[TestClient]:
    """Somebody who may see the XComs of the DAG."""
    with TestClient(app, cookies=cookies) as client:
        yield client


@pytest.fixture
def saved(folder: Path, rows: MetadataRows) -> Path:
    """The video that the task has saved."""
    rows.push({"saved_to": str(folder / "fox.mp4")})
    return folder / "fox.mp4"


@pytest.fixture(scope="package")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return make_tables(f"sqlite:///{tmp_path_factory.mktemp('metadata') / 'airflow.db'}")


@pytest.fixture(scope="package")
def postgresql() -> Iterator[Engine]:
    pytest.importorskip("psycopg2")
    if (binaries := find_binaries()) is None:
        pytest.skip("PostgreSQL is not installed")
    with PostgreSQL(binaries) as server:
        engine = make_tables(server.url)
        yield engine
        engine.dispose()


@pytest.fixture
def rows(sqlite: Engine, monkeypatch: pytest.MonkeyPatch) -> MetadataRows:
    """An empty metadata database."""
    return MetadataRows(sqlite, monkeypatch)


@pytest.fixture(params=["sqlite", "postgresql"])
def rows_anywhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> MetadataRows:
    """An empty metadata database, on each kind."""
    return MetadataRows(request.getfixturevalue(request.param), monkeypatch)
