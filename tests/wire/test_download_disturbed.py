"""Workers that are killed, have no room, or write to one place at once: a reader always finds a whole file."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import lone_worker
import pytest
from films import film as make_film

from airflow_provider_kling import saving, targets
from airflow_provider_kling.api.account import Account
from airflow_provider_kling.api.client import KlingClient
from airflow_provider_kling.api.errors import VideoUnavailable
from airflow_provider_kling.api.models import TextToVideo
from airflow_provider_kling.renaming import move
from airflow_provider_kling.saving import save
from airflow_provider_kling.simulator.downloads import FilmStore
from airflow_provider_kling.targets import Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_kling.api.models import Render
    from airflow_provider_kling.simulator import KlingSimulator
    from airflow_provider_kling.simulator.rules import Order

    Ask = Callable[[], Render]

pytestmark = [
    pytest.mark.kling_simulator(render_seconds=1e6, speed=1),
    pytest.mark.usefixtures("no_pauses"),
]
SIZE = 1_000_000


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where an older video is already."""
    (tmp_path / "fox.mp4").write_bytes(b"older")
    return tmp_path / "fox.mp4"


def work(simulator: KlingSimulator, task_id: str, target: Path, trouble: str) -> subprocess.CompletedProcess[str]:
    """A worker process of its own, to its end."""
    told = {"base_url": simulator.base_url, "api_key": simulator.api_key, "task_id": task_id}
    command = [sys.executable, str(lone_worker.__file__), json.dumps({**told, "path": str(target), "trouble": trouble})]
    home = Path(saving.__file__).parent.parent
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "PYTHONPATH": str(home)}
    )


@pytest.mark.parametrize(
    ("moment", "left"),
    [("while fetching", b"older"), ("before publishing", b"older"), ("after publishing", make_film(SIZE))],
)
def test_a_killed_worker_leaves_no_part_under_the_final_name_and_a_retry_saves(
    ask: Ask, kling_simulator: KlingSimulator, *, target: Path, long_film: bytes, moment: str, left: bytes
) -> None:
    killed = work(kling_simulator, ask().task_id, target, f"killed {moment}")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert target.read_bytes() == left
    abandoned = [path for path in target.parent.iterdir() if path != target]
    assert len(abandoned) == 1
    assert [path.name for path in target.parent.glob("*") if not path.name.startswith(".")] == ["fox.mp4"]
    _, saved = save(ask, Target(str(target)))
    assert target.read_bytes() == long_film
    assert saved.sha256 == hashlib.sha256(long_film).hexdigest()
    assert abandoned[0].exists()  # it may belong to a worker that is alive
    for path in (*abandoned[0].iterdir(), abandoned[0]):
        os.utime(path, times=(0, time.time() - 90_000))
    save(ask, Target(str(target)))
    assert list(target.parent.iterdir()) == [target]


def test_a_disk_that_fills_up_in_the_middle_is_told_and_leaves_nothing(
    ask: Ask, kling_simulator: KlingSimulator, target: Path, long_film: bytes
) -> None:
    told = work(kling_simulator, ask().task_id, target, "no room for a large file")
    assert told.stdout.splitlines()[-1] == f"the video could not be kept in {target.parent} (File too large)", (
        told.stderr
    )
    assert [(path, path.read_bytes()) for path in target.parent.iterdir()] == [(target, b"older")]
    assert kling_simulator.downloads == 1
    assert work(kling_simulator, ask().task_id, target, "").stdout.split()[-1] == hashlib.sha256(long_film).hexdigest()


class TestTwoAtOnce:
    """Two workers with different videos, who come to the last step at the same time."""

    FILMS: ClassVar = {"a": make_film(300_000, seed=1), "b": make_film(200_000, seed=2)}

    @pytest.fixture
    def asks(self, kling_simulator: KlingSimulator, monkeypatch: pytest.MonkeyPatch) -> list[Ask]:
        def film(_: FilmStore, model: str, order: Order) -> bytes:
            return self.FILMS[order.prompts[0]]

        monkeypatch.setattr(FilmStore, "film", film)
        client = KlingClient(Account(kling_simulator.api_key, base_url=kling_simulator.base_url))
        bought = [client.submit(TextToVideo(prompt=prompt, duration=3)) for prompt in self.FILMS]
        kling_simulator.finish()
        return [lambda task_id=task_id: client.get_render(task_id) for task_id in bought]  # type: ignore[misc]

    @pytest.fixture(autouse=True)
    def _together(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nobody takes the last step before both are there."""
        both = threading.Barrier(2, timeout=20)

        def move_together(file: Path, to: Path, *, overwrite: bool) -> None:
            both.wait()
            move(file, to, overwrite=overwrite)

        monkeypatch.setattr(targets, "move", move_together)

    @staticmethod
    def _save(asks: list[Ask], target: Path, *, overwrite: bool) -> list[str]:
        """What each of them ended with: its hash, or why not."""

        def attempt(ask: Ask) -> str:
            try:
                return save(ask, Target(str(target)), overwrite=overwrite)[1].sha256
            except VideoUnavailable as error:
                return error.message

        with ThreadPoolExecutor(2) as workers:
            return list(workers.map(attempt, asks))

    def test_one_replaces_the_other_and_a_reader_never_sees_a_part(self, asks: list[Ask], target: Path) -> None:
        hashes = [hashlib.sha256(film).hexdigest() for film in self.FILMS.values()]
        seen: set[bytes] = set()
        over = threading.Event()

        def read() -> None:
            while not over.is_set():
                seen.add(target.read_bytes())

        reader = threading.Thread(target=read)
        reader.start()
        try:
            for turn in range(3):
                older = target.with_name(f"older-{turn}")
                older.write_bytes(b"older")
                older.replace(target)
                assert self._save(asks, target, overwrite=True) == hashes
        finally:
            over.set()
            reader.join()
        assert seen <= {b"older", *self.FILMS.values()}
        assert target.read_bytes() in self.FILMS.values()
        assert list(target.parent.iterdir()) == [target]

    def test_when_nothing_may_be_replaced_the_first_one_stays(self, asks: list[Ask], tmp_path: Path) -> None:
        target = tmp_path / "new.mp4"
        ends = self._save(asks, target, overwrite=False)
        (winner,) = (end for end in ends if " " not in end)
        (loser,) = (end for end in ends if " " in end)
        assert hashlib.sha256(target.read_bytes()).hexdigest() == winner
        assert loser.startswith(f"save_to='{target}' holds something else, which is left as it is")
        assert list(tmp_path.iterdir()) == [target]

    def test_when_both_bring_the_same_video_both_are_content(self, asks: list[Ask], tmp_path: Path) -> None:
        target = tmp_path / "new.mp4"
        ends = self._save([asks[0], asks[0]], target, overwrite=False)
        assert ends == [hashlib.sha256(target.read_bytes()).hexdigest()] * 2
        assert list(tmp_path.iterdir()) == [target]
