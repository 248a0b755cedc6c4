"""The card of a task instance: the XCom `kling_render`, one small JSON object that the pages in Airflow's UI show.

It is written a few times in a render's life: at the submit, by the trigger while it renders, at the end. It is only
for people to look at: nothing is ever decided by it, and no render fails of it.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from asgiref.sync import sync_to_async

from airflow_provider_kling._compat import AirflowRescheduleException, AirflowSensorTimeout
from airflow_provider_kling.api.models import RenderStatus
from airflow_provider_kling.exceptions import ContentRejected, KlingException, RenderFailed, RenderLost
from airflow_provider_kling.manifest import Manifest, iso, request_fields

if TYPE_CHECKING:
    from types import TracebackType

    from airflow.sdk import BaseOperator, Context

    from airflow_provider_kling.api.models import Render, TextToVideo

log = logging.getLogger(__name__)

KEY = "kling_render"
_LONGEST = 2500
_STALE = 30.0
"""Seconds after which news from the triggerer are none: the task may have gone on, and told its end, meanwhile."""
_OVER = {RenderStatus.SUCCEED, RenderStatus.FAILED}


class Card(Manifest):
    """A manifest that has been begun, and how far it has come.

    `status` is the API's word, or one of SUBMITTED (it has not said any yet), WAITING (for its turn to be submitted),
    NOT_BOUGHT and UNCERTAIN.

    :param negative_prompt: what was to be avoided
    :param cfg_scale: how close to the prompt
    :param percent: 0 to 100, as the API says it
    :param elapsed: seconds from the submit to `updated_at`
    :param expected_at: when it should be finished
    :param rendering_at: when it was first seen rendering
    :param saved_at: when the video was saved
    :param created_at: when it was bought, or else when this card was begun
    :param updated_at: when this was written
    :param failure: what went wrong, whether it is paid, and what a retry or a clear does
    :param bought: "yes", "no" or "perhaps"
    :param kling_conn_id: Airflow connection of type `kling`
    """

    negative_prompt: str | None = None
    cfg_scale: float | None = None
    percent: float | None = None
    elapsed: float | None = None
    expected_at: str | None = None
    rendering_at: str | None = None
    saved_at: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    failure: str | None = None
    bought: str | None = None
    kling_conn_id: str | None = None


def updated(card: dict[str, Any], now: float, **changes: Any) -> dict[str, Any]:
    """A card with news, in the shape that is stored.

    :param card: as it was
    :param now: epoch seconds
    :param changes: fields to set
    :raises ValueError: when it is no card
    """
    new = Card.model_validate({**card, **changes})
    new.updated_at = iso(now)
    new.created_at = new.submitted_at or new.created_at or iso(now)
    if new.status == RenderStatus.PROCESSING:
        new.rendering_at = new.rendering_at or iso(now)
    if new.submitted_at:
        new.elapsed = round(now - datetime.fromisoformat(new.submitted_at).timestamp(), 1)
    return new.model_dump()


def is_over(card: dict[str, Any]) -> bool:
    """Whether a card tells an end, which nothing that is learned late may overwrite.

    :param card: as it is stored
    """
    return bool(card.get("failure") or card.get("saved_at") or card.get("status") in _OVER)


class Display:
    """The card of the task instance that this worker runs; a context manager that also shows how a run failed.

    :param operator: the task; with `do_xcom_push=False` nothing is shown
    :param context: Airflow's task context
    :param resumed: go on with what this attempt has shown before; default False
    """

    def __init__(self, operator: BaseOperator, context: Context, *, resumed: bool = False) -> None:
        self._operator, self._ti = operator, context["ti"]
        self._card: dict[str, Any] = {"kling_conn_id": getattr(operator, "kling_conn_id", None)}
        if resumed and operator.do_xcom_push:
            self._card |= self._shown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        if isinstance(error, KlingException | AirflowSensorTimeout):
            self.show(**self._failure(error))
        elif isinstance(error, AirflowRescheduleException) and not self._card.get("task_id"):
            self.show(status="WAITING", bought="no", **self._asked_for())

    def asked(self, request: TextToVideo, model: str) -> None:
        """Take in what is asked for, to be shown with the next news.

        :param request: what to render
        :param model: model slug
        """
        more = request.model_dump(include={"negative_prompt", "cfg_scale"})
        self._card |= {"model": model, **request_fields(request), **more}

    def bought(self, task_id: str, *, submitted_at: float | None = None) -> None:
        """Show that a render is bought.

        :param task_id: its id
        :param submitted_at: epoch seconds, when known
        """
        self.show(task_id=task_id, status="SUBMITTED", submitted_at=iso(submitted_at), bought="yes")

    async def tell(self, render: Render, expected: float | None, _: float) -> None:
        """Show how a render stands, from a worker that waits for it; see :func:`progress`."""
        self.show(**progress(render, expected))

    def finished(self) -> None:
        """Show that it is rendered; its video is being fetched."""
        self.show(status=RenderStatus.SUCCEED.value, finished_at=iso(time.time()), percent=None, expected_at=None)

    def done(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """Show the end.

        :param manifest: of the render; returned as it is
        """
        finished_at = manifest.get("finished_at") or self._card.get("finished_at")
        saved_at = iso(time.time()) if manifest.get("saved_to") else None
        self.show(**{**manifest, "finished_at": finished_at, "saved_at": saved_at})
        return manifest

    def show(self, **changes: Any) -> None:
        """Show news; never raises.

        :param changes: fields of :class:`Card`
        """
        if not self._operator.do_xcom_push:
            return
        try:
            self._card = updated(self._card, time.time(), **changes)
            self._ti.xcom_push(key=KEY, value=self._card)
        except Exception as error:  # noqa: BLE001  # a paid render never fails of it
            log.warning("Could not push the XCom %s (%s); the task goes on.", KEY, type(error).__name__)

    def _shown(self) -> dict[str, Any]:
        try:
            card = self._ti.xcom_pull(task_ids=self._ti.task_id, key=KEY, map_indexes=self._ti.map_index)
            return Card.model_validate(card or {}).model_dump()
        except Exception as error:  # noqa: BLE001  # somebody else may have written there
            log.debug("Could not read the XCom %s (%s).", KEY, type(error).__name__)
            return {}

    def _failure(self, error: Exception) -> dict[str, Any]:
        task_id = self._card.get("task_id") or getattr(error, "task_id", None)
        bought = getattr(error, "bought", "yes")
        changes = {"task_id": task_id, "failure": str(error)[:_LONGEST], "bought": bought, **self._asked_for()}
        if isinstance(error, RenderFailed | RenderLost | ContentRejected) and task_id:
            changes["status"] = RenderStatus.FAILED.value
        elif not task_id:
            changes["status"] = "NOT_BOUGHT" if bought == "no" else "UNCERTAIN"
        return changes

    def _asked_for(self) -> dict[str, Any]:
        """What is known when there was no request yet."""
        prompt = getattr(self._operator, "prompt", None)
        if isinstance(prompt, str) and not self._card.get("prompt") and not self._card.get("multi_prompt"):
            return {"prompt": prompt[:_LONGEST]}
        return {}


def progress(render: Render, expected: float | None) -> dict[str, Any]:
    """The fields of a card that change while it renders.

    :param render: what the API says
    :param expected: epoch seconds at which it should be finished, when known
    """
    return {"status": render.raw_status, "percent": render.progress_percent, "expected_at": iso(expected)}


async def tell(ti: Any, render: Render, expected: float | None, now: float) -> None:
    """Show from the triggerer, which knows no more of the task than its ids, how a render stands.

    It may take a while: the first message of a triggerer starts Airflow's API in it.

    :param ti: the trigger's task instance
    :param render: what the API says
    :param expected: epoch seconds at which it should be finished, when known
    :param now: epoch seconds at which the API said so
    :raises Exception: whatever Airflow does
    """
    # in a thread, as a custom XCom backend may block; by this way, as Airflow 3.1 finds its event loop by it only
    await sync_to_async(_tell, thread_sensitive=False)(ti, render, expected, now)


def _tell(ti: Any, render: Render, expected: float | None, now: float) -> None:
    from airflow.sdk.execution_time.xcom import XCom

    where = {"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": ti.task_id, "map_index": ti.map_index}
    card = XCom.get_one(key=KEY, **where)
    # a triggerer may have stood still until now, also while it asked; and a task may have bought another render
    is_late = time.time() - now > _STALE
    if not is_late and isinstance(card, dict) and card.get("task_id") == render.task_id and not is_over(card):
        XCom.set(key=KEY, value=updated(card, now, **progress(render, expected)), **where)
