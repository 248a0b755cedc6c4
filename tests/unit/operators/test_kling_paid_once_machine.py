"""Promise no. 1 against whatever can happen, in any order: one render is bought, and one more per consent."""

from __future__ import annotations

import json
import logging
import math
import os
import sys
from contextlib import nullcontext
from copy import copy
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import httpx
import pytest
from consents import Attempt, Books, Render, Start, consent
from hypothesis import HealthCheck, event, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from task_runs import RECORD, FakeTaskInstance, TaskDeferred, TaskRun, fired
from workers import Steps, WorkersStore

from airflow_provider_kling import fetching
from airflow_provider_kling._compat import AirflowRescheduleException
from airflow_provider_kling.api import client, video, waiting
from airflow_provider_kling.api.errors import KlingError
from airflow_provider_kling.api.models import DEFAULT_MODEL, TextToVideo
from airflow_provider_kling.api.waiting import Outcome, Verdict, Watch
from airflow_provider_kling.hooks.kling import KlingHook
from airflow_provider_kling.operators.kling import KlingTextToVideoOperator
from airflow_provider_kling.simulator import faults
from airflow_provider_kling.triggers.kling import KlingRenderTrigger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_provider_kling.api.answers import Answer
    from airflow_provider_kling.simulator import KlingSimulator

SEQUENCES = int(os.environ.get("KLING_SEQUENCES", "2000"))
KEY = "sk_key_that_nobody_may_see"
Change: TypeAlias = tuple[str, Any] | None
pytestmark = [
    pytest.mark.kling_simulator(render_seconds=0, short_side=90, api_key=KEY),
    pytest.mark.needs_task_state_store,
    pytest.mark.timeout(600 + SEQUENCES),
]

REFUSED = [
    faults.RateLimited(),
    faults.ErrorBody(503, "SERVICE_NOT_AVAILABLE"),
    faults.ErrorBody(402, "NOT_ENOUGH_BALANCE"),
    faults.ErrorBody(400, "INVALID_REQUEST_BODY", f"nothing for {KEY}"),
    faults.ErrorBody(400, "ILLEGAL_PROMPT"),
    faults.ErrorBody(401, "FAILED_TO_AUTH"),
    faults.Redirect("https://elsewhere.example"),
]
LOST = [
    faults.Drop(accept=True),
    faults.Drop(),
    faults.BadGateway(accept=True),
    faults.BadGateway(),
    faults.Garbage(accept=True),
    faults.RawAnswer(200, json.dumps({"token": KEY})),
]
AROUND: dict[str, list[Any]] = {
    "submit": [*REFUSED, *LOST],  # the answer to the next POST
    "render": [faults.Fail("out of memory"), faults.Fail("risk control: sensitive content")] * 4,  # of the next one
    "poll": [  # the answer to all questions from now on
        faults.UnknownStatus("TASK_STATUS_PROCESSING"),
        faults.NotFound(),
        faults.NoLink(),
        faults.ErrorBody(401, "FAILED_TO_AUTH"),
        faults.BadGateway(),
        *[None] * 5,
    ],
    "download": [faults.ExpiredLink(), None],
    "network": ["is down", None, None],
    "store": ["can't be read", "can't be written", "writes, but says it did not", "drops writes"] * 2 + [None] * 6,
}
DAG: dict[str, list[Any]] = {
    "prompt": ["A fox in the snow", "A wolf in the snow"] * 2 + [" "],
    "save_to": [None, None, "one.mp4", "two.mp4"],
    "deferrable": [True, False],
    "timeout": [3600, 1],
    "on_uncertain_submit": ["fail", "resubmit"],
    "on_clear": ["render", "reuse"],
}
changes = st.sampled_from([None] * 12 + [(name, value) for name, values in (AROUND | DAG).items() for value in values])
dags = st.fixed_dictionaries({name: st.sampled_from(values[:2]) for name, values in DAG.items()})
steps = st.integers(1, 8)


