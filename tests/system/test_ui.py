"""The connection form and its test button, as a person sees them in Airflow's UI."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page

    from airflow_provider_kling.demo.local_airflow import LocalAirflow
    from airflow_provider_kling.simulator import KlingSimulator

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not CHROMIUM, reason="the UI test needs a chromium on the PATH (Debian: apt install chromium)"),
]


@pytest.fixture
def page() -> Iterator[Page]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET.split())
        page = browser.new_page(viewport={"width": 1280, "height": 1100})
        page.set_default_timeout(30_000)
        yield page
        browser.close()


def test_a_connection_is_made_and_tested_in_the_ui(
    airflow: LocalAirflow, simulator: KlingSimulator, page: Page, tmp_path: Path
) -> None:
    page.goto(f"{airflow.base_url}/connections")
    page.get_by_role("button", name="Add Connection").first.click()
    page.locator('input[name="connection_id"]').fill("kling_made_in_ui")
    page.get_by_role("combobox").last.click()
    page.get_by_text("Kling (Highway API)").last.click()
    form = page.get_by_role("dialog")
    form.get_by_text("Base URL").wait_for()
    assert form.get_by_text("API key").is_visible()
    assert form.locator('input[name="password"]').get_attribute("type") == "password"
    assert not form.get_by_text("Login").count()
    form.locator('input[name="host"]').fill("http://127.0.0.1/v3/")
    form.locator('input[name="port"]').fill(simulator.base_url.rpartition(":")[2])
    form.locator('input[name="password"]').fill(simulator.api_key)
    page.screenshot(path=tmp_path / "form.png")
    form.get_by_text("Extra Fields", exact=True).click()
    form.get_by_text("Requests per second").wait_for()
    form.get_by_role("button", name="Save").click()
    row = page.get_by_role("row").filter(has_text="kling_made_in_ui")
    row.get_by_role("button", name="Test").click()
    page.get_by_text(f"{simulator.base_url} accepts the key.").first.wait_for()
    page.screenshot(path=tmp_path / "tested.png")
