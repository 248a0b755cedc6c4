"""The response check of `HttpEventTrigger`, alone in a file: that trigger imports the file anew at every poll."""

from __future__ import annotations

from typing import Any


async def is_over(response: Any) -> bool:
    """Whether the render has come to an end.

    :param response: what the API answered
    """
    return response.json()["task"]["status"] in {"TASK_STATUS_SUCCEED", "TASK_STATUS_FAILED"}
