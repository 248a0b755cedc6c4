"""The service or the network misbehaves: answers that are lost, unreadable, late, or not what one hoped for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from events import event
from killed_tasks import GOES_ON, UNCERTAIN

from airflow_provider_kling.simulator import faults

if TYPE_CHECKING:
    from case import Case


@event(
    "connection reset after the POST was accepted",
    posts=1, delivered=0, state="failed", says=UNCERTAIN, quick=True,
)  # fmt: skip
def reset_after_accept(case: Case) -> None:
    case.simulator.inject(faults.Drop(accept=True))
    case.start()


@event("502 after the POST was accepted", posts=1, delivered=0, state="failed", says=UNCERTAIN)
def bad_gateway_after_accept(case: Case) -> None:
    case.simulator.inject(faults.BadGateway(accept=True))
    case.start()


@event("read time-out after the POST was accepted", posts=1, delivered=0, state="failed", says=UNCERTAIN)
def time_out_after_accept(case: Case) -> None:
    case.simulator.inject(faults.Hang(300, accept=True))
    case.start()


@event("200 with garbage after the POST was accepted", posts=1, delivered=0, state="failed", says=UNCERTAIN)
def garbage_after_accept(case: Case) -> None:
    case.simulator.inject(faults.Garbage(accept=True))
    case.start()


@event(
    'a lost answer with `on_uncertain_submit="resubmit"`',
    posts=2, delivered=1, state="success",
    says="on_uncertain_submit='resubmit': a retry or a clear submits again, which may buy a second time.",
)  # fmt: skip
def resubmitted_after_a_lost_answer(case: Case) -> None:
    case.simulator.inject(faults.Drop(accept=True))
    case.start("resubmitting")


@event(
    "429 five times, then fine",
    posts=1, delivered=1, state="success", says="without using up a retry or holding a worker",
)  # fmt: skip
def rate_limited_five_times(case: Case) -> None:
    case.simulator.inject(faults.RateLimited(retry_after=1), times=5)
    case.start()


@event(
    "moderation refuses the prompt, `retries=3`",
    posts=0, delivered=0, state="failed",
    says="Nothing was bought. It is not retried: change the prompt and clear the task.",
)  # fmt: skip
def moderated_prompt(case: Case) -> None:
    case.simulator.inject(faults.ErrorBody(400, "ILLEGAL_PROMPT", "the prompt is illegal"), times=None)
    case.start()


@event(
    "moderation refuses the video, `retries=3`",
    posts=1, delivered=0, state="failed",
    says="The API does not say whether it is charged. It is not retried; a clear buys a new render.",
)  # fmt: skip
def moderated_video(case: Case) -> None:
    case.simulator.inject(faults.Fail("Failure to pass the risk control system"), on="render", times=None)
    case.start()


@event(
    "the service fails to render once",
    posts=2, delivered=1, state="success",
    says="The API does not say whether it is charged. A retry or a clear buys a new render.",
)  # fmt: skip
def failed_once(case: Case) -> None:
    case.simulator.inject(faults.Fail("internal worker error"), on="render")
    case.start()


@event(
    "the API is down for 5 minutes while rendering",
    posts=1, delivered=1, state="success", says="asking again", company="long",
)  # fmt: skip
def api_down_for_five_minutes(case: Case) -> None:
    case.simulator.hold()
    case.start()
    case.until_waiting()
    case.simulator.stop()
    case.world.pause(300)
    case.simulator.start()


@event("the key is rotated while rendering", posts=1, delivered=1, state="success", says="asking again")
def key_rotated(case: Case) -> None:
    case.simulator.hold()
    case.start()
    case.until_waiting()
    case.rotate_key()


@event(
    "`timeout` passes, the task is retried",
    posts=1, delivered=1, state="success",
    says="It is paid and may still finish. A retry or a clear goes on with the same render and pays nothing.",
)  # fmt: skip
def timed_out_and_retried(case: Case) -> None:
    case.simulator.hold()
    case.start("impatient")
    case.until_second_attempt()


@event("the prompt changes between two attempts", posts=2, delivered=1, state="success", says="the inputs changed")
def prompt_changed(case: Case) -> None:
    case.start(kill=("between record and defer",), prompts=("a fox", "a wolf"))


@event(
    "an attempt dies, and its render is finished when the next one starts",
    posts=1, delivered=1, state="success", says=GOES_ON,
)  # fmt: skip
def finished_while_the_task_was_down(case: Case) -> None:
    case.simulator.hold()
    case.start(kill=("between record and defer",))
    case.simulator.wait_for(lambda sim: sim.accepted, timeout=120)
    case.simulator.finish()
