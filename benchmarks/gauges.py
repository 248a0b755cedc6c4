"""What a process can read off itself while it polls: lag of its event loop, CPU, memory, and what it had planned."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

_NAP = 0.01
Plan = tuple[str, float, float]
"""A task, when it went to sleep (time.monotonic), and for how many seconds: then it is due to ask."""


class LagGauge:
    """A task that sleeps 10 ms over and over and notes how much later it woke; use it in an `async with` block."""

    def __init__(self) -> None:
        self.lags: list[tuple[float, float]] = []
        """When it woke (time.monotonic), and how many seconds late."""

    async def __aenter__(self) -> LagGauge:
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _watch(self) -> None:
        while True:
            due = time.monotonic() + _NAP
            await asyncio.sleep(_NAP)
            self.lags.append(((now := time.monotonic()), now - due))

    def between(self, begin: float, end: float) -> list[float]:
        """Seconds late, sorted, of all that was noted in a span of time.

        :param begin: time.monotonic
        :param end: time.monotonic
        """
        return sorted(lag for at, lag in self.lags if begin <= at <= end)


class Planner:
    """Notes every sleep of a poller, under the name of the asyncio task that sleeps, which is the render's id."""

    def __init__(self) -> None:
        self.plans: list[Plan] = []

    async def sleep(self, delay: float, result: Any = None) -> Any:
        """`asyncio.sleep`, noted."""
        task = asyncio.current_task()
        self.plans.append((task.get_name() if task else "", time.monotonic(), delay))
        return await asyncio.sleep(delay, result)

    @contextlib.contextmanager
    def listening_to(self, module: ModuleType) -> Iterator[None]:
        """Note the sleeps that a module's code asks for as `asyncio.sleep`.

        :param module: the module of the poll loop
        """
        before = module.asyncio
        module.asyncio = SimpleNamespace(**{**vars(asyncio), "sleep": self.sleep})
        try:
            yield
        finally:
            module.asyncio = before


class MemoryGauge:
    """How far the resident memory of this process grows above where it stands now, in bytes."""

    def __init__(self) -> None:
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
        self._before = self._read("VmRSS")

    def growth(self) -> int:
        """Highest point so far, less the start."""
        return self._read("VmHWM") - self._before

    @staticmethod
    def _read(name: str) -> int:
        line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(f"{name}:"))
        return int(line.split()[1]) * 1024
