"""The demo as a user runs it: one command, one 4K file, no process left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
import uuid
from typing import TYPE_CHECKING

import av
import psutil  # type: ignore[import-untyped]  # comes with Airflow
import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(400)]


class Demo:
    """A running demo, known by a mark in the environment that all its children inherit."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.mark = uuid.uuid4().hex
        command = [sys.executable, "-m", "airflow_provider_kling.demo", "--output", str(folder), *arguments]
        env = os.environ | {"KLING_TEST_MARK": self.mark, "TMPDIR": str(folder)}
        self.process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def read_until(self, words: str) -> str:
        """All that it prints up to a line with these words."""
        assert self.process.stdout
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if words in line:
                return "".join(lines)
        raise AssertionError(f"the demo ended before it said {words!r}")

    def finish(self) -> tuple[int, str]:
        output, _ = self.process.communicate(timeout=300)
        return self.process.returncode, output

    def left_behind(self) -> list[str]:
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("KLING_TEST_MARK") == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(" ".join(process.cmdline()))
            except psutil.Error:
                continue
        return found


def test_the_demo_makes_a_4k_video_shows_it_and_leaves_nothing_running(tmp_path: Path) -> None:
    demo = Demo(tmp_path, "--duration", "3", "--sound", "--prompt", 'It\'s $5 "quoted" \u96ea', "--keep")
    output = demo.read_until("Ctrl-C stops it")
    for words in ("submitted, task_id", "rendering", "deferred", "saved"):
        assert words in output
    (video,) = tmp_path.glob("*.mp4")
    assert str(video) in output
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", 3840, 2160)
        assert container.duration == 3 * av.time_base
        assert len(container.streams.audio) == 1
    (airflow,) = re.findall(r"(http://127\.0\.0\.1:\d+)/plugin/kling-renders", output)
    assert shown_by(airflow) == video.read_bytes()
    demo.process.send_signal(signal.SIGINT)
    assert demo.finish()[0] == 130
    assert demo.left_behind() == []


def shown_by(airflow: str) -> bytes:
    """The video that the gallery plays."""

    def ask(path: str, token: str = "") -> bytes:
        request = urllib.request.Request(f"{airflow}{path}", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return bytes(answer.read())

    token = json.loads(ask("/auth/token"))["access_token"]
    (render,) = json.loads(ask("/kling/api/renders", token))["renders"]
    return ask(f"/kling/{render['preview']}", token)


@pytest.mark.parametrize("moment", ["starting Airflow", "Airflow is healthy"])
def test_ctrl_c_leaves_nothing_running(tmp_path: Path, moment: str) -> None:
    demo = Demo(tmp_path)
    demo.read_until(moment)
    demo.process.send_signal(signal.SIGINT)
    code, output = demo.finish()
    assert code == 130, output
    assert demo.left_behind() == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--duration", "2"], r"duration='2': must be a whole number of seconds from 3 to 15"),
        (["--aspect-ratio", "4:3"], r"aspect_ratio='4:3'"),
        (["--prompt", "  "], r"prompt='  '"),
    ],
)
def test_a_mistake_is_told_before_anything_starts(tmp_path: Path, arguments: list[str], words: str) -> None:
    code, output = Demo(tmp_path, *arguments).finish()
    assert code == 2
    assert re.search(words, output)
    assert "Traceback" not in output
