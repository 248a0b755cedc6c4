"""What may happen to a task that buys renders, and what must become of it: the rows of the fault table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from case import Case

Company = Literal["together", "alone", "long"]
"""Most events share one Airflow; some break it for all others, and one takes so long that it runs beside everything."""


@dataclass(frozen=True)
class Row:
    """What became of one task.

    :param posts: POSTs that the service accepted: what was bought
    :param delivered: videos that lie whole where `save_to` says
    :param state: Airflow's final state
    :param says: what must stand in the task's log
    """

    posts: int
    delivered: int
    state: str
    says: str


@dataclass(frozen=True)
class Event:
    """One row, and the script that makes it happen.

    :param what: the event in words
    :param expected: what must become of the task
    :param script: starts the task and does the damage
    :param company: what may run at the same time
    :param quick: whether it belongs to the subset of every test run
    """

    what: str
    expected: Row
    script: Callable[[Case], None]
    company: Company
    quick: bool


EVENTS: list[Event] = []


def event(
    what: str,
    *,
    posts: int,
    delivered: int,
    state: str,
    says: str,
    company: Company = "together",
    quick: bool = False,
) -> Callable[[Callable[[Case], None]], Callable[[Case], None]]:
    """Make a function the script of an event; see :class:`Row` and :class:`Event`."""

    def register(script: Callable[[Case], None]) -> Callable[[Case], None]:
        EVENTS.append(Event(what, Row(posts, delivered, state, says), script, company, quick))
        return script

    return register


HEAD = "| event | POSTs accepted | videos delivered | final state | the log says |\n|---|---|---|---|---|"


def line(event: Event, row: Row) -> str:
    """One row of the table in Markdown."""
    return f"| {event.what} | {row.posts} | {row.delivered} | {row.state} | {row.says.splitlines()[0]} |"
