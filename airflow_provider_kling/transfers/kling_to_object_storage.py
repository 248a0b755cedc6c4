"""A render that anybody has bought, by its id, into the user's storage."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider_kling.links import KlingVideoLink, push_link

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from airflow_provider_kling.card import Display
    from airflow_provider_kling.hooks.kling import KlingHook
    from airflow_provider_kling.targets import Target


class KlingToObjectStorageOperator(BaseOperator):
    """Saves the video of a finished render; never buys one.

    The render may have been bought by another task, another system, a killed task, or by an uncertain submit whose id
    was found in the account. Put `KlingRenderSensor` before it when the render may still be going on. A retry goes on
    where nothing is lost: the same video at the target is found and left as it is.

    :param kling_task_id: the render's id at the API
    :param path: local path or object-storage URL of the MP4
    :param storage_conn_id: Airflow connection of the object storage; default None
    :param overwrite: replace what is at the path already; default False: something else there fails the task
    :param write_manifest: write the manifest to `{path}.json` too; default False
    :param expected_duration: seconds that the video must play, to within one; default None: not checked
    :param kling_conn_id: Airflow connection of type `kling`; default `kling_default`
    """

    template_fields: Sequence[str] = ("kling_task_id", "path", "storage_conn_id", "expected_duration", "kling_conn_id")
    operator_extra_links = (KlingVideoLink(),)
    ui_color = "#e8e3f6"

    def __init__(
        self,
        *,
        kling_task_id: str,
        path: str | os.PathLike[str],
        storage_conn_id: str | None = None,
        overwrite: bool = False,
        write_manifest: bool = False,
        expected_duration: float | str | None = None,
        kling_conn_id: str = "kling_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.kling_task_id = kling_task_id
        self.path = str(path) if isinstance(path, os.PathLike) else path
        self.storage_conn_id = storage_conn_id
        self.overwrite = overwrite
        self.write_manifest = write_manifest
        self.expected_duration = expected_duration
        self.kling_conn_id = kling_conn_id
        self.render_id: str | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Fetch, verify and publish the video.

        :param context: Airflow's task context
        :returns: the manifest
        :raises InvalidRequest: an id or a length that can't be one
        :raises InvalidTarget: a path that can't be written to, or that another mapped task writes to
        :raises RenderFailed: when the render did not end with a video
        :raises VideoUnavailable: when it could not be fetched or published now; a retry tries again
        """
        from airflow_provider_kling.card import Display

        with Display(self, context) as display:
            return display.done(self._execute(context, display))

    def _execute(self, context: Context, display: Display) -> dict[str, Any]:
        from airflow_provider_kling.api.errors import VideoUnavailable
        from airflow_provider_kling.assets import hand_on, write_manifest
        from airflow_provider_kling.exceptions import not_delivered
        from airflow_provider_kling.manifest import build_manifest
        from airflow_provider_kling.saving import save

        target, seconds = self._check(context)
        hook, task_id = self._hook(), str(self.render_id)
        display.bought(task_id)
        self._look(hook, task_id)
        try:
            render, saved = save(lambda: hook.get_render(task_id), target, overwrite=self.overwrite, seconds=seconds)
            manifest = build_manifest(render, saved=saved)
            if self.write_manifest:
                write_manifest(manifest, target)
        except VideoUnavailable as error:
            raise not_delivered(error, task_id, retry="watches") from error.__cause__
        hand_on(context, self, hook, manifest, target)
        return manifest

    def _check(self, context: Context) -> tuple[Target, float | None]:
        """Find every mistake before anything is fetched."""
        from airflow_provider_kling.api.errors import InvalidConnection, InvalidRequest
        from airflow_provider_kling.api.models import check_task_id
        from airflow_provider_kling.claims import claim
        from airflow_provider_kling.exceptions import InvalidTarget, submit_failed
        from airflow_provider_kling.targets import InvalidPath, Target

        target = Target(self.path, self.storage_conn_id, "path")
        try:
            self.render_id = check_task_id(self.kling_task_id)
            push_link(self, context["ti"])
            seconds = _seconds(self.expected_duration)
            self._hook().account()
            target.check()
            if self.write_manifest:
                target.beside(".json").check()
            claim(context, target)
        except (InvalidRequest, InvalidConnection) as error:
            raise submit_failed(error) from None
        except InvalidPath as error:
            raise InvalidTarget(f"{error}. Nothing was fetched. Correct it and clear the task.") from None
        return target, seconds

    def _look(self, hook: KlingHook, task_id: str) -> None:
        """Fail at once when there is no video to wait for; a question that broke is asked again later."""
        from airflow_provider_kling.api.errors import AuthenticationFailed, KlingError, RenderNotFound
        from airflow_provider_kling.api.models import RenderStatus
        from airflow_provider_kling.api.waiting import Outcome, judge
        from airflow_provider_kling.exceptions import WATCHING, VideoUnavailable, waiting_failed

        try:
            render = hook.get_render(task_id)
        except (AuthenticationFailed, RenderNotFound) as error:  # nobody knows yet whether it is rendered and paid
            wrong_key = isinstance(error, AuthenticationFailed)
            fix = "Correct the key in the connection." if wrong_key else "Look whether the id is one of this account."
            raise VideoUnavailable(
                f"The video of render {task_id} was not fetched: {error.message.rstrip('.: ')}. {fix} {WATCHING}",
                task_id=task_id,
                reason=error.reason,
                http_status=error.http_status,
            ) from None
        except KlingError:
            return
        verdict = judge(render)
        if verdict and verdict.outcome is not Outcome.SUCCEEDED:
            raise waiting_failed(verdict, task_id, retry="watches")
        if render.status is not RenderStatus.SUCCEED:
            raise VideoUnavailable(
                f"Render {task_id} is not finished ({render.raw_status}). It is paid and goes on: let a "
                f"KlingRenderSensor wait for it before this task. {WATCHING}",
                task_id=task_id,
            )

    def _hook(self) -> KlingHook:
        from airflow_provider_kling.hooks.kling import KlingHook

        return KlingHook(self.kling_conn_id)


def _seconds(value: float | str | None) -> float | None:
    """A length as a number; templates render to strings."""
    from airflow_provider_kling.api.errors import InvalidRequest

    if value in (None, "", "None"):  # a list can't be in a set
        return None
    try:
        seconds = float(str(value))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise InvalidRequest(f"expected_duration={value!r}: must be a number of seconds above 0")
    return seconds
