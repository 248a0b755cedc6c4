"""Who may import whom."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import airflow_provider_kling

NAME = "airflow_provider_kling"
WEB = {"fastapi", "starlette"}
HOME = Path(airflow_provider_kling.__file__).parent
MODULES = {path: ".".join(path.relative_to(HOME.parent).with_suffix("").parts) for path in sorted(HOME.rglob("*.py"))}


def imports(path: Path, *, annotations: bool = True) -> set[str]:
    """All modules (and names from modules) that a file imports, wherever in it.

    :param path: the file
    :param annotations: count imports under `if TYPE_CHECKING` too; default true
    """
    found = set()
    nodes: list[ast.AST] = [ast.parse(path.read_text())]
    for node in nodes:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not annotations:
            continue
        nodes.extend(ast.iter_child_nodes(node))
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path.name} imports relatively"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


IMPORTS = {module: imports(path) for path, module in MODULES.items()}


def within(module: str, *parts: str) -> bool:
    return any(module == f"{NAME}.{part}" or module.startswith(f"{NAME}.{part}.") for part in parts)


def known(*parts: str) -> dict[str, set[str]]:
    """What the modules of some parts import from this package."""
    return {
        module: {name for name in names if name.partition(".")[0] == NAME}
        for module, names in IMPORTS.items()
        if within(module, *parts)
    }


def foreign(*parts: str) -> set[str]:
    """Which other packages the modules of some parts import."""
    return {name.partition(".")[0] for module, names in IMPORTS.items() if within(module, *parts) for name in names} - {
        NAME
    }


def test_there_is_something_to_look_at() -> None:
    for part in (
        "api",
        "hooks",
        "operators",
        "sensors",
        "transfers",
        "triggers",
        "simulator",
        "saving",
        "ledger",
        "links",
        "plugins",
    ):
        assert known(part), part


@pytest.mark.parametrize(
    ("part", "may_know"),
    [
        ("api", ["__version__", "api"]),
        ("mp4", []),
        ("simulator", ["api.models", "simulator"]),
        ("fetching", ["api", "mp4"]),
        ("renaming", []),
        ("targets", ["_compat", "renaming"]),
        ("metrics", ["_compat", "api"]),
        ("saving", ["api", "fetching", "metrics", "targets"]),
        ("claims", ["targets"]),
        ("manifest", ["api", "saving"]),
        ("card", ["_compat", "api", "exceptions", "manifest"]),
        ("assets", ["_compat", "manifest", "saving", "targets"]),
        ("ledger", ["api", "_compat", "exceptions"]),
        ("retry_policy", ["exceptions", "ledger"]),
        ("hooks", ["api", "_compat", "metrics", "provider_info", "hooks"]),
        ("exceptions", ["api", "_compat"]),
        (
            "transfers",
            [
                "api",
                "assets",
                "card",
                "claims",
                "exceptions",
                "hooks",
                "links",
                "manifest",
                "saving",
                "targets",
                "transfers",
            ],
        ),
        ("links", ["_compat"]),
        ("plugins", ["api", "card", "hooks", "links", "plugins"]),
    ],
)
def test_a_part_knows_only_its_own_circle(part: str, may_know: list[str]) -> None:
    for module, names in known(part).items():
        assert {name for name in names if not within(name, *may_know)} == set(), module


def test_the_api_knows_no_airflow_and_little_else() -> None:
    assert foreign("api") - set(sys.stdlib_module_names) == {
        "httpx",
        "httpcore",  # comes with httpx
        "httpx_aiohttp",  # where it is installed
        "aiohttp",  # comes with httpx_aiohttp
        "pydantic",
        "pydantic_core",
    }


def test_the_simulator_knows_neither_airflow_nor_our_http_client() -> None:
    assert not foreign("simulator") & {"airflow", "httpx"}


def test_only_the_api_imports_httpx() -> None:
    who = {
        module
        for path, module in MODULES.items()
        if any(name.partition(".")[0] == "httpx" for name in imports(path, annotations=False))
    }
    assert who == {f"{NAME}.api.{part}" for part in ("client", "environment", "lanes", "video", "watchdog")}


@pytest.mark.parametrize("part", ["operators", "transfers"])
def test_nobody_knows_the_operators(part: str) -> None:
    knowing = {
        module
        for module, names in IMPORTS.items()
        if not within(module, part, "example_dags") and any(within(name, part) for name in names)
    }
    assert knowing == set()


def test_nobody_knows_the_pages_in_airflows_ui() -> None:
    knowing = {module for module, names in IMPORTS.items() if any(within(name, "plugins") for name in names)}
    assert {module for module in knowing if not within(module, "plugins")} == set()


def test_only_the_pages_know_the_web_framework() -> None:
    knowing = {module for module, names in IMPORTS.items() if {n.partition(".")[0] for n in names} & WEB}
    assert {module for module in knowing if not within(module, "plugins")} == set()


def test_only_tools_and_nothing_that_runs_in_production_knows_the_simulator() -> None:
    knowing = {module for module, names in IMPORTS.items() if any(within(name, "simulator") for name in names)}
    assert {module for module in knowing if not within(module, "simulator", "cli", "demo")} == set()


@pytest.mark.parametrize(
    ("module", "stays_away"),
    [
        ("simulator.pytest_plugin", {"airflow", "httpx", "av", "PIL", "pydantic"}),
        ("simulator", {"airflow", "httpx", "av", "PIL"}),
        ("api.client", {"airflow", "fsspec"}),
        ("provider_info", {"airflow", "httpx", "pydantic"}),
        ("plugins.kling", WEB),
    ],
)
def test_importing_it_stays_cheap(module: str, stays_away: set[str]) -> None:
    code = f"import sys, {NAME}.{module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert NAME in run.stdout.split()
    assert not stays_away & set(run.stdout.split())
