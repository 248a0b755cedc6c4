"""Waits for a render that was bought elsewhere."""

from __future__ import annotations

import contextlib
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_provider_kling._compat import AirflowSensorTimeout
from airflow_provider_kling.links import KlingVideoLink, push_link

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from airflow_provider_kling.api.waiting import Verdict
    from airflow_provider_kling.card import Display
    from airflow_provider_kling.hooks.kling import KlingHook

_BACKSTOP = 300.0


class KlingRenderSensor(BaseSensorOperator):
    """Waits until a render is finished and returns its manifest; it buys nothing, whatever happens.

    For a render that another task, another system or a killed task submitted. `timeout`, `mode`, `poke_interval`,
    `soft_fail` and `never_fail` mean what they mean for every sensor; `mode` and `poke_interval` only matter with
    `deferrable=False`.

    :param kling_task_id: the render's id at the API
    :param kling_conn_id: Airflow connection of type `kling`; default `kling_default`
    :param deferrable: wait in the triggerer (default) or by poking
    """

    template_fields: Sequence[str] = ("kling_task_id", "kling_conn_id")
    operator_extra_links = (KlingVideoLink(),)
    ui_color = "#e8e3f6"

    def __init__(
        self, *, kling_task_id: str, kling_conn_id: str = "kling_default", deferrable: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.kling_task_id = kling_task_id
        self.kling_conn_id = kling_conn_id
        self.deferrable = deferrable
        self.render_id: str | None = None

    def execute(self, context: Context) -> Any:
        """Wait for the render.

        :param context: Airflow's task context
        :returns: the manifest
        :raises KlingException: when the render did not end with a video
        """
        from airflow_provider_kling.card import Display

        with Display(self, context) as display:
            manifest = self._execute(context, display)
            return display.done(manifest) if manifest else None

    def _execute(self, context: Context, display: Display) -> Any:
        from airflow_provider_kling.api.errors import AuthenticationFailed, InvalidConnection, InvalidRequest
        from airflow_provider_kling.api.models import check_task_id
        from airflow_provider_kling.api.waiting import Outcome
        from airflow_provider_kling.exceptions import submit_failed
        from airflow_provider_kling.triggers.kling import KlingRenderTrigger

        try:
            task_id = self.kling_task_id = self.render_id = check_task_id(self.kling_task_id)
            push_link(self, context["ti"])
            self._hook().account()
        except (InvalidRequest, InvalidConnection) as error:
            raise submit_failed(error) from None
        display.bought(task_id)
        if not self.deferrable:
            return super().execute(context)
        with contextlib.suppress(AuthenticationFailed):  # the trigger reads the connection again before it gives up
            verdict = self._ask()
            if verdict and verdict.outcome is Outcome.SUCCEEDED:  # nobody need wait
                return self._finish(verdict)
        now = time.time()
        self.defer(
            trigger=KlingRenderTrigger(
                kling_conn_id=self.kling_conn_id,
                kling_task_id=task_id,
                submitted_at=now,
                deadline=now + self.timeout,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout + _BACKSTOP),
        )
        return None

    def execute_complete(self, context: Context, event: Any = None) -> dict[str, Any]:
        """Take over from the trigger.

        :param context: Airflow's task context
        :param event: what the trigger fired
        :returns: the manifest
        """
        from airflow_provider_kling.card import Display
        from airflow_provider_kling.triggers.kling import read_event

        self.render_id, verdict = read_event(event)
        with Display(self, context, resumed=True) as display:
            return display.done(self._finish(verdict))

    def poke(self, context: Context) -> PokeReturnValue:
        """Ask once.

        :param context: Airflow's task context
        """
        from airflow_provider_kling.api.errors import AuthenticationFailed
        from airflow_provider_kling.api.waiting import Outcome, Verdict

        try:
            verdict = self._ask()
        except AuthenticationFailed as error:
            verdict = Verdict(Outcome.AUTHENTICATION_FAILED, error.reason)
        return PokeReturnValue(is_done=bool(verdict), xcom_value=self._finish(verdict) if verdict else None)

    def _ask(self) -> Verdict | None:
        """Ask once: how waiting ended, or None to ask again."""
        from airflow_provider_kling.api.errors import AuthenticationFailed, KlingError, RenderNotFound
        from airflow_provider_kling.api.waiting import judge

        try:
            return judge(self._hook().get_render(self.kling_task_id))
        except AuthenticationFailed:
            raise
        except RenderNotFound as error:
            self.log.warning(
                "%s. Look whether the id is one of this account; asking again, as a new render may take a while to be "
                "known.",
                error.message.rstrip("."),
            )
        except KlingError as error:
            self.log.warning("%s; asking again.", error.message.rstrip("."))
        return None

    def _finish(self, verdict: Verdict) -> dict[str, Any]:
        from airflow_provider_kling.api.errors import VideoUnavailable
        from airflow_provider_kling.api.waiting import Outcome
        from airflow_provider_kling.exceptions import not_delivered, waiting_failed
        from airflow_provider_kling.fetching import ask_for_link
        from airflow_provider_kling.manifest import build_manifest

        if verdict.outcome is Outcome.SUCCEEDED:
            try:
                render = ask_for_link(lambda: self._hook().get_render(self.kling_task_id))
            except VideoUnavailable as error:
                raise not_delivered(error, self.kling_task_id, retry="watches") from None
            return build_manifest(render)
        failure = waiting_failed(verdict, self.kling_task_id, retry="watches")
        if verdict.outcome is Outcome.TIMED_OUT:
            raise AirflowSensorTimeout(str(failure))
        raise failure

    def _hook(self) -> KlingHook:
        from airflow_provider_kling.hooks.kling import KlingHook

        return KlingHook(self.kling_conn_id)
