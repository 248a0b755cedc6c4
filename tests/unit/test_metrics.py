"""What is counted and timed, as it leaves for a statsd server; and that no metric ever costs a render."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.execution_time import task_runner
from datagrams import BrokenClient, Datagrams, HangingClient, sending_to
from task_runs import PROMPT, fired

from airflow_provider_kling import exceptions, metrics
from airflow_provider_kling._compat import AirflowRescheduleException
from airflow_provider_kling.api.errors import RateLimited, RenderNotFound
from airflow_provider_kling.api.waiting import Outcome
from airflow_provider_kling.simulator import faults
from airflow_provider_kling.transfers.kling_to_object_storage import KlingToObjectStorageOperator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sources import Store
    from task_runs import TaskRun

    from airflow_provider_kling.simulator.faults import Fault

MODEL = "kling-v3.0-4k-t2v"
KEY = "sk_do_not_count_me_0123456789"

pytestmark = pytest.mark.kling_simulator(speed=1e6, short_side=90, api_key=KEY)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is added up for a second, nor left over from other tests."""
    metrics._polls.clear()
    monkeypatch.setattr(metrics, "_EVERY", 0.0)


@pytest.fixture
def server() -> Iterator[Datagrams]:
    """A statsd server; nobody knows it yet."""
    with Datagrams() as server:
        yield server
        metrics._waiting.join()  # what one test sends must not arrive in the next


@pytest.fixture
def statsd(server: Datagrams) -> Iterator[Datagrams]:
    """A statsd server that the metrics of this process go to, as in a task's process."""
    with sending_to(server):
        yield server
        metrics._waiting.join()


def sent(statsd: Datagrams) -> list[str]:
    """All lines until now."""
    metrics._waiting.join()
    metrics.reattached(model="the-end")
    statsd.wait_for("kling.reattach,model=the-end:")
    return [line for line in statsd.lines() if "the-end" not in line]


