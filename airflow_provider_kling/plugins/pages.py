"""What the page behind the link "Video" says of a render that has no video to show, in plain words."""

from __future__ import annotations

import base64
import hashlib
import html
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from airflow_provider_kling.api.errors import (
    AuthenticationFailed,
    InvalidConnection,
    KlingError,
    RateLimited,
    RenderNotFound,
    VideoUnavailable,
    speaks_of_moderation,
)
from airflow_provider_kling.api.models import Render, RenderStatus

if TYPE_CHECKING:
    from airflow_provider_kling.links import VideoAddress

_AGAIN = 15
"""Seconds after which a page that waits asks again."""
_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem;color-scheme:light dark}"
    "code{overflow-wrap:anywhere}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
}
"""Of every answer, the redirect included: what is behind them changes, and is nobody else's business."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """A small page without scripts and without anything from elsewhere.

    :param status: HTTP status
    :param title: what is the matter
    :param text: what it means and what to do
    :param render_id: the render; default: none is known
    :param said: the API's own words; default: none
    :param waits: whether the page asks again by itself; default false
    :param way_back: where the person came from; default: the start of Airflow's UI
    """

    status: HTTPStatus
    title: str
    text: str
    render_id: str = ""
    said: str = ""
    waits: bool = False
    way_back: str = "../"

    def html(self) -> str:
        """The page; whatever comes from outside is text in it, never markup."""
        facts = [
            f"<p>{name}: <code>{html.escape(value)}</code></p>"
            for name, value in (("Render", self.render_id), ("The API", self.said))
            if value
        ]
        refresh = f'<meta http-equiv="refresh" content="{_AGAIN}">' if self.waits else ""
        text = f"{self.text} This page asks again every {_AGAIN} seconds." if self.waits else self.text
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            f"{refresh}<title>{html.escape(self.title)}</title><style>{_STYLE}</style></head>"
            f"<body><h1>{html.escape(self.title)}</h1><p>{html.escape(text)}</p>{''.join(facts)}"
            f'<p><a href="{html.escape(self.way_back)}">Back to Airflow</a></p></body></html>'
        )


def describe(answer: Render | KlingError, asked: VideoAddress) -> Page:
    """What to say when there is no video to go to.

    :param answer: what the API, or asking it, came to
    :param asked: the render it is about
    """
    if isinstance(answer, Render):
        status, title, text, waits = _of_render(answer)
        percent = f", {answer.progress_percent:.0f} %" if answer.progress_percent else ""
        said = f"{answer.raw_status}{percent}" + (f": {answer.reason}" if answer.reason else "")
    else:
        status, title, text, waits = _of_error(answer, asked.kling_conn_id)
        said = answer.message
    return Page(
        status=status,
        title=title,
        text=text,
        render_id=asked.render_id,
        said=said,
        waits=waits,
        way_back=asked.way_back,
    )


def _of_render(render: Render) -> tuple[HTTPStatus, str, str, bool]:
    if render.status is RenderStatus.FAILED:
        moderated = speaks_of_moderation(render.reason)
        todo = "Change the prompt before you try again. " if moderated else ""
        why = "Moderation refused it, so there" if moderated else "There"
        text = f"{why} is no video. {todo}The task's log says what a retry or a clear does and costs."
        return HTTPStatus.NOT_FOUND, "This render failed", text, False
    if render.status is RenderStatus.SUCCEED:
        text = "The render is finished, but the API gave no link to its video."
        return HTTPStatus.SERVICE_UNAVAILABLE, "No link yet", text, True
    text = "It is not finished yet; as soon as it is, this page leads to the video."
    return HTTPStatus.OK, "The video is being rendered", text, True


def _of_error(error: KlingError, kling_conn_id: str) -> tuple[HTTPStatus, str, str, bool]:
    match error:
        case RenderNotFound():
            text = (
                "A new one may take a minute to be known, an old one is forgotten. If the task has saved its video, it "
                "is still there."
            )
            return HTTPStatus.NOT_FOUND, "The API does not know this render", text, False
        case AuthenticationFailed():
            text = (
                f"The render is untouched. Have the key of the connection {kling_conn_id!r} corrected in Admin > "
                "Connections, then open this page again."
            )
            return HTTPStatus.BAD_GATEWAY, "The API refuses the key", text, False
        case InvalidConnection():
            text = "The render is untouched. Have the connection corrected in Admin > Connections."
            return HTTPStatus.BAD_REQUEST, "The connection can't be used", text, False
        case VideoUnavailable():
            text = "The render is finished, but a link that is not https is not followed."
            return HTTPStatus.BAD_GATEWAY, "The API gave no usable link", text, False
        case RateLimited():
            text = "It wants fewer questions. The render is untouched."
            return HTTPStatus.SERVICE_UNAVAILABLE, "The API asks for a pause", text, True
    text = "The render is untouched, and its task goes on as it would."
    return HTTPStatus.BAD_GATEWAY, "The API can't be asked now", text, True
