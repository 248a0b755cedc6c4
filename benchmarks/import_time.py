"""What our operator adds to a DAG file that already imports `airflow.sdk`: median of fresh interpreters, in ms.

python benchmarks/import_time.py [runs]
"""

from __future__ import annotations

import statistics
import subprocess
import sys

OPERATOR = "from airflow_provider_kling.operators.kling import KlingTextToVideoOperator"
CASES = {
    "import of the operator": OPERATOR,
    "import, and one task built and checked": f"{OPERATOR}; KlingTextToVideoOperator(task_id='render', prompt='x')",
    "import of the sensor": "from airflow_provider_kling.sensors.kling import KlingRenderSensor",
}
PROGRAM = """
import time
from airflow.sdk import DAG, BaseOperator, task
DAG, BaseOperator, task
start = time.perf_counter()
{statement}
print((time.perf_counter() - start) * 1000)
"""


def measure(statement: str) -> float:
    """Milliseconds that a statement takes in a fresh interpreter."""
    program = PROGRAM.format(statement=statement)
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def main(runs: int) -> None:
    for name, statement in CASES.items():
        times = [measure(statement) for _ in range(runs)]
        print(f"{name:40} median {statistics.median(times):6.1f} ms   (min {min(times):.1f}, max {max(times):.1f})")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
