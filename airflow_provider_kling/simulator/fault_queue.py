"""Which fault meets which request."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_kling.simulator import faults

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_kling.simulator.faults import Fault


@dataclass
class _Waiting:
    fault: Fault
    on: str
    times: int | None
    prompt: str | None
    after: int

    def concerns(self, on: str, prompts: Iterable[str], finished: bool) -> bool:
        if self.on != on or (getattr(self.fault, "finished_only", False) and not finished):
            return False
        return self.prompt is None or any(self.prompt in prompt for prompt in prompts)


class FaultQueue:
    """Faults in the order in which they were injected. Thread safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []

    def add(self, fault: Fault, *, on: str, times: int | None, prompt: str | None, after: int) -> None:
        """Line up a fault; see ``KlingSimulator.inject``."""
        name = type(fault).__name__
        if on not in fault.stages:
            raise ValueError(f"{name} makes no sense on={on!r}; use on={' or '.join(sorted(fault.stages))}")
        if getattr(fault, "accept", False) and on != "submit":
            raise ValueError(f"{name}(accept=True) makes sense only on='submit'")
        if prompt is not None and not getattr(fault, "read_request", True):
            raise ValueError(f"{name}(read_request=False) never reads the prompt it should look for")
        if after < 0 or (times is not None and times < 1):
            raise ValueError("times must be at least 1 (or None), after at least 0")
        with self._lock:
            self._waiting.append(_Waiting(fault, on, times, prompt, after))

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._waiting.clear()

    def take(self, on: str, prompts: Iterable[str] = (), *, finished: bool = False) -> Fault | None:
        """Return the fault for this request, if any, and use it up by one.

        :param on: the stage of the request.
        :param prompts: the prompts of the render it is about; none by default.
        :param finished: whether that render is finished; False by default.
        """
        prompts = tuple(prompts)
        with self._lock:
            chosen: _Waiting | None = None
            for waiting in self._waiting:
                if not waiting.concerns(on, prompts, finished):
                    continue
                if waiting.after:  # every fault counts for itself, whoever takes this request
                    waiting.after -= 1
                elif chosen is None:
                    chosen = waiting
            return self._use(chosen)

    def take_unread(self, on: str) -> Fault | None:
        """Return the fault that strikes before the body is read, if it is this request's turn.

        :param on: the stage of the request.
        """
        with self._lock:
            ready = (waiting for waiting in self._waiting if waiting.on == on and not waiting.after)
            first = next(ready, None)
            if first is None or getattr(first.fault, "read_request", True):
                return None
            return self._use(first)

    def _use(self, chosen: _Waiting | None) -> Fault | None:
        if chosen is None:
            return None
        if chosen.times is not None:
            chosen.times -= 1
            if not chosen.times:
                self._waiting.remove(chosen)
        return chosen.fault


def by_name(name: str, **parameters: Any) -> Fault:
    """Return the fault of that class name, as ``POST /simulator/faults`` asks for it.

    :param name: one of ``faults.__all__``.
    :param parameters: those of that class.
    :raises ValueError: if there is no such fault or it has no such parameters.
    """
    if name not in faults.__all__:
        raise ValueError(f"there is no fault {name!r}")
    try:
        fault: Fault = getattr(faults, name)(**parameters)
    except TypeError as error:
        raise ValueError(str(error)) from None
    return fault
