"""How soon does the gallery show its cards when there are thousands, beside Airflow's own page of the same XComs?

    python benchmarks/gallery.py [--renders 5000] [--rounds 7]

One Airflow on PostgreSQL, one Chromium, the pages in turn; their scripts are in its cache. From the click to what can
be read. Then what the extra XCom costs: some real renders, and who wrote what into the table of XComs.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, text

from airflow_provider_kling.demo.local_airflow import LocalAirflow
from airflow_provider_kling.simulator import KlingSimulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "tests" / "support"))

from postgres import PostgreSQL, find_binaries  # noqa: E402
from seeding import seed  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-sync"
REAL = 5
KEY = "kling_render"
NOTE_WRITES = """
create table written (key text);
create function note() returns trigger language plpgsql as
  'begin insert into written values (new.key); return new; end';
create trigger note after insert or update on xcom for each row execute function note();
"""

Times = dict[str, list[float]]


class Pages:
    """The pages as a person sees them.

    :param airflow: whose they are
    :param page: a window
    """

    def __init__(self, airflow: LocalAirflow, page: Page) -> None:
        self._airflow, self._page = airflow, page

    def looks(self) -> dict[str, Callable[[], list[float]]]:
        """What is looked at in turn; each tells how many seconds it took."""
        return {
            "Airflow's XComs": lambda: self._rows("xcoms"),
            f"Airflow's XComs, {KEY} only": lambda: self._rows(f"xcoms?key_pattern={KEY}"),
            "gallery in Airflow": self._cards,
        }

    def _rows(self, path: str) -> list[float]:
        began = self._open(path)
        self._page.wait_for_selector(f"tbody tr:has-text('{KEY}')")
        return [time.perf_counter() - began]

    def _cards(self) -> list[float]:
        began = self._open("plugin/kling-renders")
        frame = self._page.wait_for_selector("iframe").content_frame()
        assert frame
        frame.wait_for_selector(".card .prompt")
        read = time.perf_counter() - began
        frame.wait_for_selector("video[poster]")
        return [read, time.perf_counter() - began]

    def _open(self, path: str) -> float:
        self._page.goto("about:blank")
        began = time.perf_counter()
        self._page.goto(f"{self._airflow.base_url}/{path}", wait_until="commit")
        return began


def look(airflow: LocalAirflow, rounds: int) -> Times:
    """Look at all pages in turn, and ask the same of the API servers; the first round is not counted."""
    from playwright.sync_api import sync_playwright

    asked: dict[str, Callable[[], Any]] = {
        "asking for Airflow's XComs": lambda: airflow.get(
            "dags/~/dagRuns/~/taskInstances/~/xcomEntries", limit=50, xcom_key=KEY
        ),
        "asking for the renders": lambda: airflow._authorized("GET", "/kling/api/renders"),
        "asking for the totals": lambda: airflow._authorized("GET", "/kling/api/totals"),
    }
    times: Times = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET.split())
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        for number in range(rounds + 1):
            for name, see in Pages(airflow, page).looks().items():
                seen = see()
                for title, seconds in zip((name, f"{name}: first still"), seen, strict=False):
                    times.setdefault(title, []).extend([seconds] if number else [])
            page.goto("about:blank")
            for name, ask in asked.items():
                began = time.perf_counter()
                ask()
                times.setdefault(name, []).extend([time.perf_counter() - began] if number else [])
        browser.close()
    return times


def show(times: Times, renders: int) -> None:
    """Print medians, and what they are of Airflow's own."""
    theirs = statistics.median(times[f"Airflow's XComs, {KEY} only"])
    asked = statistics.median(times["asking for Airflow's XComs"])
    rounds = len(times["asking for the renders"])
    print(f"{renders} renders, {rounds} rounds: seconds, median (min - max), divided by Airflow's own of {KEY}\n")
    for name, seconds in times.items():
        middle = statistics.median(seconds)
        ratio = middle / (asked if name.startswith("asking") else theirs)
        print(f"{name:38}{middle:>7.2f} ({min(seconds):.2f} - {max(seconds):.2f}){ratio:>8.2f}")


def count_writes(airflow: LocalAirflow, database_url: str) -> None:
    """Render some, and print how many XComs were written for each."""
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text(NOTE_WRITES))
    run_id = airflow.trigger("campaign", {"renders": REAL, "folder": str(airflow.home / "videos")})
    airflow.wait_for_run("campaign", run_id, timeout=600)
    with engine.begin() as connection:
        query = "select key, count(*) from written group by key order by key"
        written = {key: number for key, number in connection.execute(text(query)) if number >= REAL}
    engine.dispose()
    told = ", ".join(f"{key} {number / REAL:.1f}" for key, number in written.items())
    asked = [line for line in log_lines(airflow) if f"/xcoms/campaign/{run_id}/render/{KEY}" in line]
    all_asked = [line for line in log_lines(airflow) if "path=/execution/" in line and "/campaign/" in line]
    print(f"\nwritten per render, of {REAL} real ones of 60 s: {told}")
    print(f"asked of the API server for {KEY}, per render: {len(asked) / REAL:.1f} (of {len(all_asked) / REAL:.1f})")


def log_lines(airflow: LocalAirflow) -> list[str]:
    return airflow.log_tail("api-server", lines=10**9).splitlines()


@contextlib.contextmanager
def an_airflow() -> Iterator[tuple[LocalAirflow, str]]:
    """An Airflow with one finished render, and the address of its database."""
    binaries = find_binaries()
    if binaries is None or CHROMIUM is None:
        sys.exit("Left out: no PostgreSQL (as root: no user postgres), or no chromium (Debian: apt install both).")
    with contextlib.ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kling-bench-")))
        simulator = stack.enter_context(KlingSimulator(render_seconds=60, short_side=270))
        database_url = stack.enter_context(PostgreSQL(binaries)).url
        env = {"AIRFLOW_CONN_KLING_DEFAULT": simulator.connection_json, "AIRFLOW__KLING__PREVIEW_ROOTS": str(home)}
        airflow = LocalAirflow(home=home, dags_folder=HERE / "dags", env=env, database_url=database_url)
        yield stack.enter_context(airflow), database_url


def main() -> None:
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    parser.add_argument("--renders", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    try:
        with an_airflow() as (airflow, database_url):
            airflow.wait_for_dag("campaign")
            airflow.unpause("campaign")
            airflow.wait_for_dag("one")
            airflow.unpause("one")
            run_id = airflow.trigger("one", {"folder": str(airflow.home / "videos")})
            airflow.wait_for_run("one", run_id, timeout=300)
            seed(database_url, "one", run_id, "render", count=options.renders, at=time.time())
            show(look(airflow, options.rounds), options.renders)
            count_writes(airflow, database_url)
    except KeyboardInterrupt:
        sys.exit("Stopped: no process is left.")


if __name__ == "__main__":
    main()
