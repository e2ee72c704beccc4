"""The demo's own experiments, driven from a browser: logged in, planned, run, watched, stopped, read, found.

It takes as long as they do, some minutes, and runs where SLOGUARD_BROWSE names a directory for pictures of
every page: ``make browse``.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sloguard.adapters.store import Store
from sloguard.ports.service import Scope
from tests.support.browsing import (
    CHROMIUM,
    Looks,
    a_browser,
    complaints_of,
    is_answering,
    until_drawn,
)
from tests.support.command import ROOT, start
from tests.support.patience import eventually
from tests.support.servers import free_port, has

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytest.importorskip("playwright")
SHOTS = os.environ.get("SLOGUARD_BROWSE", "")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(900),
    # Playwright closes its sockets when it is collected.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.skipif(not SHOTS, reason="SLOGUARD_BROWSE names no directory for pictures"),
    pytest.mark.skipif(
        not has("prometheus", "prometheus-alertmanager") or not Path(CHROMIUM).exists(),
        reason="Prometheus, Alertmanager or Chromium missing",
    ),
]
BROKEN, SLOW = "replica-killed-without-retries", "delay"
PLACES = (
    *(
        "/",
        "/experiments",
        f"/experiments/{BROKEN}",
        "/experiments/delay",
        "/runs",
        "/windows",
        "/alerts",
    ),
    *("/alerts/runs", "/alerts/refused", "/reports", "/outbox", "/search", "/search?q=front"),
    *("/search?q=retries", "/search?q=nobody", "/api/v1/docs", "/login"),
)


@dataclass
class Visit:
    """A person at the service of the demo."""

    page: Page
    url: str
    secret: str
    complaints: list[str]
    looks: Looks


@pytest.fixture(scope="module")
def visit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    home = tmp_path_factory.mktemp("browse")
    shop, store = home / "shop", str(home / "runs.db")
    with Store(store) as opened:
        _, secret = opened.create_token("ada", [Scope.ADMIN])
    with ExitStack() as stack:
        demo = start("demo", "--keep", "--no-tour", "--directory", shop, home=home)
        stack.callback(ended, demo, signal.SIGINT)
        eventually((shop / "env").exists, seconds=90)
        variables = dict(
            line.removeprefix("export ").strip().replace("'", "").split("=", 1)
            for line in (shop / "env").read_text().splitlines()
        )
        port = free_port()
        settings = {
            **variables,
            "SLOGUARD_SERVE_AUTH": "on",
            "SLOGUARD_SERVE_ALLOW_URLS": f"{variables['DEMO_ENVOY_ADMIN_URL']}/*",
        }
        service = start(
            *("serve", "--bind", f"127.0.0.1:{port}", "--store", store),
            *("--experiments", ROOT / "experiments" / "demo"),
            home=home,
            env=settings,
        )
        stack.callback(ended, service, signal.SIGTERM)
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: is_answering(f"{url}/readyz?strict=true"), seconds=60)
        browser = stack.enter_context(a_browser())
        context = browser.new_context(base_url=url, viewport={"width": 1280, "height": 800})
        stack.callback(context.close)
        complaints = complaints_of(context)
        yield Visit(context.new_page(), url, secret, complaints, Looks(Path(SHOTS)))


def ended(process: subprocess.Popen[str], how: signal.Signals) -> None:
    process.send_signal(how)
    try:
        process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def begun(visit: Visit, experiment: str) -> str:
    """Plan it and run it, as a person does; where its run is."""
    page = visit.page
    page.goto(f"/experiments/{experiment}")
    page.get_by_role("button", name="Plan it").click()
    page.get_by_role("heading", name="What it would hit").wait_for(timeout=60_000)
    assert "can start" in page.locator(".verdict").inner_text(), page.locator("main").inner_text()
    visit.looks.at(page, f"plan-{experiment}")
    page.get_by_role("button", name="Run it now").click()
    page.locator(".phases").wait_for(timeout=60_000)
    return page.url


def test_a_person_runs_the_demo(visit: Visit) -> None:
    page, looks = visit.page, visit.looks
    page.goto("/")
    page.wait_for_url("**/login*")
    looks.at(page, "login")
    page.get_by_label("Token").fill(visit.secret)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name="Overview", exact=False).first.wait_for()
    looks.at(page, "overview-empty")

    # Watched live, to its verdict.
    broken = begun(visit, BROKEN)
    page.locator("#readings tbody tr").first.wait_for(timeout=60_000)
    page.locator("[data-phase=during][aria-current=step]").wait_for(timeout=120_000)
    looks.at(page, "live")
    page.get_by_role("heading", name="Verdict by SLO and phase").wait_for(timeout=180_000)
    assert "a weakness was found" in page.locator(".verdict").inner_text()
    until_drawn(page)
    assert "error-ratio" in (page.locator(".chart img").first.get_attribute("alt") or "")
    looks.at(page, "run-deviated")

    # Another one is stopped while it is live.
    stopped = begun(visit, SLOW)
    page.locator("[data-phase=during][aria-current=step]").wait_for(timeout=120_000)
    page.get_by_text("Stop this run…").click()
    page.get_by_label("Why (optional)").fill("that is slow enough")
    page.get_by_role("button", name="Stop and undo everything").click()
    page.locator(".verdict").wait_for(timeout=120_000)
    assert "that is slow enough" in page.locator(".verdict").inner_text()
    looks.at(page, "run-aborted")

    # Found by the service that was hit, and by the experiment.
    page.goto("/")
    page.get_by_label("Find a service or an experiment").fill("front")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Services, by their series").wait_for()
    page.get_by_role("link", name="A checkout replica dies while retries are off").first.click()
    assert page.url == broken
    page.goto("/search?q=replica+retries")
    assert "A checkout replica dies while retries are off" in page.locator("main").inner_text()
    for place in PLACES:
        page.goto(place)
        looks.at(page, place.strip("/").replace("/", "-").replace("?", "-") or "overview")
    assert stopped != broken
    assert looks.found == []
    assert visit.complaints == []
