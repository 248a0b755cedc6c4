"""The README's code works as printed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_there_is_code_to_try() -> None:
    assert len(BLOCKS) == 5


@pytest.mark.parametrize("code", BLOCKS, ids=lambda code: code.strip().splitlines()[-1].strip()[:40])
def test_a_code_block_runs_under_pytest_as_it_is(code: str, tmp_path: Path) -> None:
    """A DAG or helper must import, and the test of the README must pass."""
    if "KlingRetryPolicy" in code:
        pytest.importorskip("airflow.sdk.definitions.retry_policy", reason="retry policies came with Airflow 3.3")
    (tmp_path / "test_block.py").write_text(code)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100, cwd=tmp_path)
    has_tests = "def test_" in code
    assert done.returncode == (0 if has_tests else 5), done.stdout + done.stderr
    assert ("1 passed" if has_tests else "no tests ran") in done.stdout


def test_every_linked_file_exists() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert [link for link in links if not (REPOSITORY / link).exists()] == []


def test_every_make_target_named_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make ([a-z]+)", README)) <= targets


def test_every_argument_of_the_operator_is_in_its_table() -> None:
    import inspect

    from airflow_provider_kling.operators.kling import KlingTextToVideoOperator

    names = [name for name in inspect.signature(KlingTextToVideoOperator.__init__).parameters if name != "self"]
    missing = [name for name in names if name != "kwargs" and f"| `{name}` |" not in README]
    assert missing == []


def test_every_exception_is_explained() -> None:
    from airflow_provider_kling import exceptions

    base = exceptions.KlingException
    named = [name for name, kind in vars(exceptions).items() if isinstance(kind, type) and issubclass(kind, base)]
    assert [name for name in named if kind_is_raised(name) and f"`{name}`" not in README] == []


def kind_is_raised(name: str) -> bool:
    """Refusals that time may cure stand in the README as one row; the base class is never raised."""
    return name not in {"KlingException", "RateLimited", "ServiceUnavailable", "Unreachable", "SubmitUncertainResubmit"}
