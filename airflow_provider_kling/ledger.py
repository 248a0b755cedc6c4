"""What this task instance has bought: pure decisions, and the record in Airflow's task state store (3.3+).

The store's scope is dag run x task x map index; it survives retries, and in Airflow 3.3 clears. One key holds one
record: intent before the POST, the task id right after it, then rendered and done. A record that can't be read
stops the task: it never means "nothing bought".
"""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass as checked_dataclass

from airflow_provider_kling.api.waiting import Outcome, Verdict
from airflow_provider_kling.exceptions import LedgerUnavailable, Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

log = logging.getLogger(__name__)

_KEY = "kling_render"
_VERSION = 1
_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
"""Seconds between the attempts to record what was just bought."""

_NOTHING = "Nothing was sent or paid by this attempt; a retry tries again."
_PERHAPS_AN_INTENT = (
    "Nothing was sent or paid by this attempt, but its intent may stand in the store: a retry then stops, as if an "
    "answer had been lost, and a clear submits."
)

OnUncertainSubmit = Literal["fail", "resubmit"]
OnClear = Literal["render", "reuse"]


class Phase(StrEnum):
    """How far a purchase has come."""

    INTENT = "intent"
    SUBMITTED = "submitted"
    RENDERED = "rendered"
    DONE = "done"
    FAILED = "failed"


@checked_dataclass(frozen=True, config=ConfigDict(hide_input_in_errors=True))
class Record:
    """One purchase; ValueError when it can't be one.

    :param phase: how far it has come
    :param generation: 1 for the first purchase of this task instance, counting up
    :param fingerprint: hash of what is bought, by which model, from which account; empty when it is not known
    :param max_tries: the task instance's `max_tries`; it changes with every clear and with nothing else
    :param task_id: the API's id, from `submitted` on
    :param submitted_at: epoch seconds of the submit
    :param manifest: what was delivered, when done
    :param moderated: whether it failed of moderation, after which only a person may buy again
    """

    phase: Phase
    generation: int
    fingerprint: str
    max_tries: int
    task_id: str | None = None
    submitted_at: float | None = None
    manifest: dict[str, Any] | None = None
    moderated: bool = False

    def __post_init__(self) -> None:
        if not self.task_id and self.phase in {Phase.SUBMITTED, Phase.RENDERED, Phase.DONE}:
            raise ValueError(f"{self.phase}, but no task_id")


@dataclass(frozen=True)
class Submit:
    """Buy. `why` is for the log when there was an earlier purchase."""

    generation: int
    why: str = ""


@dataclass(frozen=True)
class Reattach:
    """Go on with a render that is already paid for."""

    record: Record
    may_buy_anew: bool


@dataclass(frozen=True)
class Reuse:
    """Deliver once more what was delivered before, free."""

    record: Record


@dataclass(frozen=True)
class Refuse:
    """Stop: it is unknown whether the last submit bought something, or moderation has refused what it bought.

    :param moderated: the record of the render that moderation refused; default None
    """

    moderated: Record | None = None


Decision = Submit | Reattach | Reuse | Refuse