class OneTaskInstance(RuleBasedStateMachine):
    """What can happen to a task instance, one rule each; Airflow's part is played as version 3.3 plays it."""

    def __init__(self, simulator: KlingSimulator, client: KeptClient, folder: Path) -> None:
        super().__init__()
        simulator.reset()
        client.machine = self
        self.simulator, self.folder = simulator, folder
        self.books = Books(simulator)
        self.task = TaskRun(simulator, remembers=True).operator()
        self.now: dict[str, Any] = dict.fromkeys(AROUND)
        self.database: dict[str, str] = {}
        self.tries, self.max_tries = 0, 2
        self.rescheduled: datetime | None = None
        self.live: list[Attempt] = []
        self.lost: list[Attempt] = []
        self.deferral: list[TaskDeferred] = []
        self.events: list[dict[str, Any] | None] = []

    @initialize(dag=dags)
    def a_dag_is_written(self, dag: dict[str, Any]) -> None:
        for argument in dag.items():
            self.change(argument)

    @rule(meanwhile=changes, steps=st.none() | steps)
    def the_task_goes_on(self, meanwhile: Change, steps: int | None) -> None:
        """An attempt begins, or is resumed, or its worker works on: to its end or for some steps."""
        self.change(meanwhile)
        self.go(self.worker(), steps or math.inf)

    @rule(meanwhile=changes, steps=steps)
    def the_task_goes_on_and_its_worker_dies(self, meanwhile: Change, steps: int) -> None:
        self.change(meanwhile)
        self.go(self.worker(), steps, dies=True)

    @rule(meanwhile=changes, steps=steps)
    def the_task_goes_on_and_airflow_loses_its_worker(self, meanwhile: Change, steps: int) -> None:
        """It lives on, but its heartbeats do not arrive."""
        self.the_task_goes_on(meanwhile, steps)
        self.archive()

    @precondition(lambda self: self.lost)
    @rule(meanwhile=changes, steps=steps)
    def a_lost_worker_goes_on(self, meanwhile: Change, steps: int) -> None:
        self.change(meanwhile)
        self.go(self.lost[0], steps)

    @rule(meanwhile=changes, steps=steps)
    def a_person_clears_the_task(self, meanwhile: Change, steps: int) -> None:
        """While it runs, Airflow forgets the worker, which may live on for a while."""
        self.archive()
        self.max_tries = self.tries + 2
        self.deferral, self.events, self.rescheduled = [], [], None
        self.the_task_goes_on(meanwhile, steps)

    @precondition(lambda self: self.deferral)
    @rule(meanwhile=changes)
    def a_trigger_fires(self, meanwhile: Change) -> None:
        """Airflow takes the first event, sooner or later; another trigger may be alive."""
        self.events.append(fired(self.deferral[0].trigger))
        self.change(meanwhile)

    @precondition(lambda self: self.deferral)
    @rule(meanwhile=changes, steps=steps)
    def airflow_ends_the_deferral(self, meanwhile: Change, steps: int) -> None:
        self.events.append(None)
        self.the_task_goes_on(meanwhile, steps)

    def teardown(self) -> None:
        """When the trouble is over, one retry delivers what is paid, buys what may be bought, or says why not."""
        for attempt in [*self.live, *self.lost]:
            attempt.go(0, dies=True)
        self.live, self.lost = [], []
        if sys.exception():
            return
        for name in AROUND:
            self.change((name, None))
        if not self.now["prompt"].strip():
            self.change(("prompt", "A fox in the snow"))
        if self.deferral:
            self.go(self.worker())
        begin, known = self.found(), len(self.simulator.accepted)
        attempt = self.worker()
        self.go(attempt)
        if self.deferral:
            attempt = self.worker()
            self.go(attempt)
        bought = [accepted.task_id for accepted in self.simulator.accepted[known:]]
        ended = type(attempt.raised).__name__ if attempt.raised else attempt.returned["task_id"]
        old = begin.record["task_id"] if begin.record else None
        if agreed := consent(begin, self.books.renders):
            assert bought == [ended]
        elif old is None:
            assert (bought, ended) == ([], "SubmitUncertain")
        elif self.books.renders[old].moderated:
            assert (bought, ended) == ([], "ContentRejected")
        else:
            assert (bought, ended) == ([], old)
        event(f"renders bought: {len(self.simulator.accepted)}")
        event(f"in the end: {agreed.split()[0] if agreed else ended if attempt.raised else 'delivered'}")

    # Airflow's part.

    def worker(self) -> Attempt:
        """The one that is at work, or else the next one."""
        if not self.live:
            self.live = [self.resumed() if self.deferral else self.begun()]
        return self.live[0]

    def begun(self) -> Attempt:
        self.tries += 0 if self.rescheduled else 1
        begin = self.found()
        return self.attempt(self.operator().execute, begin, begin.record["task_id"] if begin.record else None)

    def resumed(self) -> Attempt:
        (deferral,), operator = self.deferral, self.operator()
        fact = self.events[0] if self.events else fired(deferral.trigger)
        method, kwargs = deferral.method_name, {**(deferral.kwargs or {}), "event": fact}
        if fact is None:
            method, kwargs = "__fail__", {"error": "Trigger timeout"}
        self.deferral, self.events = [], []
        about = cast("KlingRenderTrigger", deferral.trigger).kling_task_id
        return self.attempt(lambda context: operator.resume_execution(method, kwargs, context), None, about)

    def operator(self) -> KlingTextToVideoOperator:
        operator = copy(self.task)
        for name in DAG:
            setattr(operator, name, self.now[name])
        return operator

    def attempt(self, work: Callable[[Any], Any], begin: Start | None, about: str | None) -> Attempt:
        attempt = Attempt(
            lambda: work({"ti": ti, "run_id": "test", "task_state_store": attempt.store}),
            begin,
            about,
            max_tries=self.max_tries,
            promise=self.books.promise,
        )
        steps = Steps(self.simulator, attempt)
        ti = FakeTaskInstance(steps, self.max_tries, first_reschedule_date=self.rescheduled, xcom=attempt.xcom)
        attempt.store = WorkersStore(
            steps, self.database, lambda: self.now["store"], lambda row: self.books.recorded(attempt, row)
        )
        return attempt

    def archive(self) -> None:
        for attempt in self.live:
            attempt.store.archived = True
        self.lost += self.live
        self.live, self.rescheduled = [], None

    def go(self, attempt: Attempt, steps: float = math.inf, *, dies: bool = False) -> None:
        """Let a worker work on, and take note of how it ended, if it did."""
        self.at_work = attempt
        attempt.go(steps, dies=dies)
        if attempt.at:
            note(f"# {'died' if dies else 'stopped'} {attempt.at}")
        if attempt.over:
            (self.lost if attempt.store.archived else self.live).remove(attempt)
        self.books.check_consents()
        self.books.check_promise(attempt)
        if attempt.over:
            note(f"# ended with {attempt.raised!r}")
            event(f"ended: {type(attempt.raised).__name__}")
            self.books.check_words(attempt)
        if attempt.over and not attempt.store.archived:
            self.deferral = [attempt.raised] if isinstance(attempt.raised, TaskDeferred) else []
            aside = isinstance(attempt.raised, AirflowRescheduleException)
            self.rescheduled = (self.rescheduled or datetime.now(UTC)) if aside else None
            found = self.found()
            if self.now["store"] not in {"can't be written", "drops writes"}:
                self.books.check_record(attempt, found.record)
            self.books.take_promise(attempt, renders_on_clear=found.renders_on_clear)

    # The API's part.

    def change(self, change: Change) -> None:
        if change:
            name, value = change
            self.now[name] = str(self.folder / value) if name == "save_to" and value else value
        self.simulator.clear_faults()
        for stage in ("poll", "download"):
            if self.now[stage]:
                self.simulator.inject(self.now[stage], on=stage, times=None)

    def post(self, send: Callable[[], str]) -> str:
        self.at_work.reach("before POST")
        refused = self.now["network"] or self.now["submit"] in REFUSED
        lost = self.now["submit"] in LOST
        purchase = self.books.posting(self.at_work, "refused" if refused else "lost" if lost else "accepted")
        for stage in ("submit", "render"):
            if self.now[stage]:
                self.simulator.inject(self.now[stage], on=stage)
        known = len(self.simulator.accepted)
        try:
            return send()
        finally:
            for accepted in self.simulator.accepted[known:]:
                fate = self.now["render"].reason if self.now["render"] else ""
                purchase.renders.append(accepted.task_id)
                self.books.renders[accepted.task_id] = Render(accepted.body["prompt"], "memory" in fate, "risk" in fate)
                self.now["render"] = None
            self.change(("submit", None))
            self.at_work.reach("after POST")

    def found(self) -> Start:
        row = self.database.get(RECORD)
        return Start(
            record=json.loads(row) if row else None,
            clear=self.books.clear_since(row, self.max_tries) if row else None,
            prompt=self.now["prompt"],
            resubmits=self.now["on_uncertain_submit"] == "resubmit",
            renders_on_clear=self.now["on_clear"] == "render",
            forgotten=isinstance(self.now["poll"], faults.NotFound) and not self.now["network"],
        )


