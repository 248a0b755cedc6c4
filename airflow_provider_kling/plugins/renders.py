"""What the pages ask for: the renders that a person may see, and how much they come to.

A person may see them who may see the XComs of their DAGs, as in Airflow's own list of XComs.
"""

from __future__ import annotations

from collections.abc import Collection  # noqa: TC003  # FastAPI reads these annotations
from dataclasses import asdict
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep  # noqa: TC002  # the same
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import AfterValidator, BeforeValidator
from starlette.exceptions import HTTPException

from airflow_provider_kling.api.answers import TASK_ID
from airflow_provider_kling.links import VideoAddress
from airflow_provider_kling.plugins import catalogue
from airflow_provider_kling.plugins.cards import read_card, read_json, read_text
from airflow_provider_kling.plugins.pages import HEADERS
from airflow_provider_kling.plugins.roots import previewable, read_roots

if TYPE_CHECKING:
    from airflow_provider_kling.plugins.roots import Root

_MOST = 100
"""Renders in one answer."""
_LARGEST = 2**31 - 1
"""What a database takes for a whole number."""


def _refuse_nul(request: Request) -> None:
    """PostgreSQL takes no NUL; this comes before Airflow asks the database about the DAG."""
    if any("\0" in value for value in request.query_params.values()):
        raise HTTPException(HTTPStatus.BAD_REQUEST)


router = APIRouter(
    prefix="/api",
    dependencies=[Depends(_refuse_nul), Depends(requires_access_dag("GET", DagAccessEntity.XCOM))],
)


def _readable(user: GetUserDep) -> Collection[str]:
    """The DAGs that the person may read. Airflow's own dependency for it works in Airflow's own app only."""
    return get_auth_manager().get_authorized_dag_ids(user=user, method="GET")


def _in_utc(moment: datetime) -> datetime:
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        raise ValueError("beyond all calendars") from None


_or_nothing = BeforeValidator(lambda value: value or None)
"""An empty field of a form is no filter."""
Moment = Annotated[datetime, AfterValidator(_in_utc)]


def _wanted(  # noqa: PLR0917  # FastAPI calls it by name
    readable: Annotated[Collection[str], Depends(_readable)],
    dag_id: str | None = None,
    state: Annotated[catalogue.State | None, _or_nothing] = None,
    text: Annotated[str | None, Query(max_length=2500)] = None,
    since: Annotated[Moment | None, _or_nothing] = None,
    until: Annotated[Moment | None, _or_nothing] = None,
) -> catalogue.Wanted:
    return catalogue.Wanted(readable=readable, dag_id=dag_id, state=state, text=text, since=since, until=until)


WantedDep = Annotated[catalogue.Wanted, Depends(_wanted)]


@router.get("/renders")
def renders(
    session: SessionDep,
    wanted: WantedDep,
    limit: Annotated[int, Query(ge=1, le=_MOST)] = 24,
    offset: Annotated[int, Query(ge=0, le=_LARGEST)] = 0,
) -> Response:
    """A page of cards, the youngest first.

    :param session: of the metadata database
    :param wanted: which renders are meant
    :param limit: how many at most, 1 to 100; default 24
    :param offset: how many to skip; default 0
    """
    roots = read_roots()
    found = catalogue.page(session, wanted, limit=limit, offset=offset)
    total = catalogue.count(session, wanted)
    listed = [_describe(render, roots) for render in found]
    return _answer({"renders": listed, "total": total, "limit": limit, "offset": offset})


@router.get("/totals")
def totals(session: SessionDep, wanted: WantedDep) -> Response:
    """How much the renders come to, and all DAGs that have some, whatever the filter.

    :param session: of the metadata database
    :param wanted: which renders are meant
    """
    dags = catalogue.dag_ids(session, wanted.readable)
    return _answer({**catalogue.totals(session, wanted)._asdict(), "dags": dags})


@router.get("/render")
def render(
    session: SessionDep,
    dag_id: str,
    run_id: str,
    task_id: str,
    map_index: Annotated[
        int,
        # Airflow leaves the placeholder of a tab's address as it is when the task is not mapped.
        BeforeValidator(lambda value: -1 if value == "{MAP_INDEX}" else value),
        Query(ge=-1, le=_LARGEST),
    ] = -1,
) -> Response:
    """One card.

    :param session: of the metadata database
    :param dag_id: of the task instance
    :param run_id: of the task instance
    :param task_id: of the task instance
    :param map_index: of the task instance; default -1: not mapped
    """
    found = catalogue.one(session, dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=map_index)
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return _answer(_describe(found, read_roots()))


def _describe(found: catalogue.Found, roots: tuple[Root, ...]) -> dict[str, Any]:
    card = read_card(found.card)
    ids = {name: getattr(found, name) for name in ("dag_id", "run_id", "task_id", "map_index")}
    why_no_preview = _why_no_preview(card, roots)
    return {
        **ids,
        "dag_display_name": found.dag_display_name,
        "try_number": found.try_number,
        "state": catalogue.state_of(found.ti_state),
        "ti_state": found.ti_state,
        "card": card,
        "preview": None if why_no_preview else f"preview?{urlencode(ids)}",
        "why_no_preview": why_no_preview,
        "video": _video(found, ids),
    }


def _why_no_preview(card: dict[str, Any] | None, roots: tuple[Root, ...]) -> str | None:
    if not card or not card["saved_to"]:
        return "not_saved"
    if not roots:
        return "off"
    return None if previewable(card["saved_to"], roots) else "outside"


def _video(found: catalogue.Found, ids: dict[str, Any]) -> str | None:
    """The page that leads to the service's own link: by the link that the task pushed, never by its card."""
    address = VideoAddress.read(read_text(read_json(found.link)) or "")
    if address is None or not TASK_ID.fullmatch(address.render_id):
        return None
    fields = asdict(address)
    return f"video?{urlencode(fields)}" if fields | ids == fields else None


def _answer(content: dict[str, Any]) -> Response:
    return JSONResponse(content, headers=HEADERS)