def decide(
    record: Record | None,
    *,
    fingerprint: str,
    cleared: bool,
    on_uncertain_submit: OnUncertainSubmit = "fail",
    on_clear: OnClear = "render",
) -> Decision:
    """Decide what an attempt does first.

    :param record: what this task instance has bought so far
    :param fingerprint: of what this attempt would buy
    :param cleared: whether a person cleared the task since the record was written
    :param on_uncertain_submit: "resubmit" lets a retry submit again although the last submit may have bought
    :param on_clear: "reuse" delivers a finished render again after a clear instead of buying a new one
    """
    if record is None:
        return Submit(generation=1)
    following = record.generation + 1
    match record.phase:
        case Phase.INTENT if cleared:
            return Submit(following, "the last submit was never answered, and a clear is consent to submit again")
        case Phase.INTENT if on_uncertain_submit == "resubmit":
            return Submit(following, "the last submit was never answered, and on_uncertain_submit='resubmit'")
        case Phase.INTENT:
            return Refuse()
        case Phase.SUBMITTED if record.fingerprint and record.fingerprint != fingerprint:
            return Submit(following, f"the inputs changed; the render {record.task_id} of the old ones is left alone")
        case Phase.SUBMITTED:
            return Reattach(record, may_buy_anew=True)
        case Phase.RENDERED:
            return Reattach(record, may_buy_anew=cleared)
        case Phase.DONE if cleared and on_clear == "render":
            return Submit(following, f"the task was cleared after render {record.task_id} was delivered")
        case Phase.DONE:
            return Reuse(record)
        case Phase.FAILED if record.moderated and not cleared:
            return Refuse(record)
        case Phase.FAILED:
            how = "was refused by moderation, and the task was cleared" if record.moderated else "failed"
            return Submit(following, f"render {record.task_id} {how}")


def reconsider(found: Reattach, verdict: Verdict | None) -> tuple[Reattach | Submit, Verdict | None]:
    """Decide again once the paid render has been asked for: it may have come to nothing.

    :param found: the decision to go on with it
    :param verdict: how it ended; None when it goes on, or could not be asked for
    :returns: what to do, and the verdict to act on when going on
    """
    if verdict is None or verdict.outcome not in {Outcome.FAILED, Outcome.LOST}:
        return found, verdict
    if not found.may_buy_anew:  # it was rendered: a retry never buys again
        return found, Verdict(Outcome.NO_VIDEO, verdict.reason)
    reason = f" ({verdict.reason})" if verdict.reason else ""
    return Submit(found.record.generation + 1, f"render {found.record.task_id} {verdict.outcome}{reason}"), None


