"""A mistake fails when the DAG is parsed, or, behind a template, before anything is sent."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG, BaseOperator
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_kling import exceptions
from airflow_provider_kling._compat import AirflowFailException
from airflow_provider_kling.api.models import Shot
from airflow_provider_kling.operators.checking import is_known
from airflow_provider_kling.operators.kling import KlingTextToVideoOperator

if TYPE_CHECKING:
    from pathlib import Path

    from task_runs import TaskRun

pytestmark = pytest.mark.filterwarnings("ignore:Task 'render' was never mapped")

WRONG: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "blank prompt": ({"prompt": "  "}, ("prompt='  '", "1 to 2500 characters")),
    "both prompts": (
        {"prompt": "a", "multi_prompt": [{"prompt": "b", "duration": 3}]},
        ("prompt", "multi_prompt", "exclude each other", "remove one"),
    ),
    "prompt too long": ({"prompt": "x" * 2501}, ("prompt=", "2501 characters", "1 to 2500")),
    "duration too short": ({"prompt": "a", "duration": 2}, ("duration=2", "from 3 to 15")),
    "duration too long": ({"prompt": "a", "duration": 16}, ("duration=16", "from 3 to 15")),
    "duration not whole": ({"prompt": "a", "duration": 5.5}, ("duration=5.5", "whole number")),
    "duration no number": ({"prompt": "a", "duration": "abc"}, ("duration='abc'", "such as 5")),
    "duration true": ({"prompt": "a", "duration": True}, ("duration=True", "whole number")),
    "cfg_scale below": ({"prompt": "a", "cfg_scale": -0.1}, ("cfg_scale=-0.1", "from 0 to 1")),
    "cfg_scale above": ({"prompt": "a", "cfg_scale": 1.1}, ("cfg_scale=1.1", "such as 0.5")),
    "aspect_ratio": ({"prompt": "a", "aspect_ratio": "4:3"}, ("aspect_ratio='4:3'", '"16:9", "9:16", "1:1"')),
    "negative_prompt": ({"prompt": "a", "negative_prompt": "x" * 2501}, ("negative_prompt=", "at most 2500")),
    "sound": ({"prompt": "a", "sound": "loud"}, ("sound='loud'", "true or false")),
    "shots sum": (
        {"multi_prompt": [{"prompt": "b", "duration": 3}], "duration": 4},
        ("duration=4", "add up to 3 seconds", "make them equal"),
    ),
    "no shots": ({"multi_prompt": []}, ("multi_prompt=[]", "non-empty list")),
    "shot field": (
        {"multi_prompt": [{"prompt": "b", "duration": 3, "style": "x"}]},
        ("multi_prompt.0.style", "no such field", "prompt, duration"),
    ),
    "blank shot": ({"multi_prompt": [{"prompt": " ", "duration": 3}]}, ("multi_prompt.0.prompt=' '", "not blank")),
    "shot without duration": (
        {"multi_prompt": [{"prompt": "b"}]},
        ("multi_prompt.0.duration is missing", "at least 1"),
    ),
    "unknown scheme": (
        {"prompt": "a", "save_to": "s4://b/v.mp4"},
        ("save_to='s4://b/v.mp4'", "unknown scheme", "s3://"),
    ),
    "read-only scheme": ({"prompt": "a", "save_to": "https://h/v.mp4"}, ("save_to=", "can't be written to")),
    "folder": ({"prompt": "a", "save_to": "/videos/"}, ("save_to='/videos/'", "name the file")),
    "on_clear": ({"prompt": "a", "on_clear": "resubmit"}, ("on_clear='resubmit'", "'render' or 'reuse'")),
    "on_uncertain_submit": (
        {"prompt": "a", "on_uncertain_submit": "reuse"},
        ("on_uncertain_submit='reuse'", "'fail' or 'resubmit'"),
    ),
    "timeout zero": ({"prompt": "a", "timeout": 0}, ("timeout=0", "above 0")),
    "timeout negative": ({"prompt": "a", "timeout": timedelta(seconds=-1)}, ("timeout=", "above 0")),
    "timeout no number": ({"prompt": "a", "timeout": "3600"}, ("timeout='3600'", "timedelta or a number")),
    "timeout endless": ({"prompt": "a", "timeout": float("inf")}, ("timeout=inf", "timedelta or a number")),
    "timeout nan": ({"prompt": "a", "timeout": float("nan")}, ("timeout=nan", "timedelta or a number")),
    "timeout of ages": ({"prompt": "a", "timeout": timedelta.max}, ("timeout=", "timedelta or a number")),
}  # fmt: skip
wrong = pytest.mark.parametrize(("arguments", "words"), WRONG.values(), ids=WRONG)

AT_RUN = {name: case for name, case in WRONG.items() if not name.startswith(("timeout", "on_", "both"))}


@wrong
def test_a_mistake_fails_when_the_dag_is_parsed(arguments: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(AirflowFailException) as failure:
        KlingTextToVideoOperator(task_id="render", **arguments)
    for word in words:
        assert word in str(failure.value)
    assert "Nothing was sent or paid." in str(failure.value)


@wrong
def test_a_mistake_in_a_mapped_task_fails_when_the_dag_is_parsed(
    arguments: dict[str, Any], words: tuple[str, ...]
) -> None:
    with pytest.raises(AirflowFailException) as failure:
        KlingTextToVideoOperator.partial(task_id="render", **arguments)
    for word in words:
        assert word in str(failure.value)


@pytest.mark.kling_simulator(speed=1e6, short_side=90)
@pytest.mark.parametrize(("arguments", "words"), AT_RUN.values(), ids=AT_RUN)
def test_a_mistake_behind_a_template_fails_before_anything_is_sent(
    task_run: TaskRun, arguments: dict[str, Any], words: tuple[str, ...]
) -> None:
    templates: dict[str, Any] = {name: f"{{{{ {name} }}}}" for name in arguments}
    operator = KlingTextToVideoOperator(task_id="render", **templates)
    for name, value in arguments.items():  # what Airflow's rendering leaves behind
        setattr(operator, name, value)
    with pytest.raises(AirflowFailException) as failure:
        operator.execute(task_run.context())
    for word in words:
        assert word in str(failure.value)
    assert isinstance(failure.value, exceptions.KlingException)
    assert failure.value.bought == "no"
    assert task_run.simulator.submits == 0
    assert task_run.journal.entries == []


def test_without_any_prompt_it_fails_when_the_dag_is_parsed() -> None:
    with pytest.raises(exceptions.InvalidRequest, match="prompt is missing: give prompt, or multi_prompt"):
        KlingTextToVideoOperator(task_id="render")


def test_a_mapped_task_may_get_its_prompt_later() -> None:
    KlingTextToVideoOperator.partial(task_id="render", duration=5)


def test_two_templates_for_prompt_and_multi_prompt_may_come_to_one_as_native_objects() -> None:
    KlingTextToVideoOperator(task_id="render", prompt="{{ a }}", multi_prompt="{{ b }}")


def test_a_dag_may_have_template_delimiters_of_its_own() -> None:
    with DAG(dag_id="own_marks", schedule=None, jinja_environment_kwargs={"variable_start_string": "<<"}):
        KlingTextToVideoOperator(task_id="render", prompt="a", duration="<< params.seconds >>")


def test_a_subclass_may_fill_in_the_prompt_later() -> None:
    class Later(KlingTextToVideoOperator):
        pass

    Later(task_id="render")


def test_mapped_tasks_may_not_share_one_file() -> None:
    with pytest.raises(exceptions.InvalidTarget, match="all mapped tasks would write this one file"):
        KlingTextToVideoOperator.partial(task_id="render", save_to="/tmp/one.mp4")
    KlingTextToVideoOperator.partial(task_id="render", save_to="/tmp/{{ task_instance.map_index }}.mp4")


def test_an_argument_the_operator_does_not_have_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="promt"):
        KlingTextToVideoOperator(task_id="render", promt="a")
    with pytest.raises(TypeError, match="promt"):
        KlingTextToVideoOperator.partial(task_id="render", promt="a")
    with pytest.raises(TypeError, match="promt"):
        KlingTextToVideoOperator.partial(task_id="render").expand(promt=["a"])


@pytest.mark.parametrize(
    "arguments",
    [
        {"prompt": "a", "duration": "8", "cfg_scale": "0.5", "sound": "true"},
        {"prompt": "x" * 2500, "negative_prompt": "x" * 2500, "duration": 15, "cfg_scale": 0},
        {"prompt": "a", "duration": 3.0, "cfg_scale": 1, "aspect_ratio": "1:1", "timeout": 0.5},
        {"multi_prompt": [Shot(prompt="b", duration=1), {"prompt": "c", "duration": "2"}]},
        {"prompt": "{{ a }}", "duration": "{{ b }}", "save_to": "{{ c }}", "multi_prompt": None},
        {"prompt": "{% if x %}a{% endif %}", "cfg_scale": "{# none #}0.5"},
        {"multi_prompt": "{{ shots }}", "duration": 5},
        {"multi_prompt": [{"prompt": "{{ a }}", "duration": "{{ b }}"}], "duration": 5},
        {"prompt": "a", "save_to": "videos/{{ ti.map_index }}.mp4", "timeout": timedelta(days=30)},
    ],
    ids=str,
)
def test_what_is_right_or_not_known_yet_passes(arguments: dict[str, Any]) -> None:
    KlingTextToVideoOperator(task_id="render", **arguments)
    KlingTextToVideoOperator.partial(task_id="render", **arguments)


def test_the_known_fields_beside_a_template_are_checked_all_the_same() -> None:
    with pytest.raises(exceptions.InvalidRequest, match="duration=99"):
        KlingTextToVideoOperator(task_id="render", prompt="{{ a }}", duration=99)


def test_results_of_other_tasks_are_passed_over() -> None:
    with DAG("d", schedule=None, start_date=datetime(2026, 1, 1)):
        upstream: Any = BaseOperator(task_id="upstream").output
        operator = KlingTextToVideoOperator(task_id="render", prompt=upstream, duration=upstream, save_to=upstream)
    assert operator.upstream_task_ids == {"upstream"}


@given(text=st.text(), mark=st.sampled_from(["{{ x }}", "{% x %}", "{# x #}"]))
def test_a_value_with_a_template_anywhere_is_not_known(text: str, mark: str) -> None:
    for value in (text + mark, [text + mark], {"a": {"b": mark + text}}, (1, [mark])):
        assert not is_known(value)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text("abc :/"), st.lists))
def test_a_value_without_template_is_known(value: Any) -> None:
    assert is_known(value)
    assert is_known({"a": value})


BAD_CONNECTIONS: dict[str, tuple[dict[str, Any] | None, str]] = {
    "missing": (None, "does not exist: create it in Admin > Connections"),
    "no key": ({"conn_type": "kling"}, "no API key"),
    "blank key": ({"conn_type": "kling", "password": " "}, "no API key"),
    "no URL": ({"conn_type": "kling", "password": "k", "host": "not a url"}, "no http"),
    "wrong scheme": ({"conn_type": "kling", "password": "k", "host": "ftp://h"}, "no http"),
    "plain http": ({"conn_type": "kling", "password": "k", "host": "http://api.highwayapi.ai"}, "use https"),
    "bad timeout": ({"conn_type": "kling", "password": "k", "extra": {"timeout": -1}}, "timeout=-1"),
}


@pytest.mark.kling_simulator(speed=1e6, short_side=90)
@pytest.mark.parametrize(("connection", "words"), BAD_CONNECTIONS.values(), ids=BAD_CONNECTIONS)
def test_a_connection_that_cannot_work_fails_before_anything_is_sent(
    task_run: TaskRun, monkeypatch: pytest.MonkeyPatch, connection: dict[str, Any] | None, words: str
) -> None:
    if connection is None:
        monkeypatch.delenv("AIRFLOW_CONN_KLING_DEFAULT")
    else:
        monkeypatch.setenv("AIRFLOW_CONN_KLING_DEFAULT", json.dumps(connection))
    with pytest.raises(exceptions.InvalidConnection) as failure:
        task_run.start()
    assert isinstance(failure.value, AirflowFailException)
    assert "Connection kling_conn_id='kling_default'" in str(failure.value)
    assert words in str(failure.value)
    assert (task_run.simulator.submits, task_run.journal.entries) == (0, [])


@pytest.mark.kling_simulator(speed=1e6, short_side=90)
def test_a_target_that_cannot_be_written_fails_before_anything_is_sent(task_run: TaskRun, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for target, words in {
        "abfs://container/fox.mp4": "pip install apache-airflow-providers-microsoft-azure",
        str(tmp_path): "is a folder",
        str(tmp_path / "file" / "fox.mp4"): "folder can't be made",
    }.items():
        with pytest.raises(exceptions.InvalidTarget) as failure:
            task_run.start(save_to=target)
        assert words in str(failure.value)
        assert f"save_to={target!r}" in str(failure.value)
    assert (task_run.simulator.submits, task_run.journal.entries) == (0, [])


@pytest.mark.kling_simulator(speed=1e6, short_side=90)
@pytest.mark.parametrize("model", ["", "../openai", "a/b", "a b"])
def test_a_model_that_is_no_name_fails_before_anything_is_sent(task_run: TaskRun, model: str) -> None:
    with pytest.raises(exceptions.InvalidRequest, match="must be a model name such as"):
        task_run.start(model=model)
    assert task_run.simulator.requests == []
