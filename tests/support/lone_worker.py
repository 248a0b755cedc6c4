"""A worker process that saves one video and meets its trouble on the way: `python lone_worker.py '<json>'`."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_kling import fetching
from airflow_provider_kling.api.account import Account
from airflow_provider_kling.api.client import KlingClient
from airflow_provider_kling.api.errors import VideoUnavailable
from airflow_provider_kling.api.video import Download, open_video
from airflow_provider_kling.saving import save
from airflow_provider_kling.targets import Target

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

publish = Target.publish


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@contextlib.contextmanager
def open_and_die(*args: Any, **kwargs: Any) -> Iterator[Download]:
    """Die when about half of the video is written."""

    def chunks(video: Download) -> Iterator[bytes]:
        come = 0
        for chunk in video.chunks:
            come += len(chunk)
            yield chunk
            if come > (video.piece.total or 0) // 2:
                die()

    with open_video(*args, **kwargs) as video:
        yield Download(video.piece, chunks(video))


def publish_and_die(target: Target, file: Path, *, overwrite: bool = True) -> None:
    publish(target, file, overwrite=overwrite)
    die()


def run(base_url: str, api_key: str, task_id: str, path: str, trouble: str) -> None:
    """Save, and say how it ended."""
    patch = pytest.MonkeyPatch()
    match trouble:
        case "killed while fetching":
            patch.setattr(fetching, "open_video", open_and_die)
        case "killed before publishing":
            patch.setattr(Target, "publish", die)
        case "killed after publishing":
            patch.setattr(Target, "publish", publish_and_die)
        case "no room for a large file":
            resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
    with KlingClient(Account(api_key, base_url=base_url)) as client:
        try:
            _, saved = save(lambda: client.get_render(task_id), Target(path))
        except VideoUnavailable as error:
            print(error.message)
        else:
            print(saved.sha256)


if __name__ == "__main__":
    run(**json.loads(sys.argv[1]))
