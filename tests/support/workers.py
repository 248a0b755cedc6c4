"""Workers that can be stopped at any step, die there, or outlive their task instance."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from greenlet import greenlet  # type: ignore[import-untyped]  # comes with Airflow
from task_runs import FakeTaskStateStore, Journal, WorkerCrash

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_kling.simulator import KlingSimulator


class Worker:
    """One process.

    :param work: what it does
    """

    def __init__(self, work: Callable[[], Any]) -> None:
        self.over = False
        self.at: str | None = None
        self.returned: Any = None
        self.raised: BaseException | None = None
        self._work = work
        self._strand = greenlet(self._run)
        self._steps = math.inf
        self._dies = False

    def go(self, steps: float = math.inf, *, dies: bool = False) -> None:
        """Let it work to its end, or for some steps; then it stops or dies."""
        self.at, self._steps, self._dies = None, steps, dies
        self._strand.switch()

    def reach(self, step: str) -> None:
        """Stop or die here, if it is time."""
        self._steps -= 1
        if self._steps > 0:
            return
        self.at = step
        if not self._dies:
            self._strand.parent.switch()
        if self._dies and self._steps <= 0:
            raise WorkerCrash(step)

    def _run(self) -> None:
        try:
            self.returned = self._work()
        except BaseException as error:  # noqa: BLE001
            self.raised = error
        self.over = True


class Steps(Journal):
    """A journal at each of whose entries its worker can be stopped."""

    def __init__(self, simulator: KlingSimulator, worker: Worker) -> None:
        super().__init__(simulator)
        self._worker = worker

    def _die(self, when: str, entry: str) -> None:
        self._worker.reach(f"{when} {entry}")


class WorkersStore(FakeTaskStateStore):
    """The task state store as one worker sees it: Airflow 3.3 neither hears nor answers a worker it has given up.

    :param steps: the worker's journal
    :param database: the rows that all workers of the task instance share
    :param trouble: what is wrong with the store just now
    :param recorded: told of each row that is really written
    """

    def __init__(
        self,
        steps: Steps,
        database: dict[str, str],
        trouble: Callable[[], str | None],
        recorded: Callable[[str], None],
    ) -> None:
        super().__init__(steps)
        self.rows = database
        self.archived = False
        self.failed = False
        self._trouble, self._recorded = trouble, recorded

    def get(self, key: str, default: Any = None) -> Any:
        self._fail_if("can't be read")
        return default if self.archived else super().get(key, default)

    def set(self, key: str, value: Any, *, retention: object = None) -> None:
        row = json.dumps(value)
        self.journal.write(value["phase"], lambda: self._change(key, row))

    def delete(self, key: str) -> None:
        self.journal.write("delete", lambda: self._change(key, None))

    def _change(self, key: str, row: str | None) -> None:
        self._fail_if("can't be written")
        self.failed |= self._trouble() == "drops writes"
        if self.archived or self._trouble() == "drops writes":
            return
        if row is None:
            self.rows.pop(key, None)
        else:
            self.rows[key] = row
            self._recorded(row)
        self._fail_if("writes, but says it did not")

    def _fail_if(self, trouble: str) -> None:
        if self._trouble() == trouble:
            self.failed = True
            raise ConnectionError(f"the store {trouble}")
