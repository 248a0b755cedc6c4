"""Asking for saved videos, and what every answer must have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from films import film as make_film

if TYPE_CHECKING:
    import httpx
    from fastapi.testclient import TestClient

FILM = make_film(3_000_000)
ASKED: dict[str, Any] = {"dag_id": "films", "run_id": "run", "task_id": "render", "map_index": -1}
SECRET = "top secret, and none of the caller's business"


def play(
    client: TestClient,
    headers: dict[str, str] | None = None,
    *,
    method: str = "GET",
    asked: dict[str, Any] | None = None,
) -> httpx.Response:
    """Ask for the video of a task instance.

    :param client: who asks
    :param headers: of the request
    :param method: GET (default) or HEAD
    :param asked: which task instance; default :data:`ASKED`
    """
    answer: httpx.Response = client.request(method, "/preview", params=ASKED | (asked or {}), headers=headers)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "no-store" in answer.headers["cache-control"] or "private, no-cache" in answer.headers["cache-control"]
    return answer


def refused(client: TestClient, status: int = 404) -> str:
    """What a person is told, having checked that it is all that came."""
    for headers in ({}, {"Range": "bytes=0-3"}, {"If-None-Match": "*"}):
        answer = play(client, headers)
        assert answer.status_code == status
        assert answer.headers["content-type"].startswith("text/html")
        assert len(answer.content) < 2_000
        for word in ("ftyp", "secret", "Traceback", "/etc", "root:"):
            assert word not in answer.text
    assert play(client, method="HEAD").status_code == status
    return answer.text
