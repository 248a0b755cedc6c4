"""The service itself: a call comes in, an answer goes out."""

from __future__ import annotations

import dataclasses
import hmac
import ipaddress
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_kling.simulator import rules
from airflow_provider_kling.simulator.answers import (
    Answer,
    Call,
    error_answer,
    json_answer,
    task_not_found,
    text_answer,
)
from airflow_provider_kling.simulator.downloads import FilmStore, Links, ranged
from airflow_provider_kling.simulator.fault_queue import FaultQueue, by_name
from airflow_provider_kling.simulator.faults import Fail, Fault, Never
from airflow_provider_kling.simulator.journal import Accepted, Journal, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_kling.simulator.limit import SubmitLimit
    from airflow_provider_kling.simulator.studio import Studio, Task

ASYNC = "/v3/async/"
RESULT = "/v3/async/task-result"
FILES = "/files/"
CONTROL = "/simulator/"
WELCOME = """This is a simulator of the Highway API for Kling v3.0 text-to-video. It buys nothing.

POST   /v3/async/kling-v3.0-4k-t2v         buy a (simulated) render
GET    /v3/async/task-result?task_id=...   ask how it goes
GET    /simulator/state                    what was asked and bought so far
POST   /simulator/faults                   misbehave: {"fault": "RateLimited", "on": "submit", "times": 1}
DELETE /simulator/faults                   behave again
"""


