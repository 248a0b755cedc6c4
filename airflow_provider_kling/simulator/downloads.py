"""Signed links, the films behind them, and Range requests."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from airflow_provider_kling.simulator.answers import Answer, link_refused
from airflow_provider_kling.simulator.rules import ASPECT_RATIOS, Order

if TYPE_CHECKING:
    from collections.abc import Mapping

HD_SHORT_SIDE = 1080
"""What the std and pro models deliver at most."""


class Links:
    """Signs links and checks them, as an object store does."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def query(self, task_id: str, ttl: float) -> str:
        """Return the query of a fresh link.

        :param task_id: whose film it leads to.
        :param ttl: how long it is good, in wall seconds.
        """
        expires = f"{time.time() + ttl:.6f}"
        return f"sign={self._sign(task_id, expires)}&expires={expires}"

    def refusal(self, task_id: str, query: Mapping[str, str]) -> Answer | None:
        """Return why the link is no good, or None if it is.

        :param task_id: whose film it leads to.
        :param query: its query.
        """
        expires = query.get("expires", "")
        if not hmac.compare_digest(query.get("sign", "").encode(), self._sign(task_id, expires).encode()):
            return link_refused("The signature does not match")
        return link_refused("Request has expired") if float(expires) < time.time() else None

    def _sign(self, task_id: str, expires: str) -> str:
        return hmac.new(self._secret, f"{task_id}:{expires}".encode(), hashlib.sha256).hexdigest()


class FilmStore:
    """Draws each film at its first download and keeps the latest ones.

    :param short_side: pixels of the shorter side.
    :param keep: how many films to keep in memory; 64 by default.
    """

    def __init__(self, short_side: int, keep: int = 64) -> None:
        self._short_side = short_side
        self._keep = keep
        self._films: OrderedDict[object, bytes] = OrderedDict()
        self._lock = threading.Lock()
        # One film at a time: an encoder uses every core, and a 4K one much memory.
        self._drawing = threading.Lock()

    def film(self, model: str, order: Order) -> bytes:
        """Return the MP4; the same bytes whenever it is asked for.

        :param model: the slug, which decides the size.
        :param order: what to draw.
        """
        width, height = self._size(model, order.aspect_ratio)
        key = (width, height, order)
        film = self._kept(key)
        if film is None:
            with self._drawing:
                film = self._kept(key) or self._draw(width, height, order)
            with self._lock:
                self._films[key] = film
                if len(self._films) > self._keep:
                    self._films.popitem(last=False)
        return film

    def _kept(self, key: object) -> bytes | None:
        with self._lock:
            if key in self._films:
                self._films.move_to_end(key)
            return self._films.get(key)

    def _size(self, model: str, aspect_ratio: str) -> tuple[int, int]:
        short = self._short_side if "-4k-" in model else min(self._short_side, HD_SHORT_SIDE)
        wide, high = ASPECT_RATIOS[aspect_ratio]
        unit = short / min(wide, high)
        return round(wide * unit / 2) * 2, round(high * unit / 2) * 2  # yuv420p needs even sides

    def _draw(self, width: int, height: int, order: Order) -> bytes:
        from airflow_provider_kling.simulator.video import render_video

        return render_video(
            width=width, height=height, seconds=order.seconds, sound=order.sound, shots=list(order.shots)
        )


def ranged(film: bytes, headers: Mapping[str, str]) -> Answer:
    """Answer a request for a film, or for a range of it.

    :param film: the whole file.
    :param headers: those of the request, by lower-case name.
    """
    etag = f'"{hashlib.sha256(film).hexdigest()[:32]}"'
    about = {"Content-Type": "video/mp4", "ETag": etag, "Accept-Ranges": "bytes"}
    asked = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", headers.get("range", "").replace(" ", ""))
    if not asked or asked[0] == "bytes=-" or headers.get("if-range", etag) != etag:
        return Answer(200, about, film)
    first, last = _bounds(asked[1], asked[2], len(film))
    if first > last:
        wrong_way = asked[1] and asked[2] and int(asked[1]) > int(asked[2])
        # A range that runs backwards is no range at all and is ignored; one behind the end is refused.
        return Answer(200, about, film) if wrong_way else Answer(416, {"Content-Range": f"bytes */{len(film)}"})
    return Answer(206, {**about, "Content-Range": f"bytes {first}-{last}/{len(film)}"}, film[first : last + 1])


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    if not first:
        return max(0, size - int(last)), size - 1
    return int(first), min(int(last or size - 1), size - 1)
