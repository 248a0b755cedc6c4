"""The end of a render: its video fetched, stored and described."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_kling.api.errors import KlingError, VideoUnavailable
from airflow_provider_kling.exceptions import not_delivered
from airflow_provider_kling.ledger import Phase
from airflow_provider_kling.manifest import NO_LINK, build_manifest, link_fields
from airflow_provider_kling.saving import is_saved

if TYPE_CHECKING:
    from airflow_provider_kling.api.models import TextToVideo
    from airflow_provider_kling.hooks.kling import KlingHook
    from airflow_provider_kling.ledger import Ledger, Record
    from airflow_provider_kling.operators.kling import KlingTextToVideoOperator


_BOUGHT = ("model", "prompt", "multi_prompt", "duration", "aspect_ratio", "sound", "submitted_at")
"""What a manifest says about the purchase; the operator may say something else by now."""


def deliver(
    operator: KlingTextToVideoOperator, hook: KlingHook, ledger: Ledger, task_id: str, request: TextToVideo | None
) -> dict[str, Any]:
    """Fetch the video, save it where the operator says, and note that it is done.

    :param operator: the operator
    :param hook: leads to its connection
    :param ledger: what this task instance has bought
    :param task_id: the finished render
    :param request: what was asked for; None when that is not known any more
    :returns: the manifest
    :raises VideoUnavailable: when it could not be fetched or stored; a retry tries again and pays nothing
    """
    from airflow_provider_kling import saving

    try:
        render, saved = saving.deliver(
            lambda: hook.get_render(task_id), operator.save_to, conn_id=operator.storage_conn_id
        )
    except VideoUnavailable as error:
        clear_buys = bool(ledger.record and ledger.record.phase is Phase.DONE and operator.on_clear == "render")
        raise not_delivered(error, task_id, retry=ledger.retry, clear_buys=clear_buys) from error.__cause__
    manifest = build_manifest(
        render,
        request=request,
        model=operator.model,
        submitted_at=ledger.record.submitted_at if ledger.record else None,
        saved=saved,
    )
    earlier = (ledger.record and ledger.record.manifest) or {}
    manifest |= {name: earlier[name] for name in _BOUGHT if name in earlier}
    ledger.advance(Phase.DONE, manifest=manifest | NO_LINK)
    if saved:
        operator.log.info("Saved render %s to %s: %s bytes, sha256 %s", task_id, saved.path, saved.size, saved.sha256)
    return manifest


def deliver_again(
    operator: KlingTextToVideoOperator, hook: KlingHook, ledger: Ledger, record: Record, request: TextToVideo
) -> dict[str, Any]:
    """Hand out once more what was delivered before, free; only a target that is new is written to.

    A saved video is what counts, and its old link is dead; without one the link is all there is to hand out.

    :param operator: the operator
    :param hook: leads to its connection
    :param ledger: what this task instance has bought
    :param record: of the render that was delivered
    :param request: what the operator asks for now
    :returns: the manifest
    :raises VideoUnavailable: when a new target could not be written to
    """
    manifest, task_id = dict(record.manifest or {}), str(record.task_id)
    operator.log.info("Render %s was delivered before: delivering it again, free.", task_id)
    if operator.save_to is None or not is_saved(manifest.get("saved_to"), operator.save_to):
        return deliver(operator, hook, ledger, task_id, request)
    try:
        return manifest | link_fields(hook.get_render(task_id))
    except KlingError:
        return manifest | NO_LINK
