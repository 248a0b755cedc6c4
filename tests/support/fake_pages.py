"""A server with our pages and made-up renders behind them, and a page around them that stands for Airflow's."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

PREFIX = "/some/prefix"
"""Airflow may live under one, so ours does."""
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "media-src 'self' https: http://127.0.0.1:*; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
SANDBOX = "allow-scripts allow-same-origin allow-forms"
"""Of Airflow 3.1 and 3.2; 3.3 adds allow-downloads."""
AROUND = (
    '<!doctype html><html lang="en"><head><title>Airflow</title></head><body>'
    '<iframe sandbox="{sandbox}" width="{width}" height="{height}" title="Kling" src="{prefix}/kling/{page}"></iframe>'
    "</body></html>"
)
TYPES = {"html": "text/html; charset=utf-8", "js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8"}
IDS = ("dag_id", "run_id", "task_id", "map_index")

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class FakePages:
    """The server; change its fields while it runs.

    :param renders: what there is, newest first, as `api/renders` gives them
    :param films: MP4s by dag_id, which `preview` plays
    :param broken: status that every question of the pages gets instead of an answer; default: none
    :param stalls: whether answers to the pages stop half-way
    :param asked: the questions so far, path and query
    """

    renders: list[dict[str, Any]] = field(default_factory=list)
    films: dict[str, bytes] = field(default_factory=dict)
    broken: int | None = None
    stalls: bool = False
    asked: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def airflow(self) -> str:
        """Where Airflow would be."""
        return f"{self.origin}{PREFIX}"

    @property
    def gallery(self) -> str:
        """The gallery, alone."""
        return f"{self.airflow}/kling/gallery"

    def questions(self, route: str) -> list[dict[str, str]]:
        """The queries of all questions to a route so far.

        :param route: such as `api/renders`
        """
        split = [urlsplit(asked) for asked in self.asked]
        return [dict(parse_qsl(url.query)) for url in split if url.path == f"{PREFIX}/kling/{route}"]

    def around(self, page: str, *, width: int = 1200, height: int = 800) -> str:
        """A page of Airflow's that shows one of ours in its frame.

        :param page: ours, with its query
        :param width: of the frame
        :param height: of the frame
        """
        return f"{self.airflow}/around?width={width}&height={height}&page={page.replace('&', '%26')}"

    def answer(self, target: str, range_: str | None) -> Answer:
        """Answer a GET.

        :param target: path and query
        :param range_: the header Range
        """
        url = urlsplit(target)
        path, query = url.path.removeprefix(PREFIX), dict(parse_qsl(url.query))
        if path.startswith("/kling/api/") and self.broken:
            return self.broken, {}, b"{}"
        if path in self._routes:
            return self._routes[path](query, range_)
        if path.startswith("/plugin/"):  # Airflow 3.3 repeats our own address in its own
            return _around(page=url.path.rpartition("/")[2], width="1200", height="800")
        if path.startswith("/kling/static/"):
            return _static(path.rpartition("/")[2])
        return HTTPStatus.OK, {"Content-Type": TYPES["html"]}, f"<title>Airflow {path}</title>".encode()

    @property
    def _routes(self) -> dict[str, Callable[[dict[str, str], str | None], Answer]]:
        return {
            "/kling/gallery": lambda *_: _static("gallery.html"),
            "/kling/player": lambda *_: _static("player.html"),
            "/kling/api/renders": lambda query, _: _json(self._page(query)),
            "/kling/api/totals": lambda query, _: _json(self._totals(query)),
            "/kling/api/render": lambda query, _: self._one(query),
            "/kling/preview": self._preview,
            "/around": lambda query, _: _around(**query),
        }

    def _page(self, query: dict[str, str]) -> dict[str, Any]:
        found = [render for render in self.renders if _fits(render, query)]
        limit, offset = int(query["limit"]), int(query["offset"])
        return {"renders": found[offset : offset + limit], "total": len(found), "limit": limit, "offset": offset}

    def _totals(self, query: dict[str, str]) -> dict[str, Any]:
        found = [render for render in self.renders if _fits(render, query)]
        states = [render["state"] for render in found]
        lengths = [_card(render).get("duration") for render in found]
        return {
            "clips": len(found),
            "seconds": sum(length for length in lengths if isinstance(length, int)),
            "by_state": {state: states.count(state) for state in ("rendering", "finished", "failed")},
            "dags": sorted({render["dag_id"] for render in self.renders}),
        }

    def _one(self, query: dict[str, str]) -> Answer:
        wanted = {**query, "map_index": query["map_index"].replace("{MAP_INDEX}", "-1")}
        for render in self.renders:
            if all(str(render[name]) == wanted.get(name) for name in IDS):
                return _json(render)
        return HTTPStatus.NOT_FOUND, {}, b"{}"

    def _preview(self, query: dict[str, str], range_: str | None) -> Answer:
        film = self.films.get(query["dag_id"])
        if film is None:
            return HTTPStatus.NOT_FOUND, {}, b""
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", range_ or "bytes=0-")
        assert asked
        first, last = int(asked[1]), int(asked[2] or len(film) - 1)
        headers = {"Content-Type": "video/mp4", "Content-Range": f"bytes {first}-{last}/{len(film)}"}
        return HTTPStatus.PARTIAL_CONTENT, headers | {"Accept-Ranges": "bytes"}, film[first : last + 1]


def _card(render: dict[str, Any]) -> dict[str, Any]:
    card = render["card"]
    return card if isinstance(card, dict) else {}


def _fits(render: dict[str, Any], query: dict[str, str]) -> bool:
    card, created = _card(render), str(_card(render).get("created_at"))
    since, until = (query.get(name, "").replace("Z", "+00:00") for name in ("since", "until"))
    return (
        query.get("dag_id") in {None, render["dag_id"]}
        and query.get("state") in {None, render["state"]}
        and query.get("text", "").lower() in str(card.get("prompt")).lower()
        and (not since or created >= since)
        and (not until or created <= until)
    )


def _json(value: Any) -> Answer:
    return HTTPStatus.OK, {"Content-Type": "application/json"}, json.dumps(value).encode()


def _static(name: str) -> Answer:
    file = resources.files("airflow_provider_kling.plugins") / "static" / name
    headers = {"Content-Type": TYPES[name.rpartition(".")[2]], "Content-Security-Policy": CSP}
    return HTTPStatus.OK, headers | {"X-Content-Type-Options": "nosniff"}, file.read_bytes()


def _around(*, page: str, width: str, height: str) -> Answer:
    html = AROUND.format(prefix=PREFIX, sandbox=SANDBOX, page=page.replace("&", "&amp;"), width=width, height=height)
    return HTTPStatus.OK, {"Content-Type": TYPES["html"]}, html.encode()


def _handler(pages: FakePages) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            pages.asked.append(self.path)
            status, headers, body = pages.answer(self.path, self.headers.get("Range"))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body)), "Cache-Control": "no-store"}.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                if pages.stalls and "/kling/api/" in self.path:
                    self.wfile.write(body[: len(body) // 2])
                    pages.over.wait()
                    return
                self.wfile.write(body)
            except (BrokenPipeError, ConnectionResetError):  # a browser leaves a video when it has seen enough
                self.close_connection = True

        def log_message(self, *_: object) -> None: ...

    return Handler
