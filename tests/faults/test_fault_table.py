"""The fault table: each event happens in a real Airflow, and the simulator is the witness of what was bought."""

from __future__ import annotations

from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tripwire
from events import EVENTS, HEAD, Event, Row, line

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future


@pytest.mark.airflow
@pytest.mark.needs_task_state_store
@pytest.mark.timeout(1500)
def test_each_event_ends_as_the_table_says(
    event: Event, rows: dict[str, Future[Row]], record_property: Callable[[str, str], None]
) -> None:
    row = rows[event.script.__name__].result()
    record_property("row", line(event, row))
    assert row == event.expected


def test_the_documented_table_is_this_one() -> None:
    documented = (Path(__file__).parent / "README.md").read_text().splitlines()
    rows = [row for row in documented if row.startswith("|")]
    assert rows == [*HEAD.splitlines(), *(line(each, each.expected) for each in EVENTS)]


@pytest.mark.parametrize("step", list(tripwire.STEPS))
def test_every_tripwire_has_something_to_be_tied_to(step: str) -> None:
    module, _, path = tripwire.STEPS[step][1].partition(":")
    assert callable(attrgetter(path)(import_module(f"{tripwire.PACKAGE}.{module}")))
