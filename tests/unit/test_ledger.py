"""The decision table, written as a table, and what must hold for every record there can be."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_runs import FakeTaskInstance, FakeTaskStateStore, Journal

from airflow_provider_kling.api.waiting import Outcome, Verdict
from airflow_provider_kling.exceptions import LedgerUnavailable
from airflow_provider_kling.ledger import (
    Decision,
    Ledger,
    Phase,
    Reattach,
    Record,
    Refuse,
    Reuse,
    Submit,
    decide,
    reconsider,
)

if TYPE_CHECKING:
    from airflow_provider_kling.ledger import OnClear, OnUncertainSubmit

SAME, OTHER = "same", "other"


def _record(phase: Phase, fingerprint: str = SAME, generation: int = 3) -> Record:
    task_id = None if phase is Phase.INTENT else "abc"
    manifest = {"task_id": "abc"} if phase is Phase.DONE else None
    return Record(phase, generation, fingerprint, 2, task_id, 1.0 if task_id else None, manifest)


def _word(decision: Decision) -> str:
    """A decision in the words of the table."""
    match decision:
        case Submit(generation=1):
            return "submit"
        case Submit():
            return "submit anew"
        case Reattach(may_buy_anew=True):
            return "ask, buy anew if it failed"
        case Reattach():
            return "deliver, never buy"
        case Reuse():
            return "deliver again"
        case Refuse():
            return "refuse"


# record, its fingerprint, then: retry | retry with resubmit | cleared | cleared with on_clear="reuse"
TABLE = [
    (None, None, "submit", "submit", "submit", "submit"),
    (Phase.INTENT, SAME, "refuse", "submit anew", "submit anew", "submit anew"),
    (Phase.INTENT, OTHER, "refuse", "submit anew", "submit anew", "submit anew"),
    (Phase.SUBMITTED, SAME, *["ask, buy anew if it failed"] * 4),
    (Phase.SUBMITTED, OTHER, *["submit anew"] * 4),
    (Phase.RENDERED, SAME, *["deliver, never buy"] * 2, *["ask, buy anew if it failed"] * 2),
    (Phase.RENDERED, OTHER, *["deliver, never buy"] * 2, *["ask, buy anew if it failed"] * 2),
    (Phase.DONE, SAME, "deliver again", "deliver again", "submit anew", "deliver again"),
    (Phase.DONE, OTHER, "deliver again", "deliver again", "submit anew", "deliver again"),
    (Phase.FAILED, SAME, *["submit anew"] * 4),
    (Phase.FAILED, OTHER, *["submit anew"] * 4),
]


def test_what_moderation_refused_is_bought_anew_by_a_person_only() -> None:
    record = replace(_record(Phase.FAILED), moderated=True)
    flags: dict[str, Any] = {"on_uncertain_submit": "resubmit", "on_clear": "reuse"}
    assert decide(record, fingerprint=SAME, cleared=False, **flags) == Refuse(record)
    assert isinstance(decide(record, fingerprint=SAME, cleared=True, **flags), Submit)


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("may_buy_anew", [True, False])
def test_only_a_render_that_came_to_nothing_is_bought_anew_after_a_look(outcome: Outcome, may_buy_anew: bool) -> None:
    found = Reattach(_record(Phase.SUBMITTED), may_buy_anew=may_buy_anew)
    decision, verdict = reconsider(found, Verdict(outcome, "its reason"))
    if outcome not in {Outcome.FAILED, Outcome.LOST}:
        assert (decision, verdict) == (found, Verdict(outcome, "its reason"))
    elif may_buy_anew:
        assert (decision, verdict) == (Submit(4, f"render abc {outcome} (its reason)"), None)
    else:
        assert (decision, verdict) == (found, Verdict(Outcome.NO_VIDEO, "its reason"))


def test_a_purchase_of_unknown_inputs_is_not_taken_for_changed() -> None:
    record = _record(Phase.SUBMITTED, fingerprint="")
    assert decide(record, fingerprint=SAME, cleared=False) == Reattach(record, may_buy_anew=True)


def test_a_render_that_goes_on_is_waited_for() -> None:
    found = Reattach(_record(Phase.SUBMITTED), may_buy_anew=True)
    assert reconsider(found, None) == (found, None)


@pytest.mark.parametrize(("phase", "fingerprint", "retry", "resubmit", "cleared", "reuse"), TABLE)
def test_the_decision_table(
    *, phase: Phase | None, fingerprint: str, retry: str, resubmit: str, cleared: str, reuse: str
) -> None:
    record = _record(phase, fingerprint) if phase else None
    assert _word(decide(record, fingerprint=SAME, cleared=False)) == retry
    assert _word(decide(record, fingerprint=SAME, cleared=False, on_uncertain_submit="resubmit")) == resubmit
    assert _word(decide(record, fingerprint=SAME, cleared=True)) == cleared
    assert _word(decide(record, fingerprint=SAME, cleared=True, on_clear="reuse")) == reuse


records = st.builds(
    _record, st.sampled_from(Phase), fingerprint=st.sampled_from([SAME, OTHER]), generation=st.integers(1, 50)
)
flags = st.fixed_dictionaries(
    {
        "cleared": st.booleans(),
        "on_uncertain_submit": st.sampled_from(["fail", "resubmit"]),
        "on_clear": st.sampled_from(["render", "reuse"]),
    }
)


@given(record=records, flags=flags)
def test_what_is_paid_for_is_never_bought_again_blindly(record: Record, flags: dict[str, Any]) -> None:
    decision = decide(record, fingerprint=SAME, **flags)
    if record.phase is Phase.SUBMITTED and record.fingerprint == SAME:
        assert isinstance(decision, Reattach)
    if record.phase is Phase.RENDERED:
        assert isinstance(decision, Reattach)
        assert decision.may_buy_anew is flags["cleared"]
    if not flags["cleared"] and record.phase in {Phase.RENDERED, Phase.DONE}:
        assert not isinstance(decision, Submit)
    if record.phase is Phase.INTENT and isinstance(decision, Submit):
        assert flags["cleared"] or flags["on_uncertain_submit"] == "resubmit"
    if isinstance(decision, Refuse):
        assert record.phase is Phase.INTENT


@given(record=records, flags=flags)
def test_a_new_purchase_counts_up_and_says_why(record: Record, flags: dict[str, Any]) -> None:
    decision = decide(record, fingerprint=SAME, **flags)
    if isinstance(decision, Submit):
        assert decision.generation == record.generation + 1
        assert decision.why
        assert record.task_id is None or record.task_id in decision.why
    if isinstance(decision, Reattach | Reuse):
        assert decision.record is record


@given(
    on_uncertain_submit=st.sampled_from(["fail", "resubmit"]),
    on_clear=st.sampled_from(["render", "reuse"]),
    cleared=st.booleans(),
)
def test_without_a_record_it_is_the_first_purchase(on_uncertain_submit: str, on_clear: str, cleared: bool) -> None:
    assert decide(
        None,
        fingerprint=SAME,
        cleared=cleared,
        on_uncertain_submit=cast("OnUncertainSubmit", on_uncertain_submit),
        on_clear=cast("OnClear", on_clear),
    ) == Submit(generation=1)


class Memory:
    """A store, and ledgers that read it as successive attempts do."""

    def __init__(self) -> None:
        self.journal = Journal(cast("Any", SimpleNamespace(submits=0)))
        self.store = FakeTaskStateStore(self.journal)

    def ledger(self, max_tries: int | None = 2) -> Ledger:
        ti = FakeTaskInstance(self.journal, max_tries=cast("int", max_tries))
        return Ledger({"ti": ti, "task_state_store": self.store})


@pytest.fixture
def memory() -> Memory:
    return Memory()


needs_store = pytest.mark.needs_task_state_store


@needs_store
@given(record=records)
def test_a_record_reads_back_as_it_was_written(record: Record) -> None:
    memory = Memory()
    ledger = memory.ledger()
    ledger.intend(generation=record.generation, fingerprint=record.fingerprint)
    ledger.advance(record.phase, task_id=record.task_id, submitted_at=record.submitted_at, manifest=record.manifest)
    assert memory.ledger().record == record


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)
fields = st.fixed_dictionaries(
    {"v": st.sampled_from([1, 1, 1, 2, "1"])},
    optional={name: st.sampled_from([*Phase, "abc", 1, 2.5]) | json_values for name in Record.__dataclass_fields__},
)


@given(value=json_values.filter(lambda value: value is not None) | fields)
def test_whatever_lies_in_the_store_is_a_record_or_stops_the_task(value: Any) -> None:
    memory = Memory()
    memory.store.rows["kling_render"] = json.dumps(value)
    with contextlib.suppress(LedgerUnavailable):
        ledger = memory.ledger()
        assert ledger.record is not None
        assert decide(ledger.record, fingerprint=SAME, cleared=ledger.cleared)


@needs_store
@pytest.mark.parametrize(("now", "cleared"), [(2, False), (3, True), (5, True), (1, True)])
def test_cleared_means_that_max_tries_has_changed(memory: Memory, now: int, cleared: bool) -> None:
    memory.ledger(max_tries=2).intend(generation=1, fingerprint=SAME)
    assert memory.ledger(max_tries=now).cleared is cleared


@needs_store
def test_an_advanced_record_is_not_cleared_any_more(memory: Memory) -> None:
    memory.ledger(max_tries=2).intend(generation=1, fingerprint=SAME)
    memory.ledger(max_tries=5).advance(Phase.SUBMITTED, task_id="abc")
    assert not memory.ledger(max_tries=5).cleared


def test_nothing_is_cleared_without_a_record(memory: Memory) -> None:
    assert not memory.ledger(max_tries=9).cleared
    assert not memory.ledger(max_tries=None).cleared


@needs_store
@pytest.mark.parametrize("before", [None, _record(Phase.DONE), _record(Phase.FAILED)], ids=["none", "done", "failed"])
def test_an_intent_taken_back_leaves_what_was_there_before(memory: Memory, before: Record | None) -> None:
    if before:
        ledger = memory.ledger()
        ledger.intend(generation=before.generation, fingerprint=before.fingerprint)
        ledger.advance(before.phase, task_id="abc", submitted_at=1.0, manifest=before.manifest)
    ledger = memory.ledger()
    ledger.take_back(ledger.intend(generation=4, fingerprint=OTHER))
    assert memory.ledger().record == ledger.record == before


@needs_store
def test_only_the_intent_must_be_written(memory: Memory) -> None:
    ledger = memory.ledger()
    before = ledger.intend(generation=1, fingerprint=SAME)
    memory.store.write_error = OSError("gone")
    ledger.advance(Phase.SUBMITTED, task_id="abc")
    ledger.take_back(before)
    with pytest.raises(LedgerUnavailable, match=r"OSError: gone\). Nothing was sent or paid"):
        memory.ledger().intend(generation=2, fingerprint=SAME)


@needs_store
def test_an_intent_that_does_not_read_back_is_not_believed(memory: Memory) -> None:
    memory.store.drops_writes = True
    with pytest.raises(LedgerUnavailable, match="does not read back"):
        memory.ledger().intend(generation=1, fingerprint=SAME)


def test_without_a_store_the_ledger_remembers_for_this_attempt_only() -> None:
    context = {"ti": FakeTaskInstance(Memory().journal)}
    ledger = Ledger(context)
    assert (ledger.durable, ledger.retry, ledger.record) == (False, "forgets", None)
    before = ledger.intend(generation=1, fingerprint=SAME)
    ledger.advance(Phase.SUBMITTED, task_id="abc")
    assert ledger.record is not None
    assert ledger.record.task_id == "abc"
    ledger.take_back(before)
    assert ledger.record is None
    assert Ledger(context).record is None


@needs_store
def test_a_render_that_the_record_does_not_know_is_taken_up(memory: Memory) -> None:
    ledger = memory.ledger()
    ledger.follow("abc", submitted_at=5.0)
    ledger.advance(Phase.RENDERED)
    record = memory.ledger().record
    assert record is not None
    assert (record.phase, record.task_id, record.submitted_at) == (Phase.RENDERED, "abc", 5.0)
    ledger.follow("abc")
    assert ledger.record == record
