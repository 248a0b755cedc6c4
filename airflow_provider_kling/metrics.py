"""What is counted and timed, through Airflow's own metrics; no other module spells a metric's name.

Tags have few values: never an id, a prompt, a host or a path. Nothing here raises, and nothing holds up an event loop:
no metric is worth a paid render.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import queue
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Literal

from airflow_provider_kling._compat import stats

if TYPE_CHECKING:
    from airflow_provider_kling.api.errors import KlingError
    from airflow_provider_kling.api.waiting import Outcome

    How = Literal["incr", "timing"]
    Metric = tuple[How, str, float, dict[str, str]]

log = logging.getLogger(__name__)

_EVERY = 1.0
_polls: Counter[str] = Counter()
_told_at = [0.0]
_waiting: queue.Queue[Metric] = queue.Queue(maxsize=1000)
"""From event loops to the thread; what does not fit any more is dropped."""


def submitted(*, model: str, refusal: KlingError | None = None) -> None:
    """A submit was answered, or its answer was lost.

    :param model: model slug, checked
    :param refusal: what went wrong; default None: a render was bought
    """
    _send("incr", "kling.submit", 1, model=model, outcome=type(refusal).__name__ if refusal else "accepted")


def reattached(*, model: str) -> None:
    """A task goes on with a render that it had bought before.

    :param model: model slug, checked
    """
    _send("incr", "kling.reattach", 1, model=model)


def polled(error: KlingError | None = None) -> None:
    """It was asked how a render stands; added up for a second, as there may be hundreds of questions in one.

    :param error: why there was no usable answer; default None: there was one
    """
    _polls[type(error).__name__ if error else ""] += 1
    if time.monotonic() - _told_at[0] >= _EVERY:
        _tell()


def render_over(outcome: Outcome, *, seconds: float, like: str | None) -> None:
    """Waiting for a render has ended.

    :param outcome: how
    :param seconds: from the submit until it was seen
    :param like: the trigger's label, "model/5s"; None when others bought the render, and nobody knows since when
    """
    _tell()  # on a worker nobody may ever ask again
    if like:
        model = like.rpartition("/")[0]
        _send("timing", "kling.render.duration", seconds * 1000, model=model, outcome=outcome.value)


def saved(*, scheme: str, size: int, seconds: float) -> None:
    """A video was fetched and published.

    :param scheme: of the target, such as "file" or "s3"
    :param size: in bytes
    :param seconds: from the first question for its link until it was there
    """
    _send("incr", "kling.saved.bytes", size, scheme=scheme)
    _send("timing", "kling.save.duration", seconds * 1000, scheme=scheme)


def _tell() -> None:
    """Send what was added up."""
    polls = dict(_polls)
    _polls.clear()
    _told_at[0] = time.monotonic()
    if polls:
        _send("incr", "kling.poll", sum(polls.values()))
    for kind, count in polls.items():
        if kind:
            _send("incr", "kling.poll.error", count, kind=kind)


def _send(how: How, name: str, value: float, /, **tags: str) -> None:
    """Hand it to Airflow; by way of a thread from an event loop, as Airflow's first metric asks a name server."""
    metric = (how, name, value, tags)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        _hand_over(metric)
        return
    _start_thread()
    try:
        _waiting.put_nowait(metric)
    except queue.Full:
        log.debug("Dropped metric %s: Airflow takes none at the moment.", name)


def _hand_over(metric: Metric) -> None:
    how, name, value, tags = metric
    try:
        getattr(stats(), how)(name, value, tags=tags)
    except Exception as error:  # noqa: BLE001  # any backend's own
        log.debug("Metric %s was lost (%s).", name, type(error).__name__)


def _work() -> None:
    while True:
        _hand_over(_waiting.get())
        _waiting.task_done()


@functools.cache
def _start_thread() -> None:
    threading.Thread(target=_work, name="kling-metrics", daemon=True).start()
