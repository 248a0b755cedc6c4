"""The pages in Airflow's UI: one app, of which only Airflow's API server knows.

The pages are files of this package, and hold no data; what they show, they ask for with the person's own session.
"""

from __future__ import annotations

from http import HTTPStatus
from importlib.resources import files

from airflow.api_fastapi.core_api.security import get_user
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

from airflow_provider_kling.plugins import preview, renders, video
from airflow_provider_kling.plugins.pages import HEADERS, Page

_TYPES = {"css": "text/css", "html": "text/html", "js": "text/javascript", "svg": "image/svg+xml"}
_FILES = {
    file.name: file.read_bytes()
    for file in files("airflow_provider_kling.plugins").joinpath("static").iterdir()
    if file.name.rpartition(".")[2] in _TYPES
}
"""All there is, read once: no request ever gets near the file system."""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "media-src 'self' https: http://127.0.0.1:*; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"  # Airflow shows them in frames; http on this machine is the simulator
)
_HEADERS = {**HEADERS, "Content-Security-Policy": _POLICY}
_REFUSAL_HEADERS = {
    **HEADERS,
    "Content-Security-Policy": HEADERS["Content-Security-Policy"].replace(
        "frame-ancestors 'none'", "frame-ancestors 'self'"
    ),
}
"""A frame says why it stays empty, too."""

app = FastAPI(openapi_url=None, redirect_slashes=False)
for module in (video, renders, preview):
    app.include_router(module.router)

_signed_in = [Depends(get_user)]


@app.get("/gallery", dependencies=_signed_in)
def gallery() -> Response:
    """All renders."""
    return _file("gallery.html")


@app.get("/player", dependencies=_signed_in)
def player() -> Response:
    """The render of one task instance; the page reads from its address which one."""
    return _file("player.html")


@app.get("/static/{name}", dependencies=_signed_in)
def static(name: str) -> Response:
    """What the pages are made of.

    :param name: of the file
    """
    if name not in _FILES:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return _file(name)


def _file(name: str) -> Response:
    return Response(_FILES[name], headers=_HEADERS, media_type=_TYPES[name.rpartition(".")[2]])


@app.exception_handler(HTTPException)
async def _refused(request: Request, error: HTTPException) -> Response:
    """Airflow's own refusals, for people."""
    if error.status_code == HTTPStatus.UNAUTHORIZED:
        title, text = "Please sign in", "Sign in to Airflow, then open this page again."
    elif error.status_code == HTTPStatus.FORBIDDEN:
        title, text = "You may not see this", "Seeing the video needs the permission to read the XComs of its DAG."
    else:
        title, text = "There is no such page", "Open the link from the task's page."
    return _say(request, HTTPStatus(error.status_code), title, text)


@app.exception_handler(RequestValidationError)
async def _incomplete(request: Request, _: RequestValidationError) -> Response:
    return _say(request, HTTPStatus.BAD_REQUEST, "The link is not complete", "Open it from the task's page.")


def _say(request: Request, status: HTTPStatus, title: str, text: str) -> Response:
    """A page for people, JSON for pages."""
    if request.scope["path"].removeprefix(request.scope.get("root_path", "")).startswith("/api/"):
        return JSONResponse({"detail": title}, status, headers=HEADERS)
    return HTMLResponse(Page(status=status, title=title, text=text).html(), status, headers=_REFUSAL_HEADERS)
