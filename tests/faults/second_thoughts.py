"""A person clears the task or marks it failed, at every point of a render's life."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from events import event
from killed_tasks import AGAIN_FREE, GOES_ON

from airflow_provider_kling.simulator import faults

if TYPE_CHECKING:
    from case import Case


@event("clear while rendering", posts=1, delivered=1, state="success", says=GOES_ON, quick=True)
def cleared_while_rendering(case: Case) -> None:
    case.simulator.hold()
    case.start()
    case.until_waiting()
    case.clear()
    case.simulator.wait_for(lambda sim: sim.polls > 2, timeout=120)


@event("clear while rendering, the task waits on its worker", posts=1, delivered=1, state="success", says=GOES_ON)
def cleared_while_waiting_on_the_worker(case: Case) -> None:
    case.simulator.hold()
    case.start("on_worker")
    case.simulator.wait_for(lambda sim: sim.polls, timeout=120)
    case.clear()
    case.until_second_attempt()


@event("clear after success", posts=2, delivered=1, state="success", says="the task was cleared after render")
def cleared_after_success(case: Case) -> None:
    case.start()
    case.ends("success")
    case.clear()


@event('clear after success with `on_clear="reuse"`', posts=1, delivered=1, state="success", says=AGAIN_FREE)
def cleared_after_success_to_reuse(case: Case) -> None:
    case.start("reusing")
    case.ends("success")
    case.clear()


@event(
    "clear after moderation refused the video", posts=2, delivered=1, state="success", says="a clear buys a new render"
)
def cleared_after_failure(case: Case) -> None:
    case.simulator.inject(faults.Fail("content policy violation"), on="render")
    case.start()
    case.ends("failed")
    case.clear()


@event(
    "clear after an uncertain submit",
    posts=2, delivered=1, state="success", says="a clear is consent to submit again", quick=True,
)  # fmt: skip
def cleared_after_an_uncertain_submit(case: Case) -> None:
    case.simulator.inject(faults.Drop(accept=True))
    case.start()
    case.ends("failed")
    case.clear()


@event(
    "clear while the POST is on its way",
    posts=2, delivered=1, state="success", says="a clear is consent to submit again",
)  # fmt: skip
def cleared_while_submitting(case: Case) -> None:
    case.simulator.inject(faults.Hang(60, accept=True))
    case.start()
    case.simulator.wait_for(lambda sim: sim.accepted, timeout=120)
    case.clear()
    case.simulator.wait_for(lambda sim: len(sim.accepted) == 2, timeout=120)


@event(
    "marked failed while deferred, then cleared",
    posts=1, delivered=1, state="success", says="It goes on and is paid: this API has no cancel",
)  # fmt: skip
def marked_failed_while_rendering(case: Case) -> None:
    case.simulator.hold()
    case.start()
    case.until_waiting()
    case.mark_failed()
    case.ends("failed")
    case.until_log_says("this API has no cancel")  # the triggerer notices a second or two later
    case.clear()
    case.until_second_attempt()


@event(
    "two attempts alive: the first is frozen before its intent, cleared, and wakes up after the second has submitted",
    posts=1, delivered=1, state="success", says="Submitting a new render",
)  # fmt: skip
def two_attempts_alive(case: Case) -> None:
    case.start(kill=("before the intent",), sig=signal.SIGSTOP)
    task = case.task_process()
    case.world.until("the task to freeze", lambda: task.status() == "stopped")
    supervisor = task.parent()
    supervisor.suspend()
    case.clear()
    case.simulator.wait_for(lambda sim: sim.accepted, timeout=180)
    supervisor.resume()
    task.resume()
    task.wait(60)