class TestNames:
    """Dashboards hang on them."""

    def test_submits(self, statsd: Datagrams) -> None:
        metrics.submitted(model=MODEL)
        metrics.submitted(model=MODEL, refusal=RateLimited("no"))
        metrics.reattached(model=MODEL)
        assert sent(statsd) == [
            f"kling.submit,model={MODEL},outcome=accepted:1|c",
            f"kling.submit,model={MODEL},outcome=RateLimited:1|c",
            f"kling.reattach,model={MODEL}:1|c",
        ]

    def test_questions(self, statsd: Datagrams) -> None:
        metrics.polled()
        metrics.polled(RenderNotFound("no"))
        assert sent(statsd) == ["kling.poll:1|c", "kling.poll:1|c", "kling.poll.error,kind=RenderNotFound:1|c"]

    def test_questions_of_a_second_are_added_up(self, statsd: Datagrams, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(metrics, "_EVERY", 1e9)
        for error in (None, RenderNotFound("no"), None, RenderNotFound("no"), RateLimited("no")):
            metrics.polled(error)
        metrics.render_over(Outcome.FAILED, seconds=1, like=None)  # a worker waits for no other
        assert sorted(sent(statsd)) == [
            "kling.poll.error,kind=RateLimited:1|c",
            "kling.poll.error,kind=RenderNotFound:2|c",
            "kling.poll:5|c",
        ]

    def test_durations_are_milliseconds(self, statsd: Datagrams) -> None:
        metrics.render_over(Outcome.SUCCEEDED, seconds=240.5, like=f"{MODEL}/5s")
        assert statsd.wait_for("kling.") == (f"kling.render.duration,model={MODEL},outcome=succeeded:240500.000000|ms")

    def test_a_render_of_others_has_no_duration_as_nobody_knows_since_when(self, statsd: Datagrams) -> None:
        metrics.render_over(Outcome.SUCCEEDED, seconds=1, like=None)
        assert sent(statsd) == []

    def test_saved_bytes_are_a_sum(self, statsd: Datagrams) -> None:
        metrics.saved(scheme="s3", size=52_000_000, seconds=9)
        assert sent(statsd) == ["kling.saved.bytes,scheme=s3:52000000|c", "kling.save.duration,scheme=s3:*|ms"]

    async def test_an_event_loop_sends_the_same(self, statsd: Datagrams) -> None:
        metrics.polled()
        assert statsd.wait_for("kling.") == "kling.poll:1|c"

    def test_the_triggerer_sends_through_its_own_copy_of_airflows_metrics(
        self, server: Datagrams, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from airflow.jobs.triggerer_job_runner import TriggerCommsDecoder

        comms = TriggerCommsDecoder.__new__(TriggerCommsDecoder)
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", comms, raising=False)
        with sending_to(server, package="airflow"):
            metrics.polled()
        assert server.wait_for("kling.") == "kling.poll:1|c"


class TestATask:
    @pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "on the worker"])
    def test_a_good_run_tells_its_story_and_no_secret(
        self, task_run: TaskRun, statsd: Datagrams, tmp_path: Path, deferrable: bool
    ) -> None:
        manifest = task_run.attempt(save_to=str(tmp_path / "fox.mp4"), deferrable=deferrable)
        lines = sent(statsd)
        assert sorted(line for line in lines if not line.startswith("kling.poll:")) == [
            f"kling.render.duration,model={MODEL},outcome=succeeded:*|ms",
            "kling.save.duration,scheme=file:*|ms",
            f"kling.saved.bytes,scheme=file:{manifest['bytes']}|c",
            f"kling.submit,model={MODEL},outcome=accepted:1|c",
        ]
        assert lines.count("kling.poll:1|c") >= 1
        for secret in (manifest["task_id"], KEY, PROMPT, "fox", "127.0.0.1", "render:", "films", "sign="):
            assert secret not in "\n".join(lines)

    @pytest.mark.parametrize(
        ("fault", "outcome"),
        [
            (faults.RateLimited(), "RateLimited"),
            (faults.ErrorBody(400, "ILLEGAL_PROMPT", PROMPT), "ContentRejected"),
            (faults.ErrorBody(401, "FAILED_TO_AUTH", f"bad key {KEY}"), "AuthenticationFailed"),
            (faults.Drop(accept=True), "SubmitUncertain"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_a_refused_submit_is_counted_by_its_kind(
        self, task_run: TaskRun, statsd: Datagrams, fault: Fault, outcome: str
    ) -> None:
        task_run.simulator.inject(fault, on="submit")
        with pytest.raises((exceptions.KlingException, AirflowRescheduleException)):
            task_run.attempt()
        assert sent(statsd) == [f"kling.submit,model={MODEL},outcome={outcome}:1|c"]

    def test_a_mistake_that_is_never_sent_is_no_submit(self, task_run: TaskRun, statsd: Datagrams) -> None:
        with pytest.raises(exceptions.InvalidRequest):
            task_run.attempt(model="{{ no model }}")
        assert sent(statsd) == []

    @pytest.mark.needs_task_state_store
    def test_going_on_with_a_paid_render_is_counted_and_is_no_submit(
        self, task_run: TaskRun, statsd: Datagrams
    ) -> None:
        task_run.crash("after", "xcom task_id")
        task_run.attempt()
        lines = sent(statsd)
        assert [line for line in lines if "submit" in line] == [f"kling.submit,model={MODEL},outcome=accepted:1|c"]
        assert lines.count(f"kling.reattach,model={MODEL}:1|c") == 1

    def test_failed_questions_are_counted_by_kind(self, task_run: TaskRun, statsd: Datagrams) -> None:
        task_run.simulator.inject(faults.NotFound(), on="poll", times=2)
        fired(task_run.defer().trigger)
        lines = sent(statsd)
        assert lines.count("kling.poll.error,kind=RenderNotFound:1|c") == 2
        assert lines.count("kling.poll:1|c") == task_run.simulator.polls

    def test_a_render_that_fails_has_a_duration_of_its_own(self, task_run: TaskRun, statsd: Datagrams) -> None:
        task_run.simulator.inject(faults.Fail("out of memory"), on="render")
        fired(task_run.defer().trigger)
        assert f"kling.render.duration,model={MODEL},outcome=failed:*|ms" in sent(statsd)


class TestSaving:
    def test_a_transfer_counts_by_the_scheme_and_what_is_there_already_is_not_counted_again(
        self, task_run: TaskRun, statsd: Datagrams, object_store: Store
    ) -> None:
        task_id = task_run.attempt()["task_id"]
        operator: dict[str, Any] = {
            "task_id": "save", "kling_task_id": task_id, "path": "S3://bucket/secret/fox.mp4", "overwrite": True
        }  # fmt: skip
        sizes = [
            KlingToObjectStorageOperator(**operator).execute(task_run.context())["bytes"] for _ in ("once", "again")
        ]
        assert [line for line in sent(statsd) if "save" in line] == [
            f"kling.saved.bytes,scheme=s3:{sizes[0]}|c",
            "kling.save.duration,scheme=s3:*|ms",
        ]

    def test_what_is_not_saved_is_not_counted(
        self, task_run: TaskRun, statsd: Datagrams, object_store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise PermissionError("AccessDenied")

        monkeypatch.setattr(object_store.files, "put_file", refuse)
        with pytest.raises(exceptions.VideoUnavailable):
            task_run.attempt(save_to="s3://bucket/fox.mp4")
        assert [line for line in sent(statsd) if "save" in line] == []


class TestTrouble:
    """A metric that can't be sent is lost, and nothing else is."""

    @pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "on the worker"])
    def test_a_client_that_raises_fails_no_task(
        self, task_run: TaskRun, server: Datagrams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deferrable: bool
    ) -> None:
        monkeypatch.setattr(BrokenClient, "tries", 0)
        with sending_to(server, statsd_custom_client_path="datagrams.BrokenClient"):
            manifest = task_run.attempt(save_to=str(tmp_path / "fox.mp4"), deferrable=deferrable)
            metrics._waiting.join()
        assert manifest["status"] == "TASK_STATUS_SUCCEED"
        assert BrokenClient.tries >= 5
        assert server.lines() == []

    def test_a_client_that_can_not_be_made_fails_no_task(self, task_run: TaskRun, server: Datagrams) -> None:
        with sending_to(server, statsd_custom_client_path="datagrams.Datagrams"):  # no statsd client at all
            assert task_run.attempt()["status"] == "TASK_STATUS_SUCCEED"
            metrics._waiting.join()

    def test_a_server_that_nobody_runs_is_no_trouble(self, task_run: TaskRun) -> None:
        with Datagrams() as gone:
            pass
        with sending_to(gone):
            assert task_run.attempt()["status"] == "TASK_STATUS_SUCCEED"
            metrics._waiting.join()

    @pytest.mark.usefixtures("task_run")
    async def test_a_name_server_that_does_not_answer_holds_up_no_event_loop(
        self, server: Datagrams, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for event in (HangingClient.asked, HangingClient.answered):
            event.clear()
        with sending_to(server, statsd_custom_client_path="datagrams.HangingClient"):
            for _ in range(1500):
                metrics.polled()
            assert await asyncio.to_thread(HangingClient.asked.wait, 20)
            assert not HangingClient.answered.is_set()
            assert metrics._waiting.qsize() in {999, 1000}  # what does not fit is dropped
            HangingClient.answered.set()
            await asyncio.to_thread(metrics._waiting.join)
        assert server.wait_for("kling.") == "kling.poll:1|c"


def test_no_other_module_spells_the_name_of_a_metric() -> None:
    from pathlib import Path

    names = re.compile(r"[\"']kling\.(submit|reattach|poll|render|save)")
    home = Path(metrics.__file__).parent
    assert [path.name for path in home.rglob("*.py") if names.search(path.read_text())] == ["metrics.py"]
