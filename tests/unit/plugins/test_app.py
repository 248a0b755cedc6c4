"""What the API server has under our prefix: pages without data, and nothing to a stranger."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sign_in import sign_in

from airflow_provider_kling.plugins.app import app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metadata_rows import MetadataRows

STATIC = files("airflow_provider_kling.plugins").joinpath("static")
PAGES = ("/gallery", "/player")
PARTS = tuple(f"/static/{file.name}" for file in STATIC.iterdir())


@pytest.fixture
def cookies(rows: MetadataRows, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    return sign_in("films", monkeypatch=monkeypatch)


@pytest.fixture
def client(cookies: dict[str, str]) -> Iterator[TestClient]:
    """Somebody with a session."""
    with TestClient(app, cookies=cookies, follow_redirects=False) as client:
        yield client


@pytest.fixture
def stranger(cookies: dict[str, str]) -> TestClient:
    """Somebody without one."""
    return TestClient(app, follow_redirects=False)


def test_a_page_has_parts() -> None:
    for page in PAGES:
        assert STATIC.joinpath(f"{page[1:]}.html").is_file()
    assert {part.rpartition(".")[2] for part in PARTS} >= {"html", "js", "css"}


@pytest.mark.parametrize("path", [*PAGES, "/player?dag_id=films&run_id=a&task_id=b&map_index={MAP_INDEX}", *PARTS])
def test_pages_come_from_the_package_and_may_do_little(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    name = path.partition("?")[0].removeprefix("/static").strip("/")
    assert answer.content == STATIC.joinpath(name if "." in name else f"{name}.html").read_bytes()
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert (policy["script-src"], policy["style-src"], policy["connect-src"]) == ("'self'",) * 3
    assert (policy["base-uri"], policy["form-action"], policy["frame-ancestors"]) == ("'none'", "'none'", "'self'")
    assert "unsafe" not in str(policy)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "x-frame-options" not in answer.headers  # Airflow shows it in a frame


@pytest.mark.parametrize(
    ("name", "kind"), [("gallery.html", "html"), ("gallery.js", "javascript"), ("style.css", "css")]
)
def test_a_browser_is_told_what_it_gets(client: TestClient, name: str, kind: str) -> None:
    assert client.get(f"/static/{name}").headers["content-type"] == f"text/{kind}; charset=utf-8"


@pytest.mark.parametrize("path", [*PAGES, *PARTS])
def test_without_a_session_there_is_not_even_a_page(stranger: TestClient, path: str) -> None:
    answer = stranger.get(path)
    assert answer.status_code == 401
    assert "Sign in to Airflow" in answer.text
    assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/docs",
        "/openapi.json",
        "/gallery/",
        "/api/",
        "/static/",
        "/static/..%2Fapp.py",
        "/static/../app.py",
        "/static/%2e%2e%2fapp.py",
        "/static/%2Fetc%2Fpasswd",
        "/static/app.py",
        "/static/gallery.html%00.js",
        "/static/__init__.py",
    ],
)
def test_there_is_nothing_else_here(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "no such page" in answer.text


@pytest.mark.parametrize("prefix", ["", "/prefix", "/a/b"])
def test_it_works_under_a_prefix(cookies: dict[str, str], prefix: str) -> None:
    """As Airflow mounts it, with the path of `[api] base_url`."""
    server = FastAPI(root_path=prefix)
    server.mount("/kling", app)
    client = TestClient(server, cookies=cookies)
    assert client.get(f"{prefix}/kling/gallery").status_code == 200
    assert client.get(f"{prefix}/kling/static/gallery.js").status_code == 200
    assert client.get(f"{prefix}/kling/api/renders").json()["total"] == 0
    assert set(client.get(f"{prefix}/kling/api/renders?limit=0").json()) == {"detail"}


def test_pages_know_where_their_own_parts_are(client: TestClient) -> None:
    for page in PAGES:
        text = client.get(page).text
        for word in ('src="/', 'href="/', "://"):
            assert word not in text