class Service:
    """Answers calls as the Highway API would, unless a fault says otherwise. Thread safe.

    :param api_key: the key that callers must show.
    :param studio: where renders take their time.
    :param films: where their videos come from.
    :param link_ttl: how long a link is good, in wall seconds.
    :param eta: whether to tell the remaining wall seconds; the real service says 0.
    :param limit: how many submits it takes; None for all.
    """

    def __init__(
        self, *, api_key: str, studio: Studio, films: FilmStore, link_ttl: float, eta: bool, limit: SubmitLimit | None
    ) -> None:
        self.api_key = api_key
        self.link_ttl = link_ttl
        self.studio = studio
        self.faults = FaultQueue()
        self.journal = Journal()
        self._films = films
        self._links = Links()
        self._eta = eta
        self._limit = limit

    def respond(self, call: Call) -> Answer:
        """Return the answer to a call, faults included, and note it in the journal."""
        if call.path.startswith(CONTROL):
            return self._control(call)
        stage, proper = self._route(call)
        fault = self._fault(stage, call) if stage else None
        if overlooked := getattr(fault, "overlooks", None):
            headers = {name: value for name, value in call.headers.items() if name not in overlooked}
            _, proper = self._route(replace(call, headers=headers))
        return self._noted(call, stage, _bent(fault, proper))

    def respond_unread(self, call: Call) -> Answer | None:
        """Return the answer of a fault that strikes before the body is read, if there is one."""
        stage, _ = self._route(call)
        fault = self.faults.take_unread(stage) if stage else None
        if fault is None:
            return None
        return self._noted(call, stage, _bent(fault, Answer))

    def _route(self, call: Call) -> tuple[str | None, Callable[[], Answer]]:
        if call.method == "POST" and call.path.startswith(ASYNC):
            return "submit", partial(self._submit, call)
        if call.method == "GET" and call.path == RESULT:
            return "poll", partial(self._poll, call)
        if call.method in ("GET", "HEAD") and call.path.startswith(FILES):
            return "download", partial(self._download, call)
        if call.method in ("GET", "HEAD") and call.path == "/":
            return None, partial(text_answer, WELCOME)
        return None, partial(text_answer, "404 page not found", 404)

    def _fault(self, stage: str, call: Call) -> Fault | None:
        if stage == "submit":
            return self.faults.take(stage, rules.prompts_in(call.body))
        task = self._task_of(call)
        if task is None:
            return self.faults.take(stage)
        return self.faults.take(stage, task.order.prompts, finished=self.studio.ended(task))

    def _task_of(self, call: Call) -> Task | None:
        if call.path == RESULT:
            return self.studio.find(call.query.get("task_id", ""))
        return self.studio.find(call.path.removeprefix(FILES).removesuffix(".mp4"))

    def _noted(self, call: Call, stage: str | None, answer: Answer) -> Answer:
        authorized = "authorization" in call.headers
        headers = {**call.headers, "authorization": "***"} if authorized else call.headers
        status = answer.status if answer.ending == "answer" else None
        self.journal.record(
            Request(time.time(), call.method, call.path, call.query, call.body, authorized, headers, status),
            stage,
        )
        return answer

    def _key_refusal(self, call: Call) -> Answer | None:
        shown = call.headers.get("authorization", "")
        if not shown:
            return error_answer(403, "INVALID_API_KEY", "invalid api-key")
        if not hmac.compare_digest(shown.encode(), f"Bearer {self.api_key}".encode()):
            return error_answer(401, "FAILED_TO_AUTH", "failed to authenticate API key")
        return None

    def _submit(self, call: Call) -> Answer:
        refusal = self._key_refusal(call) or (self._limit and self._limit.refusal())
        if refusal:
            return refusal
        model = call.path.removeprefix(ASYNC)
        if model not in rules.MODELS:
            return error_answer(404, "MODEL_NOT_FOUND", f"model {model!r} not found")
        if not call.is_json or call.body is None:
            return error_answer(400, "INVALID_REQUEST_BODY", "Content-Type, body: must be a JSON object")
        try:
            order = rules.check(call.body)
        except rules.RefusedError as refused:
            return error_answer(400, "INVALID_REQUEST_BODY", str(refused))
        fate = self.faults.take("render", order.prompts)
        task = self.studio.accept(model, order, fate if isinstance(fate, Fail | Never) else None)
        self.journal.buy(Accepted(task.task_id, model, call.body, time.time(), order.seconds, order.sound))
        return json_answer({"task_id": task.task_id})

    def _poll(self, call: Call) -> Answer:
        refusal = self._key_refusal(call)
        if refusal:
            return refusal
        task = self._task_of(call)
        if task is None:
            return task_not_found()
        shown = self.studio.describe(task)
        videos = []
        if shown["status"] == "TASK_STATUS_SUCCEED":
            # The link leads back the way the caller came, which from a container is not our own address.
            link = f"http://{call.headers['host']}{FILES}{task.task_id}.mp4"
            query = self._links.query(task.task_id, self.link_ttl)
            ttl = str(int(self.link_ttl))
            videos = [{"video_url": f"{link}?{query}", "video_url_ttl": ttl, "video_type": "mp4"}]
        if not self._eta:
            shown["eta"] = 0
        return json_answer({"extra": {}, "task": shown, "images": [], "videos": videos, "audios": []})

    def _download(self, call: Call) -> Answer:
        task = self._task_of(call)
        if task is None or not call.path.endswith(".mp4"):
            return text_answer("404 page not found", 404)
        refusal = self._links.refusal(task.task_id, call.query)
        if refusal:
            return refusal
        try:
            return ranged(self._films.film(task.model, task.order), call.headers)
        except ModuleNotFoundError as missing:  # the message says what to install
            return text_answer(str(missing), 500)

    def _control(self, call: Call) -> Answer:
        if not ipaddress.ip_address(call.peer).is_loopback:
            return text_answer("only from this machine", 403)
        if (call.method, call.path) == ("GET", "/simulator/state"):
            return json_answer(self.state())
        if (call.method, call.path) == ("DELETE", "/simulator/faults"):
            self.faults.clear()
            return json_answer({})
        if (call.method, call.path) == ("POST", "/simulator/faults"):
            return self._inject(call)
        return text_answer("404 page not found", 404)

    def _inject(self, call: Call) -> Answer:
        # Insisting on the content type keeps web pages from other sites out.
        if not call.is_json or call.body is None:
            return text_answer("a JSON object, please", 400)
        wish = {"on": "submit", "times": 1, "prompt": None, "after": 0, **call.body}
        try:
            lining_up = {name: wish.pop(name) for name in ("on", "times", "prompt", "after")}
            self.faults.add(by_name(str(wish.pop("fault", None)), **wish), **lining_up)
        except (TypeError, ValueError) as error:
            return text_answer(str(error), 400)
        return json_answer({})

    def state(self) -> dict[str, object]:
        """Return the counts and the renders bought, ready for JSON."""
        accepted = self.journal.accepted()
        return {
            "submits": self.journal.count("submit"),
            "polls": self.journal.count("poll"),
            "downloads": self.journal.count("download"),
            "billed_seconds": sum(render.seconds for render in accepted),
            "accepted": [dataclasses.asdict(render) for render in accepted],
        }


def _bent(fault: Fault | None, proper: Callable[[], Answer]) -> Answer:
    return proper() if fault is None or isinstance(fault, Fail | Never) else fault.answer(proper)
