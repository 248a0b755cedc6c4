"""Handing a saved video on: asset events, lineage, and the manifest beside the object."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_kling._compat import get_hook_lineage_collector
from airflow_provider_kling.manifest import NO_LINK
from airflow_provider_kling.saving import publish_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import BaseHook, BaseOperator, Context

    from airflow_provider_kling.targets import Target

log = logging.getLogger(__name__)


def hand_on(context: Context, operator: BaseOperator, hook: BaseHook, manifest: dict[str, Any], target: Target) -> None:
    """Tell Airflow of a published video; a paid and saved video never fails of it.

    Every asset among the task's outlets gets the extra; every asset alias gets an asset of the object's URL with it.

    :param context: Airflow's task context
    :param operator: whose outlets are meant
    :param hook: what lineage names as the writer
    :param manifest: of the video
    :param target: where it is
    """
    from airflow.sdk import Asset, AssetAlias

    extra = asset_extra(manifest)
    for outlet in operator.outlets:
        with _tolerating(f"the asset event of {outlet!r}"):
            event = context["outlet_events"][outlet]
            if isinstance(outlet, AssetAlias):
                event.add(Asset(target.uri), extra=extra)
            else:
                event.extra.update(extra)
    with _tolerating("its lineage"):
        get_hook_lineage_collector().add_output_asset(context=hook, uri=target.uri, asset_extra=extra)


@contextlib.contextmanager
def _tolerating(what: str) -> Iterator[None]:
    try:
        yield
    except Exception:
        log.exception("The video is saved, but %s could not be given.", what)


def asset_extra(manifest: dict[str, Any]) -> dict[str, Any]:
    """What an asset event tells of a video: no prompt and no link, as events are kept and shown for long.

    :param manifest: of the video
    """
    request = manifest["prompt"] or manifest["multi_prompt"]
    words = request if isinstance(request, str) else json.dumps(request, sort_keys=True, ensure_ascii=False)
    return {
        **{name: manifest[name] for name in ("task_id", "model", "duration", "bytes", "sha256")},
        "prompt_sha256": hashlib.sha256(words.encode()).hexdigest() if request else None,
    }


def write_manifest(manifest: dict[str, Any], target: Target) -> None:
    """Write the manifest beside the object, without the link, which dies within the hour; or log why not.

    :param manifest: of the video
    :param target: where the video is
    """
    with _tolerating(f"its manifest {target.name}.json"):
        publish_text(json.dumps(manifest | NO_LINK, indent=2, ensure_ascii=False) + "\n", target.beside(".json"))
