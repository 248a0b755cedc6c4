"""The link "Video" on a task's page.

The service's own link dies within the hour, so ours leads to a page of the API server (`plugins.video`), which asks
for a fresh one whenever somebody follows it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

PREFIX, PAGE = "/kling", "/video"
"""Where the API server has the page; nobody else may take the prefix."""


@dataclass(frozen=True, kw_only=True)
class VideoAddress:
    """Whose render is meant; ids only, because addresses end up in logs and browser histories.

    :param dag_id: of the task instance
    :param run_id: of the task instance
    :param task_id: of the task instance
    :param map_index: of the task instance, -1 when it is not mapped
    :param kling_conn_id: Airflow connection of type `kling`
    :param render_id: the render's id at the API
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    kling_conn_id: str
    render_id: str

    def url(self, base_url: str) -> str:
        """The address as a URL.

        :param base_url: of Airflow's API server
        """
        return f"{base_url.rstrip('/')}{PREFIX}{PAGE}?{urlencode(asdict(self))}"

    @property
    def way_back(self) -> str:
        """From our page to the task's, relative, so that it holds behind any proxy."""
        mapped = ["mapped", str(self.map_index)] if self.map_index >= 0 else []
        parts = ["dags", self.dag_id, "runs", self.run_id, "tasks", self.task_id, *mapped]
        return "../" + "/".join(quote(part, safe="") for part in parts)

    @classmethod
    def read(cls, url: str) -> Self | None:
        """Read an address back; None when it is none of ours.

        :param url: what :meth:`url` made
        """
        try:
            fields: dict[str, Any] = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
            return cls(**{**fields, "map_index": int(fields.get("map_index", ""))})
        except (TypeError, ValueError):
            return None


class KlingVideoLink(BaseOperatorLink):
    """Leads to the video of an operator or sensor that has a `render_id` and a `kling_conn_id`."""

    name = "Video"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """The link, or nothing while the render's id is not known; Airflow asks after every run on a worker.

        :param operator: the task
        :param ti_key: its task instance
        """
        from airflow_provider_kling._compat import api_base_url

        render_id = getattr(operator, "render_id", None)
        if not render_id:
            return self._earlier(ti_key)
        address = VideoAddress(
            dag_id=ti_key.dag_id,
            run_id=ti_key.run_id,
            task_id=ti_key.task_id,
            map_index=ti_key.map_index,
            kling_conn_id=operator.kling_conn_id,  # type: ignore[attr-defined]
            render_id=render_id,
        )
        return address.url(api_base_url())

    def _earlier(self, ti_key: Any) -> str:
        """What this attempt pushed before it deferred: a resume that breaks early must not wipe it out."""
        pull = getattr(ti_key, "xcom_pull", None)
        earlier = pull and pull(task_ids=ti_key.task_id, key=self.xcom_key, map_indexes=ti_key.map_index)
        return earlier if isinstance(earlier, str) else ""


def push_link(operator: BaseOperator, ti: Any) -> None:
    """Hand the link out at once: Airflow does it when a run on a worker ends, which a killed worker never does.

    :param operator: the task, with its `render_id`
    :param ti: its task instance
    """
    link = KlingVideoLink()
    try:
        ti.xcom_push(key=link.xcom_key, value=link.get_link(operator, ti_key=ti))
    except Exception:  # a render never fails of it
        operator.log.warning("Could not push the link to the video; the task goes on.", exc_info=True)
