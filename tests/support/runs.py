"""What the tests in a real Airflow share: names, and a finished run with its questions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_kling.demo.local_airflow import LocalAirflow

KEY = "sk_this_key_must_be_nowhere_4711"
WRONG_KEY = "sk_wrong_and_nowhere_either_4712"

SCENARIOS = (
    "ok", "on_worker", "no_xcom", "fails_once", "moderated_input", "moderated_output", "times_out",
    "execution_times_out", "rate_limited", "service_down", "uncertain", "bad_input", "bad_key", "sensor_times_out",
    "not_saved", "same_target",
)  # fmt: skip
"""Started together, so that their waiting times overlap."""


@dataclass(frozen=True)
class Run:
    """A finished DAG run."""

    airflow: LocalAirflow
    dag_id: str
    run_id: str
    state: str

    def succeeded(self) -> bool:
        """Whether it did; says what the logs say when it did not."""
        if self.state != "success":
            for ti in self.airflow.task_instances(self.dag_id, self.run_id):
                print(ti["task_id"], ti["map_index"], ti["state"], ti["try_number"])
                if ti["state"] == "failed":
                    print(self.airflow.logs(self.dag_id, self.run_id, ti["task_id"], ti["try_number"], ti["map_index"]))
        return self.state == "success"

    def task(self, task_id: str = "render") -> dict[str, Any]:
        """The task instance."""
        (found,) = (ti for ti in self.airflow.task_instances(self.dag_id, self.run_id) if ti["task_id"] == task_id)
        return found

    def log(self, try_number: int = 1, task_id: str = "render") -> str:
        """The log of one attempt."""
        return self.airflow.logs(self.dag_id, self.run_id, task_id, try_number)

    def xcom(self, task_id: str = "render", **more: Any) -> Any:
        """What the task returned."""
        return self.airflow.xcom(self.dag_id, self.run_id, task_id, **more)
