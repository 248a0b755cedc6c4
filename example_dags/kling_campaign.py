"""A campaign: one clip per locale and aspect ratio, at most four of them rendering at a time.

The pool limits how many renders are under way: create it once, with deferred tasks counted in:

    airflow pools set kling_renders 4 "Renders under way" --include-deferred
"""

from __future__ import annotations

from airflow.sdk import DAG, Param, task

from airflow_provider_kling.operators.kling import KlingTextToVideoOperator

SLOGANS = {
    "en": "A red kettle whistles in a sunlit kitchen, the word 'Ready' in steam",
    "de": "Ein roter Kessel pfeift in einer sonnigen Küche, das Wort 'Fertig' aus Dampf",
    "es": "Una tetera roja silba en una cocina soleada, la palabra 'Listo' en vapor",
}

with DAG(
    dag_id="kling_campaign",
    schedule=None,
    catchup=False,
    tags=["kling", "example"],
    params={
        "locales": Param(sorted(SLOGANS), type="array"),
        "aspect_ratios": Param(["16:9", "9:16"], type="array"),
        "folder": Param("/tmp/kling/campaign", type="string"),  # noqa: S108
    },
):

    @task
    def plan(params: dict[str, list[str]]) -> list[dict[str, str]]:
        """One set of arguments per clip."""
        return [
            {
                "prompt": SLOGANS[locale],
                "aspect_ratio": ratio,
                "save_to": f"{params['folder']}/{locale}-{ratio.replace(':', 'x')}.mp4",
            }
            for locale in params["locales"]
            for ratio in params["aspect_ratios"]
        ]

    clips = KlingTextToVideoOperator.partial(
        task_id="render", duration=5, pool="kling_renders", map_index_template="{{ task.save_to.split('/')[-1] }}"
    ).expand_kwargs(plan())

    @task(trigger_rule="all_done")
    def report(manifests: list[dict[str, str]]) -> list[str]:
        """One refused clip does not cost the others: list what was saved."""
        return sorted(manifest["saved_to"] for manifest in manifests)

    report(clips.output)
