"""Templates and mapping, rendered by Airflow itself."""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG

from airflow_provider_kling import exceptions
from airflow_provider_kling.api.models import Shot
from airflow_provider_kling.operators.kling import KlingTextToVideoOperator

if TYPE_CHECKING:
    from task_runs import TaskRun

pytestmark = pytest.mark.kling_simulator(speed=1e6, short_side=90)

VALUES = {
    "who": "fox",
    "seconds": 8,
    "scale": 0.5,
    "loud": True,
    "ratio": "9:16",
    "shots": [{"prompt": 'it\'s a "fox"', "duration": 3}, {"prompt": "schnee ❄", "duration": 4}],
}


def _context(task_run: TaskRun, **more: Any) -> Any:
    return {**task_run.context(), **VALUES, **more}


def _bought(task_run: TaskRun, **arguments: Any) -> dict[str, Any]:
    """The body of what is bought after Airflow has rendered the operator's templates."""
    operator = KlingTextToVideoOperator(task_id="render", deferrable=False, **arguments)
    context = _context(task_run)
    operator.render_template_fields(context)
    operator.execute(context)
    return task_run.simulator.accepted[-1].body


def test_every_field_is_a_template(task_run: TaskRun, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_KLING_FOX", task_run.simulator.connection_json)
    operator = KlingTextToVideoOperator(
        task_id="render",
        prompt="A {{ who }} in the snow",
        negative_prompt="no {{ who }}es",
        duration="{{ seconds }}",
        aspect_ratio="{{ ratio }}",
        cfg_scale="{{ scale }}",
        sound="{{ loud }}",
        model="kling-v3.0-{{ 'std' }}-t2v",
        save_to=f"{tmp_path}/{{{{ who }}}}.mp4",
        storage_conn_id="{{ none }}",
        kling_conn_id="kling_{{ who }}",
        deferrable=False,
    )
    context = _context(task_run)
    operator.render_template_fields(context)
    manifest = operator.execute(context)
    (bought,) = task_run.simulator.accepted
    assert bought.model == "kling-v3.0-std-t2v"
    assert bought.body == {
        "prompt": "A fox in the snow",
        "negative_prompt": "no foxes",
        "duration": 8,
        "aspect_ratio": "9:16",
        "cfg_scale": 0.5,
        "sound": True,
    }
    assert manifest["saved_to"] == str(tmp_path / "fox.mp4")
    assert set(KlingTextToVideoOperator.template_fields) == {
        *("prompt", "multi_prompt", "negative_prompt", "duration", "aspect_ratio", "cfg_scale", "sound"),
        *("model", "save_to", "storage_conn_id", "kling_conn_id"),
    }


@pytest.mark.parametrize(
    "shots",
    [
        [Shot(prompt="A {{ who }}", duration=3), Shot(prompt="asleep", duration=4)],
        [{"prompt": "A {{ who }}", "duration": "{{ 3 }}"}, {"prompt": "asleep", "duration": 4}],
        (Shot(prompt="A {{ who }}", duration=3), {"prompt": "{{ 'asleep' }}", "duration": "4"}),
    ],
    ids=["Shot", "dict", "both"],
)
def test_prompts_inside_shots_are_rendered(task_run: TaskRun, shots: Any) -> None:
    assert _bought(task_run, multi_prompt=shots) == {
        "multi_prompt": [{"prompt": "A fox", "duration": 3}, {"prompt": "asleep", "duration": 4}],
        "duration": 7,
    }


@pytest.mark.parametrize("template", ["{{ shots | tojson }}", "{{ shots }}"], ids=["JSON", "Python literal"])
def test_shots_may_come_as_one_rendered_string(task_run: TaskRun, template: str) -> None:
    body = _bought(task_run, multi_prompt=template, duration="{{ 7 }}")
    assert body == {"multi_prompt": VALUES["shots"], "duration": 7}


def test_shots_with_a_template_for_a_duration_may_be_shot_dicts_only() -> None:
    with pytest.raises(ValueError, match="duration"):
        Shot(prompt="a", duration="{{ 3 }}")


@pytest.mark.parametrize(
    ("field", "template", "value"),
    [
        ("duration", "{{ seconds }}", 8),
        ("duration", " {{ seconds }} ", 8),
        ("sound", "{{ loud }}", True),
        ("sound", "{{ not loud }}", False),
        ("sound", "false", False),
        ("cfg_scale", "{{ scale }}", 0.5),
        ("cfg_scale", "{{ 1 }}", 1),
    ],
)
def test_rendered_text_becomes_what_the_api_wants(task_run: TaskRun, field: str, template: str, value: object) -> None:
    body = _bought(task_run, prompt="a", **{field: template})
    assert body[field] == value
    assert type(body[field]) in {type(value), float if field == "cfg_scale" else type(value)}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"prompt": "{{ nothing }}"}, "prompt=''"),
        ({"prompt": "a", "duration": "{{ 99 }}"}, "duration='99'"),
        ({"prompt": "a", "sound": "{{ who }}"}, "sound='fox'"),
        ({"multi_prompt": "{{ who }}"}, "multi_prompt='fox'"),
        ({"multi_prompt": "{{ shots }}", "duration": "{{ 5 }}"}, "add up to 7 seconds"),
        ({"prompt": "a", "save_to": "{{ who }}://x/y.mp4"}, "unknown scheme 'fox'"),
        ({"prompt": "a", "kling_conn_id": "{{ who }}"}, "kling_conn_id='fox' does not exist"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_what_renders_to_a_mistake_fails_without_a_post(
    task_run: TaskRun, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(exceptions.KlingException) as failure:
        _bought(task_run, **arguments)
    assert words in str(failure.value)
    assert task_run.simulator.requests == []


def _mapped(task_run: TaskRun, mapped: Any, dag: DAG, index: int) -> dict[str, Any]:
    """Run one task of a mapped operator as the task runner does; returns what it bought."""
    task_run.ti.map_index = index
    context = _context(task_run, task=mapped, dag=dag, dag_run=SimpleNamespace(conf={}), map_index=index)
    context["params"] = {}
    mapped.render_template_fields(context)
    context["task"].execute(context)
    return task_run.simulator.accepted[-1].body


def test_a_mapped_operator_buys_one_render_per_item(forgetful_run: TaskRun) -> None:
    with DAG("d", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
        mapped = KlingTextToVideoOperator.partial(task_id="render", duration="{{ seconds }}", deferrable=False).expand(
            prompt=["A {{ who }}", "A wolf"]
        )
    bodies = [_mapped(forgetful_run, mapped, dag, index) for index in range(2)]
    assert bodies == [{"prompt": "A fox", "duration": 8}, {"prompt": "A wolf", "duration": 8}]


def test_expand_kwargs_mixes_prompts_and_shots(forgetful_run: TaskRun) -> None:
    with DAG("d", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
        mapped = KlingTextToVideoOperator.partial(task_id="render", deferrable=False).expand_kwargs(
            [{"prompt": "A {{ who }}"}, {"multi_prompt": [{"prompt": "{{ who }}", "duration": 3}], "sound": True}]
        )
    bodies = [_mapped(forgetful_run, mapped, dag, index) for index in range(2)]
    assert bodies == [
        {"prompt": "A fox"},
        {"multi_prompt": [{"prompt": "fox", "duration": 3}], "duration": 3, "sound": True},
    ]


def test_a_mistake_in_a_mapped_value_fails_its_own_task_before_anything_is_sent(forgetful_run: TaskRun) -> None:
    with DAG("d", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
        mapped = KlingTextToVideoOperator.partial(task_id="render", prompt="a", deferrable=False).expand(
            duration=[99, 5]
        )
    with pytest.raises(exceptions.InvalidRequest, match="duration=99"):
        _mapped(forgetful_run, mapped, dag, 0)
    assert forgetful_run.simulator.submits == 0
    _mapped(forgetful_run, mapped, dag, 1)
    assert forgetful_run.simulator.submits == 1
