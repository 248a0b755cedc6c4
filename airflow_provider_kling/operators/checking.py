"""Mistakes found before money is spent: what is known when the DAG is parsed, and all of it when the task runs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, get_args

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_kling.api.models import TextToVideo
    from airflow_provider_kling.hooks.kling import KlingHook
    from airflow_provider_kling.ledger import Record
    from airflow_provider_kling.operators.kling import KlingTextToVideoOperator

REQUEST_FIELDS = ("prompt", "multi_prompt", "negative_prompt", "duration", "aspect_ratio", "cfg_scale", "sound")
_MARKS = ("{{", "{%", "{#")
_A_YEAR = 366 * 86400.0
"""Seconds; no calendar can add an endless timeout, and it would only be found out when the render is paid."""


def check_known(
    arguments: Mapping[str, Any], *, complete: bool = True, mapped: bool = False, marks: Sequence[str] = _MARKS
) -> None:
    """Fail on every mistake that no template can mend any more.

    :param arguments: the operator's arguments; templates and upstream results are passed over
    :param complete: False when more arguments may come later; default True
    :param mapped: whether several tasks share these arguments; default False
    :param marks: what templates begin with; default Jinja's own
    :raises InvalidRequest: naming field, value and fix
    :raises InvalidTarget: when `save_to` can't work
    """
    from airflow_provider_kling.api import errors
    from airflow_provider_kling.exceptions import InvalidTarget, submit_failed
    from airflow_provider_kling.targets import InvalidPath, check_path

    known = {name: value for name, value in arguments.items() if value is not None and is_known(value, marks)}
    try:
        _check_request(arguments, known, complete=complete)
        _check_choices(known)
        if "save_to" in known:
            check_path(str(known["save_to"]))
    except errors.InvalidRequest as error:
        raise submit_failed(error) from None
    except InvalidPath as error:
        raise InvalidTarget(f"{error}. Nothing was sent or paid.") from None
    if mapped and "save_to" in known:
        raise InvalidTarget(
            f"save_to={known['save_to']!r}: all mapped tasks would write this one file; "
            "map save_to too, or put {{ task_instance.map_index }} into it. Nothing was sent or paid."
        )


def check_complete(
    operator: KlingTextToVideoOperator, hook: KlingHook, context: Context, bought: Record | None, *, cleared: bool
) -> tuple[TextToVideo, str]:
    """Find every mistake before any money is spent, now that all templates are rendered.

    :param operator: the operator
    :param hook: leads to its connection
    :param context: Airflow's task context
    :param bought: what this task instance has bought already
    :param cleared: whether a person has cleared it since
    :returns: the request and its fingerprint
    :raises InvalidRequest: naming field, value and fix
    :raises InvalidConnection: when the connection is missing or can't be used
    :raises InvalidTarget: when `save_to` can't be written to, or another mapped task writes there too
    :raises VideoUnavailable: instead of these, when a render is paid already; a retry tries again
    """
    from airflow_provider_kling.api import errors
    from airflow_provider_kling.api.models import TextToVideo, check_model
    from airflow_provider_kling.claims import claim
    from airflow_provider_kling.exceptions import InvalidTarget, VideoUnavailable, submit_failed
    from airflow_provider_kling.ledger import Phase
    from airflow_provider_kling.operators.delivery import target_of
    from airflow_provider_kling.targets import InvalidPath

    try:
        request = TextToVideo.parse(**request_fields(operator))
        check_model(operator.model)
        account = hook.account()
        if target := target_of(operator):
            target.check()
            if operator.write_manifest:
                target.beside(".json").check()
            claim(context, target)
    except (errors.InvalidRequest, errors.InvalidConnection, InvalidPath) as error:
        mistake = str(error).rstrip(".")
        if bought and (paid := _at_stake(bought, buys_anew=cleared and operator.on_clear == "render")):
            raise VideoUnavailable(f"{mistake}. {paid}", task_id=bought.task_id) from None
        if bought and bought.phase is Phase.INTENT:
            mistake += " (and an earlier submit of this task is unanswered: it may have bought a render)"
        if isinstance(error, InvalidPath):
            raise InvalidTarget(f"{mistake}. Nothing was sent or paid. Correct it and clear the task.") from None
        raise submit_failed(type(error)(mistake)) from None
    return request, request.fingerprint(model=operator.model, account=account.base_url)


def _at_stake(bought: Record, *, buys_anew: bool) -> str | None:
    """What a mistake that came up after the purchase means for the paid render; None when there is none at stake."""
    from airflow_provider_kling.ledger import Phase

    render = f"Render {bought.task_id} of this task"
    match bought.phase:
        case Phase.SUBMITTED:
            return (
                f"{render} is paid and goes on by itself. Once this is mended, a retry or a clear goes on with it and "
                "pays nothing; changed request fields buy a new one."
            )
        case Phase.RENDERED:
            return (
                f"{render} is rendered and paid. Once this is mended, a retry fetches it and pays nothing; so does a "
                "clear, unless the API has forgotten it."
            )
        case Phase.DONE if not buys_anew:
            return f"{render} was delivered before. Once this is mended, a retry hands it out again and pays nothing."
    return None


def request_bought(operator: KlingTextToVideoOperator, hook: KlingHook, bought: Record | None) -> TextToVideo | None:
    """What the operator's arguments say about the render it has bought; None when they say something else by now.

    :param operator: the operator
    :param hook: leads to its connection
    :param bought: what this task instance has bought
    """
    from airflow_provider_kling.api.errors import KlingError
    from airflow_provider_kling.api.models import TextToVideo

    try:
        request = TextToVideo.parse(**request_fields(operator))
        known = bought and bought.fingerprint
        same = not known or known == request.fingerprint(model=operator.model, account=hook.account().base_url)
    except KlingError:  # the paid video is delivered all the same
        return None
    return request if same else None


def template_marks(operator: KlingTextToVideoOperator) -> Sequence[str]:
    """What templates begin with in the operator's DAG, which may have changed Jinja's delimiters.

    :param operator: the operator
    """
    settings = (operator.dag.jinja_environment_kwargs or {}) if operator.has_dag() else {}  # type: ignore[no-untyped-call]
    own = [settings.get(f"{kind}_start_string") for kind in ("variable", "block", "comment")]
    return [mark for mark in own if mark] or _MARKS


def request_fields(operator: KlingTextToVideoOperator) -> dict[str, Any]:
    """The part of an operator's arguments that is sent.

    :param operator: the operator
    """
    return {name: getattr(operator, name) for name in REQUEST_FIELDS}


def is_known(value: Any, marks: Sequence[str] = _MARKS) -> bool:
    """Whether a value is final: no template in it, and not the result of another task.

    :param value: an argument as the DAG's author wrote it
    :param marks: what templates begin with; default Jinja's own
    """
    if isinstance(value, str):
        return not any(mark in value for mark in marks)
    if isinstance(value, Mapping):
        return all(is_known(item, marks) for item in value.values())
    if isinstance(value, list | tuple):
        return all(is_known(item, marks) for item in value)
    if hasattr(value, "model_dump"):
        return is_known(value.model_dump(), marks)
    return value is None or isinstance(value, bool | int | float | timedelta | os.PathLike)


def _check_request(arguments: Mapping[str, Any], known: Mapping[str, Any], *, complete: bool) -> None:
    from airflow_provider_kling.api.models import TextToVideo, check_model

    fields = {name: known[name] for name in REQUEST_FIELDS if name in known}
    sources = ("prompt", "multi_prompt")
    may_come = not complete or any(arguments.get(name) is not None and name not in known for name in sources)
    if may_come and not fields.keys() & set(sources):
        fields["prompt"] = "a stand-in for what is not known yet"
    TextToVideo.parse(**fields)
    if "model" in known:
        check_model(known["model"])


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
