"""A part of Airflow itself dies or hangs; each of these has the Airflow for itself."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from events import event
from killed_tasks import GOES_ON

from airflow_provider_kling.simulator import faults

if TYPE_CHECKING:
    from case import Case

FIRST, SECOND = "triggerer", "triggerer-2"
SAVED = "Saved render"


def _waits_in_the_first_triggerer(case: Case) -> None:
    """Have the render watched by the first triggerer, with the second one running."""
    case.simulator.hold()
    case.airflow.kill(SECOND, signal.SIGKILL)
    case.start()
    case.until_waiting()
    case.restart(SECOND)


@event(
    "SIGKILL of the triggerer, a second one is running",
    posts=1, delivered=1, state="success", says=SAVED, company="alone",
)  # fmt: skip
def triggerer_killed_beside_another(case: Case) -> None:
    _waits_in_the_first_triggerer(case)
    case.airflow.kill(FIRST, signal.SIGKILL)
    case.until_asked_again()
    case.restart(FIRST)


@event(
    "SIGKILL of all triggerers, the render ends, one triggerer comes back",
    posts=1, delivered=1, state="success", says=SAVED, company="alone",
)  # fmt: skip
def all_triggerers_killed(case: Case) -> None:
    _waits_in_the_first_triggerer(case)
    for name in (FIRST, SECOND):
        case.airflow.kill(name, signal.SIGKILL)
    case.simulator.finish()
    case.restart(FIRST)
    case.ends("success")
    case.restart(SECOND)


@event(
    "SIGSTOP of the triggerer for 45 s, then SIGCONT, a second one is running",
    posts=1, delivered=1, state="success", says="this API has no cancel", company="alone",
)  # fmt: skip
def triggerer_frozen(case: Case) -> None:
    _waits_in_the_first_triggerer(case)
    case.airflow.kill(FIRST, signal.SIGSTOP)
    case.world.pause(45)
    case.airflow.kill(FIRST, signal.SIGCONT)
    case.until_asked_again()
    case.world.until("the frozen triggerer to let go", lambda: "this API has no cancel" in case.log())


@event("the scheduler is killed while rendering", posts=1, delivered=1, state="success", says=SAVED, company="alone")
def scheduler_killed(case: Case) -> None:
    case.simulator.hold()
    case.start()
    case.until_waiting()
    case.airflow.kill("scheduler", signal.SIGKILL)
    case.simulator.finish()
    case.restart("scheduler")


@event(
    "the scheduler is killed with its workers, a task waits on one of them",
    posts=1, delivered=1, state="success", says=GOES_ON, company="alone",
)  # fmt: skip
def scheduler_killed_with_its_workers(case: Case) -> None:
    case.simulator.hold()
    case.start("on_worker")
    case.simulator.wait_for(lambda sim: sim.polls, timeout=120)
    case.airflow.kill("scheduler", signal.SIGKILL)
    case.restart("scheduler")
    case.until_second_attempt()


@event(
    "the API server is killed for 60 s while rendering",
    posts=1, delivered=1, state="success", says=SAVED, company="alone",
)  # fmt: skip
def api_server_killed(case: Case) -> None:
    case.start("unhurried")
    case.until_waiting()
    _without_api_server(case)


@event(
    "the same, and all retries are used up by it; cleared afterwards",
    posts=1, delivered=1, state="success", says=GOES_ON, company="alone",
)  # fmt: skip
def api_server_killed_for_too_long(case: Case) -> None:
    case.start()
    case.until_waiting()
    _without_api_server(case)
    case.ends("failed")
    case.clear()


@event(
    "the API server is killed for 20 s between POST and answer",
    posts=1, delivered=1, state="success", says=SAVED, company="alone",
)  # fmt: skip
def api_server_killed_before_the_record(case: Case) -> None:
    case.simulator.inject(faults.Delay(3))
    case.start("unhurried")
    case.simulator.wait_for(lambda sim: sim.accepted, timeout=120)
    _without_api_server(case, 20)


def _without_api_server(case: Case, seconds: float = 60) -> None:
    case.airflow.kill("api-server", signal.SIGKILL)
    case.world.pause(seconds)
    case.restart("api-server")


@event(
    "PostgreSQL is restarted while rendering, and so are the parts of Airflow that end without it",
    posts=1, delivered=1, state="success", says=SAVED, company="alone",
)  # fmt: skip
def postgres_restarted(case: Case) -> None:
    case.simulator.hold()
    case.start("unhurried")
    case.until_waiting()
    case.world.postgres.stop()
    case.world.pause(10)
    case.world.postgres.start()
    case.world.mend()
    case.until_asked_again()
