"""The fault table: each event happens in a real Airflow, and the simulator is the witness of what was bought."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
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
