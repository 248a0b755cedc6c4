"""People who look at our pages in a browser, and what must not have happened by the time they leave."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from guarded_airflow import ADMIN, PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from guarded_airflow import GuardedAirflow
    from playwright.sync_api import Browser, BrowserContext, Dialog, Frame, Locator, Page

NOT_AIRFLOWS_OWN = re.compile(r"^(?!.*/static/)")


class Visits:
    """Opens windows; closing finds out what went wrong in them.

    :param browser: a Chromium
    :param airflow: to be visited
    :param folder: where what the browser received is written to
    :param secrets: what must be in nothing of it
    """

    def __init__(self, browser: Browser, airflow: GuardedAirflow, folder: Path, secrets: Iterable[str]) -> None:
        self._browser, self._airflow, self._folder, self._secrets = browser, airflow, folder, list(secrets)
        self._contexts: list[BrowserContext] = []
        self._wrong: list[str] = []
        self.elsewhere = [f"{airflow.base_url.removesuffix(PREFIX)}/", "data:", "blob:"]

    def begin(self, user: str | None = ADMIN, *, theme: str = "light", width: int = 1280, height: int = 900) -> Page:
        """Open a window.

        :param user: who is signed in; None: nobody
        :param theme: of Airflow, "light" or "dark"
        :param width: of the window
        :param height: of the window
        """
        context = self._browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if theme == "dark" else "light",
            record_har_path=self._folder / f"traffic-{len(self._contexts)}.har",
            record_har_content="embed",
            record_har_url_filter=NOT_AIRFLOWS_OWN,
        )
        context.add_init_script(f"localStorage.setItem('theme', '{theme}')")
        if user:
            self._airflow.sign_in(context, user)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: self._wrong.append(f"error: {error}"))
        page.on("dialog", self._refuse)
        page.on("console", lambda message: self._read(message.text))
        context.on("request", lambda request: self._look_where(request.url))
        self._contexts.append(context)
        return page

    def end(self) -> list[tuple[str, str]]:
        """Close all windows, and tell what they received, addresses with headers and bodies.

        :raises AssertionError: when anything happened that must not
        """
        frames = [frame for context in self._contexts for page in context.pages for frame in page.frames]
        self._wrong += [f"hacked: {frame.url}" for frame in frames if frame.evaluate("window.__hacked")]
        while self._contexts:
            self._contexts.pop().close()
        answers = [answer for har in self._folder.glob("traffic-*.har") for answer in _received(har)]
        self._wrong += [f"{secret!r} in {url}" for url, text in answers for secret in self._secrets if secret in text]
        assert not self._wrong
        return answers

    def _refuse(self, dialog: Dialog) -> None:
        self._wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _read(self, message: str) -> None:
        if "Content Security Policy" in message:
            self._wrong.append(message)

    def _look_where(self, url: str) -> None:
        if not url.startswith(tuple(self.elsewhere)):
            self._wrong.append(f"request: {url}")


def _received(har: Path) -> list[tuple[str, str]]:
    answers = []
    for entry in json.loads(har.read_text())["log"]["entries"]:
        content = entry["response"]["content"]
        text = content.get("text", "")
        if content.get("encoding") == "base64":
            text = base64.b64decode(text).decode("latin-1")
        headers = " ".join(header["value"] for header in entry["response"]["headers"])
        answers.append((entry["request"]["url"], f"{headers} {text}"))
    return answers


def gallery_url(airflow: GuardedAirflow, **filters: Any) -> str:
    """The gallery alone, without Airflow around it.

    :param airflow: whose
    :param filters: as its address has them
    """
    return f"{airflow.base_url}/kling/gallery?{urlencode(filters, quote_via=quote)}"


def task_url(airflow: GuardedAirflow, dag_id: str, run_id: str, task_id: str = "render", map_index: int = -1) -> str:
    """Airflow's page of a task instance.

    :param airflow: whose
    :param dag_id: of the task instance
    :param run_id: of the task instance
    :param task_id: of the task instance
    :param map_index: of the task instance
    """
    mapped = f"/mapped/{map_index}" if map_index >= 0 else ""
    return f"{airflow.base_url}/dags/{dag_id}/runs/{quote(run_id, safe=':+')}/tasks/{task_id}{mapped}"


def player_url(airflow: GuardedAirflow, **where: Any) -> str:
    """The player alone, without Airflow around it.

    :param airflow: whose
    :param where: ids of the task instance
    """
    return f"{airflow.base_url}/kling/player?{urlencode(where, quote_via=quote)}"


def our_frame(page: Page) -> Frame:
    """Our page inside Airflow's.

    :param page: Airflow's
    """
    frame = page.locator("iframe").element_handle().content_frame()
    assert frame
    return frame


def wait_until_it_plays(video: Locator) -> None:
    """Return when a video has got on.

    :param video: the element
    """
    element = video.element_handle()
    frame = element.owner_frame()
    assert frame
    begun = element.evaluate("video => video.currentTime")
    script = "([video, begun]) => !video.paused && video.videoWidth > 0 && video.currentTime > begun + 0.5"
    frame.wait_for_function(script, arg=[element, begun])