class KeptClient(client.KlingClient):
    """One client for all attempts, as making one takes longer than the attempt around it.

    :param account: of the simulator
    """

    machine: OneTaskInstance

    def submit(self, request: TextToVideo, *, model: str = DEFAULT_MODEL) -> str:
        return self.machine.post(lambda: super(KeptClient, self).submit(request, model=model))

    def _exchange(self, request: httpx.Request) -> Answer | Exception:
        return httpx.ConnectError("refused") if self.machine.now["network"] else super()._exchange(request)

    def close(self) -> None:
        """Stay open."""

    def watch(self, trigger: KlingRenderTrigger) -> Verdict:
        """What a trigger does, without its pauses: it asks soon, when a render may be lost, and at its deadline."""
        watch = Watch(trigger.submitted_at, trigger.deadline, started_at=trigger.submitted_at)
        soon, late = trigger.submitted_at + 60, trigger.submitted_at + waiting.LOST_AFTER + 1
        for now in (soon, soon, late, max(late, trigger.deadline)):
            try:
                verdict = watch.see(self.get_render(trigger.kling_task_id), now)
            except KlingError as error:
                verdict = watch.see(error, now)
            if verdict:
                self.machine.books.renders[trigger.kling_task_id].lost |= verdict.outcome is Outcome.LOST
                return verdict
        raise AssertionError("the deadline does not end the waiting")


