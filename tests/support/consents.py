"""Who agreed to which purchase: the decision table from outside, by what really happened instead of by the ledger."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from task_runs import TaskDeferred, WorkerCrash
from workers import Worker, WorkersStore

from airflow_provider_kling import exceptions
from airflow_provider_kling._compat import AirflowRescheduleException

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_kling.simulator import KlingSimulator

UNCERTAIN = (exceptions.SubmitUncertain, exceptions.SubmitUncertainResubmit)


@dataclass(frozen=True)
class Start:
    """What an attempt finds.

    :param record: as it lies in Airflow's database
    :param clear: names the clear since the record was written, if there was one
    :param prompt: what it would buy
    :param resubmits: whether on_uncertain_submit="resubmit"
    :param renders_on_clear: whether on_clear="render"
    :param forgotten: whether the API says just now that it knows no render
    """

    record: dict[str, Any] | None
    clear: str | None
    prompt: str
    resubmits: bool
    renders_on_clear: bool
    forgotten: bool


@dataclass
class Render:
    """A render that was really bought, and what truly became of it."""

    prompt: str
    failed: bool = False
    moderated: bool = False
    lost: bool = False
    known_moderated: bool = False


def consent(start: Start, renders: dict[str, Render]) -> str | None:
    """Why an attempt may buy, None when it may not; the same words never pay for two renders."""
    if start.record is None:
        return "the first"
    old = start.record["task_id"]
    match start.record["phase"], renders.get(old):
        case "intent", _ if start.resubmits and not start.clear:
            return f"resubmit after purchase {start.record['generation']}"
        case "submitted", Render(prompt=prompt) if prompt != start.prompt:
            return f"inputs changed since {old}"
        case ("submitted" | "failed", Render(failed=True)) | ("failed", Render(lost=True, known_moderated=False)):
            return f"failure of {old}"
        case "intent" | "failed", _:
            return start.clear
        case "rendered", _ if start.forgotten:
            return start.clear
        case "done", _ if start.renders_on_clear:
            return start.clear
    return None


@dataclass
class Purchase:
    """An intent that was really written, why it was allowed, what its POST was told, and what it bought.

    :param answer: "accepted", "refused", or "lost" when it can't be understood
    """

    consent: str | None
    posts: int = 0
    answer: str | None = None
    renders: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Promise:
    """What a message says will be delivered for nothing: to a retry, perhaps to a clear too while on_clear stays."""

    task_id: str
    to_clears: bool
    renders_on_clear: bool


class Attempt(Worker):
    """A worker with an attempt of the task instance.

    :param work: what it does
    :param begin: what it finds; None when it is resumed, which never buys
    :param about: the render that it goes on with
    :param max_tries: as Airflow told it
    :param promise: what was promised to it
    """

    store: WorkersStore

    def __init__(
        self,
        work: Callable[[], Any],
        begin: Start | None,
        about: str | None,
        *,
        max_tries: int,
        promise: Promise | None,
    ) -> None:
        super().__init__(work)
        self.begin, self.about, self.max_tries, self.promise = begin, about, max_tries, promise
        self.purchase: Purchase | None = None
        self.xcom: dict[str, Any] = {}


class Books:
    """All purchases and renders of one task instance, and what must be true of them.

    :param simulator: the API
    """

    def __init__(self, simulator: KlingSimulator) -> None:
        self.renders: dict[str, Render] = {}
        self.purchases: list[Purchase] = []
        self.promise: Promise | None = None
        self._simulator = simulator
        self._written: dict[str, int] = {}

    def clear_since(self, row: str, max_tries: int) -> str | None:
        """Name the clear since a row was written, if there was one."""
        return f"clear to {max_tries}" if max_tries > self._written[row] else None

    def recorded(self, attempt: Attempt, row: str) -> None:
        """A row was really written; an intent needs consent, as its POST may come when all has changed."""
        self._written.setdefault(row, attempt.max_tries)
        phase = json.loads(row)["phase"]
        if phase == "done":
            self.promise = None
        render = self.renders.get(json.loads(row)["task_id"])
        if phase == "failed" and render and render.moderated and not render.lost:
            render.known_moderated = True
        if phase == "intent" and attempt.purchase is None:
            attempt.purchase = Purchase(consent(attempt.begin, self.renders) if attempt.begin else None)
            self.purchases.append(attempt.purchase)

    def posting(self, attempt: Attempt, answer: str) -> Purchase:
        """A POST is about to be sent; without a readable store and a written intent it has nobody's consent."""
        if attempt.purchase is None or attempt.store.failed:
            attempt.purchase = Purchase(None)
            self.purchases.append(attempt.purchase)
        attempt.purchase.posts += 1
        attempt.purchase.answer = answer
        return attempt.purchase

    def check_consents(self) -> None:
        """Each POST was agreed to, and each render in words of its own."""
        posted = [purchase for purchase in self.purchases if purchase.posts]
        assert self._simulator.submits <= len(posted), "more POSTs than intents"
        assert all(purchase.consent for purchase in posted), posted
        consents = {purchase.consent for purchase in posted if purchase.renders}
        assert len(consents) == len(self._simulator.accepted), posted

    def check_promise(self, attempt: Attempt) -> None:
        """What a message said would be delivered for nothing is: no attempt pays for it again or refuses it."""
        begin, promise = attempt.begin, attempt.promise
        if attempt.purchase:
            self.promise = None
        if not begin or not promise or begin.forgotten or begin.prompt != self.renders[promise.task_id].prompt:
            return
        if self.renders[promise.task_id].known_moderated:
            return  # it failed after the promise, and the worker that was to say so died
        if attempt.purchase:
            agreed, on_clear = str(attempt.purchase.consent).split()[0], begin.renders_on_clear
            forewarned = agreed == "clear" and not (promise.to_clears and promise.renders_on_clear is on_clear)
            assert agreed == "failure" or forewarned, promise
        elif attempt.over:
            assert not isinstance(attempt.raised, exceptions.SubmitUncertain), promise

    def check_record(self, attempt: Attempt, record: dict[str, Any] | None) -> None:
        """The record says how it ended; when nothing was bought it says what it said before."""
        error = attempt.raised
        aside = isinstance(error, AirflowRescheduleException)
        if attempt.purchase and attempt.begin and (aside or getattr(error, "bought", "") == "no"):
            assert record == attempt.begin.record, error
        if attempt.store.failed or (error and not getattr(error, "task_id", isinstance(error, TaskDeferred))):
            return
        assert record
        assert record["task_id"] in (attempt.purchase.renders if attempt.purchase else [attempt.about])
        match error:
            case None:
                assert record["phase"] == "done"
            case TaskDeferred() | exceptions.RenderTimeout() | exceptions.AuthenticationLost():
                assert record["phase"] == "submitted"
            case exceptions.RenderFailed() | exceptions.RenderLost() | exceptions.ContentRejected():
                assert record["phase"] == "failed"
            case exceptions.VideoUnavailable() if "rendered and paid" in str(error):
                assert record["phase"] in {"rendered", "done"}

    def check_words(self, attempt: Attempt) -> None:
        """What an attempt returned or raised is true, and tells no key."""
        error, bought = attempt.raised, attempt.purchase.renders if attempt.purchase else []
        about = bought[0] if bought else attempt.about
        if attempt.purchase and not isinstance(error, WorkerCrash):
            refused = isinstance(error, AirflowRescheduleException) or getattr(error, "bought", "") == "no"
            assert refused is (attempt.purchase.answer in {None, "refused"}), error
            assert isinstance(error, UNCERTAIN) is (attempt.purchase.answer == "lost"), error
        assert attempt.xcom.get("task_id") in {None, about}
        if error is None:
            assert attempt.returned["task_id"] == about
        if error is None or isinstance(error, WorkerCrash | TaskDeferred | AirflowRescheduleException):
            return
        assert isinstance(error, exceptions.KlingException), error
        links = [error, error.__cause__, error.__context__]
        assert not any(self._simulator.api_key in f"{link} {vars(link)}" for link in links if link)
        assert error.task_id is None or (error.task_id == about and error.task_id in str(error))
        render = self.renders.get(error.task_id or "")
        if error.bought == "no":
            assert not bought, error
        elif error.bought == "yes":
            assert render or not attempt.begin, error
        elif render:
            assert render.failed or render.moderated or render.lost, error
        else:
            assert isinstance(error, UNCERTAIN)
            assert attempt.purchase or (attempt.begin and (attempt.begin.record or {}).get("phase") == "intent"), error

    def take_promise(self, attempt: Attempt, *, renders_on_clear: bool) -> None:
        """Take the message of a failed attempt by its word."""
        if attempt.raised is None or isinstance(attempt.raised, exceptions.KlingException):
            task_id = getattr(attempt.raised, "task_id", None)
            paying = re.search(r"[^.;]*pays nothing(; so does a clear)?", str(attempt.raised))
            self.promise = None
            if task_id and paying:
                self.promise = Promise(task_id, "clear" in paying[0], renders_on_clear)