class Ledger:
    """Reads and writes the record of one task instance.

    :param context: the task's context; without a task state store (before Airflow 3.3) nothing is remembered
    :param resumed: the render is known from elsewhere, so that a record that can't be read stops nothing
    """

    def __init__(self, context: Mapping[str, Any], *, resumed: bool = False) -> None:
        self._store = context.get("task_state_store")
        self._max_tries = int(context["ti"].max_tries or 0)
        self.record: Record | None = None
        self._unread = True
        with self._tolerating("The triggerer's word is enough to go on.") if resumed else self._insisting():
            self.record = self._read()
            self._unread = False
        self._names_render = bool(self.record is None or self.record.task_id)

    @property
    def durable(self) -> bool:
        """Whether a retry will know what was bought."""
        return self._store is not None

    @property
    def retry(self) -> Retry:
        """What another attempt would do, for messages."""
        if not self.durable:
            return "forgets"
        return "remembers" if self._names_render else "refuses"

    @property
    def cleared(self) -> bool:
        """Whether a person cleared the task since: Airflow then sets `max_tries` to the tries made plus `retries`."""
        return self.record is not None and self._max_tries != self.record.max_tries

    def intend(self, *, generation: int, fingerprint: str) -> Record | None:
        """Write down that a POST is about to be sent; returns the record to go back to if it was not.

        :param generation: of the purchase
        :param fingerprint: of what is bought
        """
        before = self.record
        try:
            self._write(Record(Phase.INTENT, generation, fingerprint, self._max_tries), verify=True)
        except LedgerUnavailable as error:
            money = _NOTHING if self.take_back(before) else _PERHAPS_AN_INTENT
            raise LedgerUnavailable(f"{error.message} {money}") from error.__cause__
        return before

    def take_back(self, before: Record | None) -> bool:
        """Undo an intent whose POST was refused or never sent; False when the store does not let us.

        :param before: the record before the intent
        """
        self.record = before
        return self._patiently(lambda: self._restore(before), "Nothing was bought, but a retry will not know that.")

    def follow(
        self, task_id: str, *, submitted_at: float | None = None, generation: int = 1, fingerprint: str = ""
    ) -> None:
        """Take up a purchase that the store does not hold (before Airflow 3.3, or when its record can't be had).

        :param task_id: the render's id at the API
        :param submitted_at: epoch seconds of the submit, when known
        :param generation: of the purchase, when known; default 1
        :param fingerprint: of what was bought, when known
        """
        known = self.record or Record(Phase.INTENT, generation, fingerprint, self._max_tries)
        if known.task_id != task_id:
            self.record = replace(known, phase=Phase.SUBMITTED, task_id=task_id, submitted_at=submitted_at)
            self._names_render = False

    def advance(self, phase: Phase, **changes: Any) -> None:
        """Write the record's next phase; an unwritten one is safe, as an earlier phase never buys more.

        :param phase: the phase reached
        :param changes: other fields of the record to set
        """
        if self.record is None:
            return
        record = replace(self.record, phase=phase, max_tries=self._max_tries, **changes)
        otherwise = f"Render {record.task_id} is paid; that it is {phase} could not be recorded."
        if phase is Phase.SUBMITTED or not self._names_render:
            self._patiently(lambda: self._write(record, verify=True), otherwise)
        else:
            with self._tolerating(otherwise):
                self._write(record)

    def _patiently(self, write: Callable[[], None], otherwise: str) -> bool:
        """What money hangs on is worth the patience to sit out a restart of the API server."""
        for pause in _PAUSES:
            try:
                write()
            except LedgerUnavailable as error:
                log.warning("%s Trying again in %.0f s.", error.message, pause)
                time.sleep(pause)
            else:
                return True
        with self._tolerating(otherwise):
            write()
            return True
        return False

    @contextlib.contextmanager
    def _insisting(self) -> Iterator[None]:
        try:
            yield
        except LedgerUnavailable as error:
            raise LedgerUnavailable(f"{error.message} {_NOTHING}") from error.__cause__

    @contextlib.contextmanager
    def _tolerating(self, what: str) -> Iterator[None]:
        try:
            yield
        except LedgerUnavailable as error:
            log.error("%s %s The task goes on.", what, error.message)  # noqa: TRY400  # the message says it all

    def _read(self) -> Record | None:
        if self._store is None:
            return None
        value = self._guard("read", lambda store: store.get(_KEY))
        if value is None:
            return None
        try:
            if value["v"] != _VERSION:
                raise ValueError(f"version {value['v']!r}")
            return Record(**{name: value[name] for name in Record.__dataclass_fields__ if name in value})
        except (KeyError, TypeError, ValueError) as error:
            raise LedgerUnavailable(
                f"The record of what this task bought can't be understood ({type(error).__name__}: {error}). "
                f"Look at {_KEY!r} in the task's state store; delete it to start anew, which may buy again."
            ) from None

    def _write(self, record: Record, *, verify: bool = False) -> None:
        self.record = record
        if self._store is None:
            return
        if self._unread:
            self._read()  # what can't be read is never overwritten
            self._unread = False
        from airflow.sdk.execution_time.context import NEVER_EXPIRE

        value = {"v": _VERSION, **asdict(record)}
        self._guard("write", lambda store: store.set(_KEY, value, retention=NEVER_EXPIRE))
        # A store may lose a write without a word, so what money hangs on is only believed when it reads back.
        if verify and self._guard("write", lambda store: store.get(_KEY)) != value:
            raise LedgerUnavailable("The record of what this task buys was written, but does not read back.")
        self._names_render = bool(record.task_id)

    def _restore(self, before: Record | None) -> None:
        if before is not None:
            self._write(before, verify=True)
        elif self._store is not None:
            self._guard("write", lambda store: store.delete(_KEY))
            if self._guard("read", lambda store: store.get(_KEY)) is not None:
                raise LedgerUnavailable("The record of what this task buys was deleted, but is still there.")

    def _guard(self, what: str, action: Any) -> Any:
        try:
            return action(self._store)
        except Exception as error:
            raise LedgerUnavailable(
                f"The task state store does not {what} what this task buys ({type(error).__name__}: {error})."
            ) from error
