"""The renders and their time: pure state, no network."""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_kling.simulator.faults import Fail, Never, RenderFault

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_kling.simulator.rules import Order

QUEUED_SHARE = 0.05
"""The part of its time that a render spends in the queue."""


@dataclass
class Task:
    """One render. ``fate`` is what will go wrong with it, if anything."""

    model: str
    order: Order
    accepted_at: float
    fate: RenderFault | None = None
    task_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    ended: bool = False


class Studio:
    """All renders. Thread safe.

    :param render_seconds: how long a render takes, in API seconds.
    :param speed: API seconds per second of ``clock``.
    :param clock: seconds that only grow; the monotonic clock by default.
    """

    def __init__(self, *, render_seconds: float, speed: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._render_seconds = render_seconds
        self._speed = speed
        self._clock = clock
        self._lock = threading.Lock()
        self._tasks: dict[str, Task] = {}
        self._held = False

    def accept(self, model: str, order: Order, fate: RenderFault | None) -> Task:
        """Begin a render.

        :param model: the slug.
        :param order: what was asked for.
        :param fate: what will go wrong, if anything.
        """
        with self._lock:
            task = Task(model, order, self._clock(), fate)
            self._tasks[task.task_id] = task
            return task

    def find(self, task_id: str) -> Task | None:
        """Return the task, or None if it was never accepted."""
        with self._lock:
            return self._tasks.get(task_id)

    def ended(self, task: Task) -> bool:
        """Tell whether the render has ended, well or not."""
        with self._lock:
            self._settle(task)
            return task.ended

    def describe(self, task: Task) -> dict[str, Any]:
        """Return the ``task`` object of the service's answer, eta in API seconds."""
        with self._lock:
            self._settle(task)
            status, percent, eta = self._progress(task)
            failed = status == "TASK_STATUS_FAILED" and isinstance(task.fate, Fail)
            return {
                "task_id": task.task_id,
                "status": status,
                "reason": task.fate.reason if failed and isinstance(task.fate, Fail) else "",
                "task_type": task.model.upper().replace("-", "_").replace(".", "_"),
                "eta": eta,
                "progress_percent": percent,
            }

    def finish(self, task_id: str | None) -> None:
        """End renders now.

        :param task_id: the render, KeyError if there is none; None ends all.
        """
        with self._lock:
            tasks = self._tasks.values() if task_id is None else [self._tasks[task_id]]
            for task in tasks:
                task.ended = not isinstance(task.fate, Never)

    def hold(self) -> None:
        """Let nothing end by time from now on."""
        with self._lock:
            for task in self._tasks.values():
                self._settle(task)  # what has ended by now stays ended
            self._held = True

    def release(self) -> None:
        """Let time end renders again; the time since ``hold()`` counts."""
        with self._lock:
            self._held = False

    def _elapsed(self, task: Task) -> float:
        return (self._clock() - task.accepted_at) * self._speed

    def _settle(self, task: Task) -> None:
        if not self._held and not isinstance(task.fate, Never):
            task.ended = task.ended or self._elapsed(task) >= self._render_seconds

    def _progress(self, task: Task) -> tuple[str, int, int]:
        if task.ended:
            # The real service reports 0 percent for finished renders, and so do we.
            return ("TASK_STATUS_FAILED" if isinstance(task.fate, Fail) else "TASK_STATUS_SUCCEED"), 0, 0
        elapsed = self._elapsed(task)
        share = elapsed / self._render_seconds if self._render_seconds else 1.0
        eta = max(0, round((self._render_seconds - elapsed) / self._speed))  # who asks waits by the clock on the wall
        if share < QUEUED_SHARE:
            return "TASK_STATUS_QUEUED", 0, eta
        return "TASK_STATUS_PROCESSING", max(1, min(99, int(share * 100))), eta
