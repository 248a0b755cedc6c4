"""Mistakes found before money is spent: what is known when the DAG is parsed, and all of it when the task runs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, get_args

if TYPE_CHECKING:
    from airflow_provider_kling.api.models import TextToVideo
    from airflow_provider_kling.hooks.kling import KlingHook
    from airflow_provider_kling.operators.kling import KlingTextToVideoOperator

REQUEST_FIELDS = ("prompt", "multi_prompt", "negative_prompt", "duration", "aspect_ratio", "cfg_scale", "sound")
_A_YEAR = 366 * 86400.0
"""Seconds; no calendar can add an endless timeout, and it would only be found out when the render is paid."""


def check_known(arguments: Mapping[str, Any], *, complete: bool = True) -> None:
    """Fail on every mistake that no template can mend any more.

    :param arguments: the operator's arguments; templates and upstream results are passed over
    :param complete: False when more arguments come later (`.partial()`); default True
    :raises InvalidRequest: naming field, value and fix
    :raises InvalidTarget: when `save_to` can't work
    """
    from airflow_provider_kling.api import errors
    from airflow_provider_kling.exceptions import submit_failed

    try:
        _check_request(arguments, complete=complete)
        _check_choices(arguments)
    except errors.InvalidRequest as error:
        raise submit_failed(error) from None
    save_to = arguments.get("save_to")
    if save_to is not None and is_known(save_to):
        from airflow_provider_kling.exceptions import InvalidTarget
        from airflow_provider_kling.saving import InvalidPath, check_path

        try:
            check_path(save_to)
        except InvalidPath as error:
            raise InvalidTarget(f"{error}. Nothing was sent or paid.") from None


def check_complete(operator: KlingTextToVideoOperator, hook: KlingHook) -> tuple[TextToVideo, str]:
    """Find every mistake before any money is spent, now that all templates are rendered.

    :param operator: the operator
    :param hook: leads to its connection
    :returns: the request and its fingerprint
    :raises InvalidRequest: naming field, value and fix
    :raises InvalidConnection: when the connection is missing or can't be used
    :raises InvalidTarget: when `save_to` can't be written to
    """
    from airflow_provider_kling.api import errors
    from airflow_provider_kling.api.models import TextToVideo
    from airflow_provider_kling.exceptions import InvalidTarget, submit_failed
    from airflow_provider_kling.saving import InvalidPath, check_target

    try:
        request = TextToVideo.parse(**request_fields(operator))
        account = hook.account()
        if operator.save_to is not None:
            check_target(operator.save_to, conn_id=operator.storage_conn_id)
    except (errors.InvalidRequest, errors.InvalidConnection) as error:
        raise submit_failed(error) from None
    except InvalidPath as error:
        raise InvalidTarget(f"{error}. Nothing was sent or paid. Correct it and clear the task.") from None
    return request, request.fingerprint(model=operator.model, account=account.base_url)


def request_fields(operator: KlingTextToVideoOperator) -> dict[str, Any]:
    """The part of an operator's arguments that is sent.

    :param operator: the operator
    """
    return {name: getattr(operator, name) for name in REQUEST_FIELDS}


def is_known(value: Any) -> bool:
    """Whether a value is final: no template in it, and not the result of another task.

    :param value: an argument as the DAG's author wrote it
    """
    if isinstance(value, str):
        return not any(mark in value for mark in ("{{", "{%", "{#"))
    if isinstance(value, Mapping):
        return all(map(is_known, value.values()))
    if isinstance(value, list | tuple):
        return all(map(is_known, value))
    if hasattr(value, "model_dump"):
        return is_known(value.model_dump())
    return value is None or isinstance(value, bool | int | float)


def _check_request(arguments: Mapping[str, Any], *, complete: bool) -> None:
    from airflow_provider_kling.api.errors import InvalidRequest
    from airflow_provider_kling.api.models import TextToVideo

    given = {name: arguments[name] for name in REQUEST_FIELDS if arguments.get(name) is not None}
    known = {name: value for name, value in given.items() if is_known(value)}
    if all(name in known or isinstance(given.get(name), str) for name in ("prompt", "multi_prompt")):
        raise InvalidRequest("prompt and multi_prompt exclude each other: remove one of them")
    still_open = not complete or any(name in given and name not in known for name in ("prompt", "multi_prompt"))
    if still_open and not {"prompt", "multi_prompt"} & known.keys():
        known["prompt"] = "a stand-in for what is not known yet"
    TextToVideo.parse(**known)


def _check_choices(arguments: Mapping[str, Any]) -> None:
    from airflow_provider_kling.api.errors import InvalidRequest
    from airflow_provider_kling.ledger import OnClear, OnUncertainSubmit

    for name, choices in (("on_uncertain_submit", get_args(OnUncertainSubmit)), ("on_clear", get_args(OnClear))):
        value = arguments.get(name, choices[0])
        if value not in choices:
            raise InvalidRequest(f"{name}={value!r}: must be {' or '.join(map(repr, choices))}")
    timeout = arguments.get("timeout", 1)
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= _A_YEAR:
        raise InvalidRequest(f"timeout={timeout!r}: must be a timedelta or a number of seconds above 0, at most a year")
