"""The end of a render: its video fetched, stored, described and handed on."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_kling.api.errors import KlingError, VideoUnavailable
from airflow_provider_kling.exceptions import not_delivered
from airflow_provider_kling.ledger import Phase
from airflow_provider_kling.manifest import NO_LINK, build_manifest, link_fields
from airflow_provider_kling.targets import Target

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_kling.api.models import Render, TextToVideo
    from airflow_provider_kling.hooks.kling import KlingHook
    from airflow_provider_kling.ledger import Ledger, Record
    from airflow_provider_kling.operators.kling import KlingTextToVideoOperator
    from airflow_provider_kling.saving import Saved

log = logging.getLogger(__name__)

_BOUGHT = ("model", "prompt", "multi_prompt", "duration", "aspect_ratio", "sound", "submitted_at")
"""What a manifest says about the purchase; the operator may say something else by now."""


def deliver(
    operator: KlingTextToVideoOperator,
    hook: KlingHook,
    context: Context,
    ledger: Ledger,
    *,
    task_id: str,
    request: TextToVideo | None,
) -> dict[str, Any]:
    """Fetch the video, save it where the operator says, hand it on, and note that it is done.

    :param operator: the operator
    :param hook: leads to its connection
    :param context: Airflow's task context
    :param ledger: what this task instance has bought
    :param task_id: the finished render
    :param request: what was asked for; None when that is not known any more
    :returns: the manifest
    :raises VideoUnavailable: when it could not be fetched or stored; a retry tries again and pays nothing
    """
    from airflow_provider_kling.assets import hand_on, write_manifest

    target = target_of(operator)
    try:
        render, saved = _fetch(hook, task_id, target)
        manifest = build_manifest(
            render,
            request=request,
            model=operator.model,
            submitted_at=ledger.record.submitted_at if ledger.record else None,
            saved=saved,
        )
        earlier = (ledger.record and ledger.record.manifest) or {}
        manifest |= {name: earlier[name] for name in _BOUGHT if name in earlier}
        if target and operator.write_manifest:
            write_manifest(manifest, target)
    except VideoUnavailable as error:
        delivered = ledger.record and ledger.record.phase is Phase.DONE
        clear_buys = operator.on_clear == "render" if delivered else None
        raise not_delivered(error, task_id, retry=ledger.retry, clear_buys=clear_buys) from error.__cause__
    ledger.advance(Phase.DONE, manifest=manifest | NO_LINK)
    if target:
        _check_length(operator, manifest, saved)
        hand_on(context, operator, hook, manifest, target)
    return manifest


def deliver_again(
    operator: KlingTextToVideoOperator,
    hook: KlingHook,
    context: Context,
    ledger: Ledger,
    *,
    record: Record,
    request: TextToVideo,
) -> dict[str, Any]:
    """Hand out once more what was delivered before, free; written to is only what does not hold the video yet.

    A saved video is what counts, and its old link is dead; without one the link is all there is to hand out.

    :param operator: the operator
    :param hook: leads to its connection
    :param context: Airflow's task context
    :param ledger: what this task instance has bought
    :param record: of the render that was delivered
    :param request: what the operator asks for now
    :returns: the manifest
    :raises VideoUnavailable: when a target that does not hold the video could not be written to
    """
    from airflow_provider_kling.assets import hand_on

    manifest, task_id = dict(record.manifest or {}), str(record.task_id)
    operator.log.info("Render %s was delivered before: delivering it again, free.", task_id)
    target = target_of(operator)
    if target is None or not _is_saved(manifest, target):
        if manifest.get("saved_to"):
            operator.log.info("It was saved to %s before.", manifest["saved_to"])
        return deliver(operator, hook, context, ledger, task_id=task_id, request=request)
    hand_on(context, operator, hook, manifest, target)
    try:
        return manifest | link_fields(hook.get_render(task_id))
    except KlingError:
        return manifest | NO_LINK


def target_of(operator: KlingTextToVideoOperator) -> Target | None:
    """Where an operator saves to; None when it only hands out the link.

    :param operator: the operator
    """
    return None if operator.save_to is None else Target(str(operator.save_to), operator.storage_conn_id)


def _fetch(hook: KlingHook, task_id: str, target: Target | None) -> tuple[Render, Saved | None]:
    from airflow_provider_kling import fetching, saving

    if target is None:
        return fetching.ask_for_link(lambda: hook.get_render(task_id)), None
    return saving.save(lambda: hook.get_render(task_id), target)


def _is_saved(manifest: dict[str, Any], target: Target) -> bool:
    """Whether the video of a manifest still is at a target."""
    if manifest.get("saved_to") != target.name:
        return False
    try:
        return target.holds(size=manifest.get("bytes"), sha256=manifest.get("sha256"))
    except PermissionError:  # whoever may write need not be allowed to read
        return True
    except Exception as error:  # noqa: BLE001  # any store's own; then it is written once more
        log.warning("Could not look whether %s is still there (%s).", target.name, type(error).__name__)
        return False


def _check_length(operator: KlingTextToVideoOperator, manifest: dict[str, Any], saved: Saved | None) -> None:
    """A video of the wrong length is what was paid for: it is delivered, and told."""
    wanted, plays = manifest["duration"], saved.seconds if saved else None
    if wanted and plays and abs(plays - wanted) > 1:
        operator.log.warning("The video plays for %.1f s, %s s were asked for.", plays, wanted)
