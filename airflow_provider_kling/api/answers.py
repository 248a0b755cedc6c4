"""An HTTP answer without the HTTP library, read liberally."""

from __future__ import annotations

import email.utils
import json
import re
import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_A_DAY = 86400.0
_SLASH = r"(?:\\?/|\\u002f)"
_LINK = re.compile(rf"(https?:{_SLASH}{{2}}[^\s?]+)(\?\S+)?", re.IGNORECASE)
"""A link, also as it stands in JSON; one without a query matches too, or 256 KB of them would take minutes."""
TASK_ID = re.compile(r"[!-~]{1,200}")
"""It goes into logs, XCom and the database: whatever is not plain and short is no id."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer without the HTTP library.

    :param status: HTTP status
    :param body: the whole body
    :param headers: header names (any case) and values
    :param secret: what no message may repeat: the key, should the service echo it; default: nothing
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    secret: str = field(default="", repr=False)

    def hush(self, text: str) -> str:
        """The text without the secret and without the signature of links; to be called before anything is cut off.

        :param text: words of the service
        """
        text = text.replace(self.secret, "***") if self.secret else text
        return _LINK.sub(lambda link: f"{link[1]}?***" if link[2] else link[0], text)

    def words(self, text: str) -> str:
        """Words of the service for the log: hushed, and on one line.

        :param text: words of the service
        """
        return "".join(letter if letter.isprintable() else " " for letter in self.hush(text))

    @cached_property
    def json(self) -> dict[str, Any] | None:
        """The body as a JSON object, unwrapped from a `data` envelope; None when it is anything else."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        if not isinstance(value, dict):
            return None
        inner = value.get("data")
        return {**value, **inner} if isinstance(inner, dict) else value

    @property
    def task_id(self) -> str | None:
        """The task id that the answer to a POST carries, if it carries one."""
        value = (self.json or {}).get("task_id")
        if isinstance(value, bool) or not isinstance(value, str | int):
            return None
        found = TASK_ID.fullmatch(str(value).strip())
        return found and found[0]

    @cached_property
    def error(self) -> ServiceError | None:
        """The service's own error body, if that is what this is; a `reason` is its mark, proxies have none."""
        body = self.json or {}
        nested = body.get("error")
        body = nested if isinstance(nested, dict) else body
        reason = body.get("reason")
        if not isinstance(reason, str) or not re.fullmatch(r"[A-Z][A-Z0-9_]{1,99}", reason):
            return None
        code = str(body.get("code", ""))
        return ServiceError(
            reason=reason,
            message=self.hush(str(body.get("message") or ""))[:500],
            status=int(code) if re.fullmatch(r"[1-5]\d\d", code) else self.status,
        )

    @property
    def trace_id(self) -> str | None:
        """The request id among the headers; the API documents none, so any usual name counts."""
        for name, value in self.headers.items():
            if re.search(r"trace|request-?id", name, re.IGNORECASE):
                return self.hush(value)[:200]
        return None

    @property
    def retry_after(self) -> float | None:
        """Seconds (a day at most) that `Retry-After` asks for, a number or an HTTP date; None when unreadable."""
        text = next((v for k, v in self.headers.items() if k.lower() == "retry-after"), "").strip()
        if re.fullmatch(r"\d+(\.\d+)?", text):
            return min(float(text), _A_DAY)
        try:
            return min(max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time()), _A_DAY)
        except (ValueError, TypeError, OverflowError):
            return None


@dataclass(frozen=True)
class ServiceError:
    """The error body `{"code", "reason", "message"}` of the service."""

    reason: str
    message: str
    status: int
