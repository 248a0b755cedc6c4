"""Plays a video from where it was saved: the service's own links die within the hour.

A person may see it who may see the XComs of the DAG, and only when the task's own card says that it was saved below
one of the administrator's `[kling] preview_roots`. A card can be forged, so it only ever chooses among the videos
there: see `roots` and `films`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, TypeVar
from urllib.parse import quote

import anyio.to_thread
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse

from airflow_provider_kling.card import KEY
from airflow_provider_kling.plugins.films import Gone, NoFilm, StoreTrouble, open_film
from airflow_provider_kling.plugins.pages import HEADERS, Page
from airflow_provider_kling.plugins.ranges import Part, Unsatisfiable, is_known, wanted_part
from airflow_provider_kling.plugins.roots import find, read_roots

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from starlette.types import Receive, Scope, Send

    from airflow_provider_kling.plugins.films import Film

log = logging.getLogger(__name__)
router = APIRouter()
T = TypeVar("T")

_PIECE = 1 << 20
"""Bytes that are read, and held, at a time."""
_threads = anyio.CapacityLimiter(8)
"""Threads that read for all players: a slow store keeps none of Airflow's own, and a player that pauses keeps none."""
_FILM_HEADERS = {
    "Accept-Ranges": "bytes",
    "Cache-Control": "private, no-cache",
    "Content-Encoding": "identity",  # else Airflow would compress it, which changes its length and takes its time
    "Content-Security-Policy": "default-src 'none'; media-src 'self'; sandbox allow-same-origin",  # it also plays alone
    "Content-Type": "video/mp4",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_OFF = "It is turned off; an administrator turns it on by naming folders in [kling] preview_roots."


@dataclass(frozen=True, kw_only=True)
class TaskInstance:
    """Whose video is meant.

    :param dag_id: of the task instance
    :param run_id: of the task instance
    :param task_id: of the task instance
    :param map_index: of the task instance; default -1, when it is not mapped
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1


class NotPlayed(Exception):
    """Why there is nothing to play.

    :param status: HTTP status
    :param title: what is the matter
    :param text: what it means
    """

    def __init__(self, status: HTTPStatus, title: str, text: str) -> None:
        super().__init__(title)
        self.page = Page(status=status, title=title, text=text)


@router.api_route(
    "/preview", methods=["GET", "HEAD"], dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.XCOM))]
)
async def preview(request: Request, asked: Annotated[TaskInstance, Depends()]) -> Response:
    """Send the saved video, or the part of it that a player wants.

    :param request: its headers say which part
    :param asked: whose video
    """
    try:
        film, name = await _in_thread(_open, asked)
    except NotPlayed as refusal:
        return HTMLResponse(refusal.page.html(), refusal.page.status, headers=HEADERS)
    try:
        answer = _answer(request, film, name)
    except BaseException:
        film.close()
        raise
    if not isinstance(answer, _FilmResponse):
        film.close()
    return answer


def _open(asked: TaskInstance) -> tuple[Film, str]:
    """Open the video of a task instance, and tell its name; blocks.

    :raises NotPlayed: when there is none that may be shown
    """
    if not (roots := read_roots()):
        raise NotPlayed(HTTPStatus.NOT_FOUND, "Saved videos are not played here", _OFF)
    card = _read_card(asked)
    saved_to = card.get("saved_to") if isinstance(card, dict) else None
    if not saved_to:
        raise NotPlayed(HTTPStatus.NOT_FOUND, "There is no saved video", "This task has not saved one, or not yet.")
    if (found := find(saved_to, roots)) is None:
        text = "It was saved outside of the folders that the administrator names in [kling] preview_roots."
        raise NotPlayed(HTTPStatus.NOT_FOUND, "This video is not played here", text)
    root, rest = found
    try:
        return open_film(root, rest), rest.rpartition("/")[2]
    except Gone:
        text = "It was moved or deleted after the task had saved it."
        raise NotPlayed(HTTPStatus.NOT_FOUND, "The video is not there any more", text) from None
    except NoFilm:
        log.warning("Not shown to anyone: the card of %r leads to no video, %r.", asked, root.url(rest))
        raise NotPlayed(HTTPStatus.NOT_FOUND, "That is no video", "The task's card leads to something else.") from None
    except StoreTrouble as trouble:
        log.warning("Could not open %r with connection %r (%s).", root.url(rest), root.conn_id, trouble)
        text = "The storage can't be read now; the log of Airflow's API server says more. Try again in a while."
        raise NotPlayed(HTTPStatus.BAD_GATEWAY, "The storage does not answer", text) from None


def _read_card(asked: TaskInstance) -> object:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select
    from sqlalchemy.exc import SQLAlchemyError

    query = select(XComModel.value).where(
        XComModel.dag_id == asked.dag_id,
        XComModel.run_id == asked.run_id,
        XComModel.task_id == asked.task_id,
        XComModel.map_index == asked.map_index,
        XComModel.key == KEY,
    )
    try:
        with create_session(scoped=False) as session:
            return session.scalar(query)
    except (SQLAlchemyError, OverflowError, ValueError):  # ids that no database would take
        return None


def _answer(request: Request, film: Film, name: str) -> Response:
    headers = {**_FILM_HEADERS, "Content-Disposition": _disposition(name)}
    if film.etag:
        headers["ETag"] = film.etag
    if is_known(film.etag, known=request.headers.get("if-none-match")):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    if request.method == "HEAD":  # to it, ranges mean nothing
        return Response(headers={**headers, "Content-Length": str(film.size)})
    try:
        part = wanted_part(
            film.size,
            wanted=",".join(request.headers.getlist("range")) or None,
            only_if=request.headers.get("if-range"),
            etag=film.etag,
        )
    except Unsatisfiable:
        nothing = {**headers, "Content-Range": f"bytes */{film.size}", "Content-Length": "0"}
        return Response(status_code=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers=nothing)
    if part is None:
        return _FilmResponse(film, Part(0, film.size), HTTPStatus.OK, headers)
    headers["Content-Range"] = part.content_range(film.size)
    return _FilmResponse(film, part, HTTPStatus.PARTIAL_CONTENT, headers)


class _FilmResponse(StreamingResponse):
    """Lets go of the film at its end, also when the player goes away before that."""

    def __init__(self, film: Film, part: Part, status: HTTPStatus, headers: Mapping[str, str]) -> None:
        self._film = film
        length = {"Content-Length": str(part.stop - part.start)}
        super().__init__(_pieces(film, part), status, {**headers, **length})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._film.close()


async def _pieces(film: Film, part: Part) -> AsyncIterator[bytes]:
    for start in range(part.start, part.stop, _PIECE):
        yield await _in_thread(film.read, start, min(start + _PIECE, part.stop))


async def _in_thread(call: Callable[..., T], *arguments: object) -> T:
    return await anyio.to_thread.run_sync(call, *arguments, limiter=_threads)


def _disposition(name: str) -> str:
    """To be played in place; whoever saves it gets a file that its system takes for a video and nothing else."""
    safe = name if name.lower().endswith(".mp4") else f"{name}.mp4"
    return f"inline; filename*=UTF-8''{quote(safe, safe='')}"
