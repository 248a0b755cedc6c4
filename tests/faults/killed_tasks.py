"""The task's process dies: SIGKILL at each step of a purchase."""

from __future__ import annotations

from typing import TYPE_CHECKING

from events import event

from airflow_provider_kling.simulator import faults

if TYPE_CHECKING:
    from case import Case

GOES_ON = "already: going on with it"
AGAIN_FREE = "was delivered before: delivering it again, free"
UNCERTAIN = "It is unknown whether this render was bought. It is not sent again by itself"
UNRECORDED = "If its log names a render, KlingRenderSensor can fetch it by that id"


@event(
    "SIGKILL of the task before the intent",
    posts=1, delivered=1, state="success", says="Submitting a new render", quick=True,
)  # fmt: skip
def killed_before_the_intent(case: Case) -> None:
    case.start(kill=("before the intent",))


@event(
    "SIGKILL of the task between intent and POST",
    posts=0, delivered=0, state="failed", says=UNCERTAIN, quick=True,
)  # fmt: skip
def killed_between_intent_and_post(case: Case) -> None:
    case.start(kill=("between intent and POST",))


@event(
    "SIGKILL of the task after the POST was accepted, before its answer is read",
    posts=1, delivered=0, state="failed", says=UNCERTAIN, quick=True,
)  # fmt: skip
def killed_before_the_answer(case: Case) -> None:
    case.simulator.inject(faults.Hang(60, accept=True), times=None)
    case.start()
    case.simulator.wait_for(lambda sim: sim.accepted, timeout=120)
    case.task_process().kill()


@event(
    "SIGKILL of the task between answer and record",
    posts=1, delivered=0, state="failed", says=UNRECORDED, quick=True,
)  # fmt: skip
def killed_between_answer_and_record(case: Case) -> None:
    case.start(kill=("between answer and record",))


@event(
    "SIGKILL of the task between record and defer",
    posts=1, delivered=1, state="success", says=GOES_ON, quick=True,
)  # fmt: skip
def killed_between_record_and_defer(case: Case) -> None:
    case.start(kill=("between record and defer",))


@event(
    "SIGKILL of the task as it resumes, before it fetches the video",
    posts=1, delivered=1, state="success", says=GOES_ON,
)  # fmt: skip
def killed_on_resume(case: Case) -> None:
    case.start(kill=("on resume",))


@event(
    "SIGKILL of the task in the middle of the download",
    posts=1, delivered=1, state="success", says=GOES_ON,
)  # fmt: skip
def killed_during_the_save(case: Case) -> None:
    case.simulator.inject(faults.Stall(0.5, 60), on="download")
    case.start()
    case.simulator.wait_for(lambda sim: sim.downloads, timeout=180)
    case.task_process().kill()


@event(
    "SIGKILL of the task between save and done",
    posts=1, delivered=1, state="success", says=GOES_ON,
)  # fmt: skip
def killed_between_save_and_done(case: Case) -> None:
    case.start(kill=("between save and done",))


@event(
    "SIGKILL of the task between done and success",
    posts=1, delivered=1, state="success", says=AGAIN_FREE, quick=True,
)  # fmt: skip
def killed_between_done_and_success(case: Case) -> None:
    case.start(kill=("between done and success",))


@event(
    "SIGKILL of a task that waits on its worker (`deferrable=False`)",
    posts=1, delivered=1, state="success", says=GOES_ON,
)  # fmt: skip
def killed_while_waiting_on_the_worker(case: Case) -> None:
    case.simulator.hold()
    case.start("on_worker")
    case.simulator.wait_for(lambda sim: sim.polls, timeout=120)
    case.task_process().kill()


@event(
    "SIGTERM of a task that waits on its worker",
    posts=1, delivered=1, state="success", says="It goes on and is paid: this API has no cancel",
)  # fmt: skip
def terminated_while_waiting_on_the_worker(case: Case) -> None:
    case.simulator.hold()
    case.start("on_worker")
    case.simulator.wait_for(lambda sim: sim.polls, timeout=120)
    case.task_process().terminate()
    case.world.until("the task's word", lambda: "this API has no cancel" in case.log())


@event(
    "20 mapped renders, SIGKILL of every second task at some step",
    posts=20, delivered=20, state="success", says=GOES_ON,
)  # fmt: skip
def killed_every_second_of_a_crowd(case: Case) -> None:
    steps = ("before the intent", "between record and defer", "on resume", "between save and done")
    case.start("mapped", kill=(*steps, "between done and success"))
    case.until_state("success", "failed", timeout=600)