@pytest.fixture
def kept_client(kling_simulator: KlingSimulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[KeptClient]:
    """All is real but what would only cost time: waiting, new connections, log lines."""
    kept = KeptClient(KlingHook().account())

    async def wait(trigger: KlingRenderTrigger, **_: object) -> Verdict:
        return kept.watch(trigger)

    monkeypatch.setattr(KlingHook, "account", lambda _: kept.account)
    monkeypatch.setattr(KlingHook, "get_conn", lambda _: kept)
    monkeypatch.setattr(KlingRenderTrigger, "wait", wait)
    monkeypatch.setattr(KlingTextToVideoOperator, "log", logging.getLogger(__name__))
    monkeypatch.setattr(logging.root.manager, "disable", logging.CRITICAL)
    for module in (client, video):
        monkeypatch.setattr(module, "watchdog", lambda *_: nullcontext())
    monkeypatch.setattr(fetching, "_PAUSES", ())
    for name in ("MAX_REFUSED_KEYS", "MAX_QUESTIONS_WITHOUT_LINK"):
        monkeypatch.setattr(waiting, name, 2)
    yield kept
    super(KeptClient, kept).close()


def test_nothing_is_bought_twice_without_consent(
    kling_simulator: KlingSimulator, kept_client: KeptClient, tmp_path: Path
) -> None:
    run_state_machine_as_test(
        cast("Any", lambda: OneTaskInstance(kling_simulator, kept_client, tmp_path)),
        settings=settings(
            max_examples=SEQUENCES,
            stateful_step_count=8,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
