"""The page behind the link "Video": it asks the API how the render stands, and leads to the video.

A person may see it who may see the XComs of the DAG, and only through the very link that the task instance has
pushed: so nobody can ask about another DAG's render, or through another connection.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from airflow_provider_kling.api.answers import TASK_ID
from airflow_provider_kling.api.errors import InvalidConnection, KlingError, PollFailed
from airflow_provider_kling.api.models import RenderStatus
from airflow_provider_kling.api.video import download_host
from airflow_provider_kling.hooks.kling import KlingHook
from airflow_provider_kling.links import PAGE, KlingVideoLink, VideoAddress
from airflow_provider_kling.plugins.pages import HEADERS, Page, describe

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from airflow_provider_kling.api.account import Account
    from airflow_provider_kling.api.models import Render

_PATIENCE = 20.0
"""Seconds that a person waits for a page."""

router = APIRouter()


@router.get(PAGE, dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.XCOM))])
async def video(asked: Annotated[VideoAddress, Depends()]) -> Response:
    """Lead to the video, or say why there is none.

    :param asked: whose render
    """
    if not TASK_ID.fullmatch(asked.render_id):
        return _show(HTTPStatus.BAD_REQUEST, "That is no render", "The link holds nothing that could be a render's id.")
    if await asyncio.to_thread(_pushed_link, asked) != asked:
        return _show(
            HTTPStatus.NOT_FOUND,
            "This link is not the task's",
            "The task has gone on to another attempt, or the link is not complete. Open it from the task's page.",
        )
    answer: Render | KlingError
    try:
        async with asyncio.timeout(_PATIENCE):
            answer = await _ServerHook(asked.kling_conn_id).aget_render(asked.render_id)
        if answer.status is RenderStatus.SUCCEED and answer.video_url and download_host(answer.video_url):
            return RedirectResponse(answer.video_url, HTTPStatus.SEE_OTHER, headers=HEADERS)
    except KlingError as error:
        answer = error
    except TimeoutError:
        answer = PollFailed(f"no answer within {_PATIENCE:.0f} s", task_id=asked.render_id)
    page = describe(answer, asked)
    return HTMLResponse(page.html(), page.status, headers=HEADERS)


def _show(status: HTTPStatus, title: str, text: str) -> Response:
    return HTMLResponse(Page(status=status, title=title, text=text).html(), status, headers=HEADERS)


def _pushed_link(asked: VideoAddress) -> VideoAddress | None:
    """The address that the asked-for task instance has pushed as its link; blocks."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select
    from sqlalchemy.exc import SQLAlchemyError

    query = select(XComModel.value).where(
        XComModel.dag_id == asked.dag_id,
        XComModel.run_id == asked.run_id,
        XComModel.task_id == asked.task_id,
        XComModel.map_index == asked.map_index,
        XComModel.key == KlingVideoLink().xcom_key,
    )
    try:
        with create_session(scoped=False) as session:
            return VideoAddress.read(str(session.scalar(query)))
    except (SQLAlchemyError, OverflowError):  # ids that no database would take
        return None


class _ServerHook(KlingHook):
    """For the API server, whose event loop must stay free, and where a person chooses the connection."""

    @classmethod
    def get_connection(cls, conn_id: str) -> Connection:
        connection = super().get_connection(conn_id)
        if connection.conn_type != cls.conn_type:  # another service's password must not go to this API
            raise InvalidConnection(f"Connection {conn_id!r} is not of type {cls.conn_type!r}.")
        return connection

    async def aaccount(self) -> Account:
        return await asyncio.to_thread(self.account)
