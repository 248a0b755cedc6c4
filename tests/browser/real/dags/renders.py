"""What the gallery shows; each prompt tells the simulator how to behave."""

from __future__ import annotations

import os
from itertools import product

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from airflow_provider_kling.operators.kling import KlingTextToVideoOperator

VIDEOS = os.environ["KLING_VIDEOS"]
ANIMALS = ("A fox", "An otter", "A heron", "A hedgehog", "A lynx", "A hare")
PLACES = ("in fresh snow", "by a lake at dawn", "on a rainy street", "in a wheat field", "under blossoming trees")
CAMPAIGN = [
    {
        "prompt": f"{animal} {place}, take {number}: slow tracking shot, golden light, shallow focus",
        "aspect_ratio": ("16:9", "16:9", "16:9", "1:1", "9:16")[number % 5],
        "sound": number % 2 == 0,
    }
    for number, (place, animal) in enumerate(product(PLACES, ANIMALS))
]
MARKUP = "<script>window.__hacked=1</script><img src=x onerror='window.__hacked=1'>"
NASTY = [
    f"nasty {MARKUP}",
    "nasty javascript:window.__hacked=1 <a href='javascript:window.__hacked=1'>click</a>",
    ("nasty <b onmouseover=window.__hacked=1>" * 100)[:2500],
]

for dag_id in (
    "single",
    "followed",
    "archive",
    "hidden_campaign",
    "fails",
    "moderated_input",
    "moderated_output",
    "uncertain",
):
    with DAG(dag_id, schedule=None):
        KlingTextToVideoOperator(
            task_id="render", prompt=f"{dag_id}: a paper boat", duration=3, save_to=f"{VIDEOS}/{dag_id}.mp4"
        )

with DAG("unsaved", schedule=None):
    KlingTextToVideoOperator(task_id="render", prompt="unsaved: a paper boat", duration=3)

with DAG("spring_campaign", schedule=None):
    KlingTextToVideoOperator.partial(
        task_id="render", duration=5, save_to=f"{VIDEOS}/spring-{{{{ ti.map_index }}}}.mp4"
    ).expand_kwargs(CAMPAIGN)

with DAG("spring_teaser", schedule=None):
    KlingTextToVideoOperator(
        task_id="render",
        prompt="Two foxes run through fresh snow, the camera keeps low beside them, breath in the cold air",
        duration=8,
        save_to=f"{VIDEOS}/teaser.mp4",
    )

with DAG("nasty", schedule=None):
    KlingTextToVideoOperator.partial(
        task_id="render", duration=3, save_to=f"{VIDEOS}/nasty-{{{{ ti.map_index }}}}.mp4"
    ).expand(prompt=NASTY)

with DAG("plain", schedule=None):
    EmptyOperator(task_id="nothing")

with DAG("forged", schedule=None):
    EmptyOperator.partial(task_id="forged").expand(doc=[str(number) for number in range(40)])
