"""A person with a browser: logs in, plans, runs, watches, stops, reads, finds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.browsing import (
    CHROMIUM,
    Looks,
    Shop,
    a_browser,
    a_shop,
    complaints_of,
    until_drawn,
)
from tests.support.servers import has

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

pytest.importorskip("playwright")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(400),
    # Playwright closes its sockets when it is collected.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.skipif(
        not has("prometheus") or not Path(CHROMIUM).exists(),
        reason="Prometheus or Chromium missing",
    ),
]
WAITING = "20260101T115900-ffffff"
VIEWER = {"timezone_id": "Asia/Tokyo", "locale": "en-GB"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with a_shop(tmp_path_factory.mktemp("shop")) as made:
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as made:
        yield made


@pytest.fixture(scope="module")
def context(browser: Browser, shop: Shop) -> Iterator[BrowserContext]:
    made = browser.new_context(base_url=shop.url, **VIEWER)
    yield made
    made.close()


@pytest.fixture(scope="module")
def complaints(context: BrowserContext) -> list[str]:
    return complaints_of(context)


@pytest.fixture(scope="module")
def page(context: BrowserContext, complaints: list[str]) -> Page:
    return context.new_page()


@pytest.fixture(scope="module")
def looks() -> Looks:
    return Looks()


@pytest.fixture(scope="module")
def runs(page: Page, shop: Shop, looks: Looks) -> dict[str, str]:
    """Logged in, one run stopped by hand, another one watched to its end; their addresses."""
    page.goto("/experiments/short")
    page.wait_for_url("**/login*")
    looks.at(page, "login")
    page.get_by_label("Token").fill(shop.secret)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/experiments/short")

    stopped = _begun(page, "long", looks)
    page.locator("#readings tbody tr").first.wait_for()
    page.locator("[data-phase=during][aria-current=step]").wait_for(timeout=60_000)
    looks.at(page, "a live run")
    page.get_by_text("Stop this run…").click()
    page.get_by_label("Why (optional)").fill("lunch <b>break</b>")
    page.get_by_role("button", name="Stop and undo everything").click()
    page.get_by_role("heading", name="Verdict by SLO and phase").or_(
        page.get_by_role("heading", name="What happened", exact=True)
    ).first.wait_for(timeout=60_000)

    watched = _begun(page, "short")
    page.locator("#readings tbody tr").first.wait_for()
    # It goes on to the verdict by itself.
    page.get_by_role("heading", name="Verdict by SLO and phase").wait_for(timeout=90_000)
    return {"stopped": stopped, "watched": watched}


def _begun(page: Page, experiment: str, looks: Looks | None = None) -> str:
    """Plan an experiment and run it; where its run is."""
    page.goto(f"/experiments/{experiment}")
    page.get_by_label("owner").fill("ada")
    page.get_by_role("button", name="Plan it").click()
    page.get_by_role("heading", name="What it would hit").wait_for(timeout=60_000)
    said = page.locator("main").inner_text()
    assert "can start" in said, said
    hit = page.get_by_role("region", name="What it would hit")
    assert "stop-checkout: stop python[" in hit.inner_text()
    planned = page.url
    if looks is not None:
        looks.at(page, "a plan")
    page.get_by_role("button", name="Run it now").click()
    page.locator(".phases").wait_for(timeout=60_000)
    assert page.url != planned
    return page.url


def test_a_run_is_stopped_and_says_why(page: Page, runs: dict[str, str]) -> None:
    page.goto(runs["stopped"])
    verdict = page.locator(".verdict")
    assert "aborted" in verdict.inner_text()
    assert "lunch <b>break</b>" in verdict.inner_text()
    assert "Fault undone" in page.locator(".story").inner_text()


def test_a_verdict_is_read_with_its_chart(page: Page, runs: dict[str, str]) -> None:
    page.goto(runs["watched"])
    assert "a weakness was found" in page.locator(".verdict").inner_text()
    table = page.get_by_role("group", name="Verdict by SLO and phase")
    assert "checkout-is-up" in table.inner_text()
    chart = page.locator(".chart img").first
    until_drawn(page)
    assert "checkout-is-up" in (chart.get_attribute("alt") or "")
    story = page.locator(".story").inner_text()
    assert "Fault injected" in story
    assert "is outside its objective" in story


def test_times_are_the_viewers_and_utc_on_hover(page: Page, runs: dict[str, str]) -> None:
    page.goto(runs["watched"])
    time = page.locator(".story time").first
    utc = int((time.get_attribute("title") or "")[11:13])
    assert int(time.inner_text()[:2]) == (utc + 9) % 24


def test_it_is_found_by_its_service_and_its_experiment(page: Page, runs: dict[str, str]) -> None:
    page.goto("/")
    page.get_by_label("Find a service or an experiment").fill("checkout")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Services, by their series").wait_for()
    page.get_by_role("link", name="Checkout stands still for 3s").first.click()
    assert "Checkout stands still for 3s" in page.locator("h1").inner_text()
    page.goto("/")
    assert "Weaknesses found" in page.locator("main").inner_text()


def test_a_window_is_opened_and_closed(page: Page, runs: dict[str, str]) -> None:
    page.goto("/windows")
    page.get_by_label("Title").fill("A game day")
    page.get_by_role("button", name="Open it").click()
    page.get_by_role("button", name="Close it").click()
    page.get_by_text("waits until the time after the fault").wait_for()


def test_the_keyboard_is_enough(page: Page, runs: dict[str, str]) -> None:
    page.goto("/runs")
    page.keyboard.press("Tab")
    focused = page.evaluate("document.activeElement.textContent")
    assert focused == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


#: One of every kind; ``make browse`` looks at all of them.
PLACES = (
    *("/", "/experiments/short", "/experiments/broken", "/runs", "/windows", "/alerts"),
    *("/backlog", "/reports", "/search?q=checkout", "/api/v1/docs", "/nowhere"),
)


def test_no_page_has_a_serious_barrier_in_light_or_dark_or_is_too_wide(
    page: Page, runs: dict[str, str], looks: Looks, shop: Shop
) -> None:
    for place in (*PLACES, runs["watched"]):
        page.goto(place)
        looks.at(page, place)
    page.goto("/windows")
    page.get_by_role("link", name="A game day").first.click()
    looks.at(page, "a window")
    page.goto(shop.waits(WAITING))
    page.get_by_role("heading", name="Decide").wait_for()
    looks.at(page, "a link to approve")
    page.goto(f"/runs/{WAITING}")
    page.get_by_role("heading", name="It waits for an approval").wait_for()
    looks.at(page, "a run that waits")
    assert {"login", "a plan", "a live run", "a window"} <= looks.names
    assert looks.found == []


def test_pages_are_whole_without_a_script(
    browser: Browser, context: BrowserContext, shop: Shop, runs: dict[str, str]
) -> None:
    bare = browser.new_context(
        base_url=shop.url, java_script_enabled=False, storage_state=context.storage_state()
    )
    try:
        page = bare.new_page()
        page.goto(runs["watched"])
        assert "a weakness was found" in page.locator(".verdict").inner_text()
        assert "UTC" in page.locator(".story time").first.inner_text()
    finally:
        bare.close()


def test_the_console_has_nothing_to_complain_about(
    page: Page, runs: dict[str, str], complaints: list[str]
) -> None:
    # The address that there is not was asked for on purpose.
    assert [one for one in complaints if "/nowhere" not in one] == []
