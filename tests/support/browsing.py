"""A service with something to break, and a browser that looks at it."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sloguard.adapters.store import Store
from sloguard.core.events import Waiting
from sloguard.core.people import Ask
from sloguard.ports.service import Scope
from tests.support.calling import eventually
from tests.support.command import start
from tests.support.runs import opening
from tests.support.servers import PrometheusServer, free_port
from tests.support.victims import Victims, victims_in

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = "/usr/bin/chromium"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")

#: A service with metrics, that stands still when it is stopped.
_SHOP = """\
import http.server, sys
class Metrics(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(b"orders_total 1\\n")
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Metrics)
print("up", flush=True)
server.serve_forever()
"""


def is_answering(address: str) -> bool:
    """Whether there is an answer of 200."""
    try:
        with urllib.request.urlopen(address, timeout=30) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@dataclass
class Shop:
    """A service on a free port. ``secret``: a token that may do everything."""

    home: Path
    prometheus: PrometheusServer
    victims: Victims
    port: int = field(default_factory=free_port)
    secret: str = ""
    process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def store(self) -> str:
        """Its store."""
        return str(self.home / "runs.db")

    def write(self, name: str, during: str, word: str) -> None:
        """An experiment that stops what has this word in its command line."""
        action = {
            "type": "action",
            "name": "stop-checkout",
            "provider": {
                "type": "python",
                "module": "sloguard.faults.processes",
                "func": "stop",
                "arguments": {"command_pattern": word, "all": True},
            },
        }
        slo = {"name": "checkout-is-up", "query": 'up{job="checkout"}', "objective": "> 0"}
        document = {
            "title": f"Checkout stands still for {during}",
            "description": "It is stopped, and goes on afterwards.",
            "tags": ["browser"],
            "configuration": {"owner": "shop-team"},
            "phases": {"before": "2s", "during": during, "after": "3s"},
            "steady-state-hypothesis": {"title": "Checkout is up", "slos": [slo]},
            "method": [action],
        }
        (self.home / "experiments" / f"{name}.json").write_text(json.dumps(document))

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with Store(self.store) as store:
            _, self.secret = store.create_token("ada", [Scope.ADMIN])
        settings = {
            "SLOGUARD_SERVE_AUTH": "on",
            "SLOGUARD_SERVE_WORKERS": "1",
            "SLOGUARD_SERVE_RATE_LIMIT": "0",
            "SLOGUARD_PROMETHEUS_SCRAPE_INTERVAL": "1s",
        }
        self.process = start(
            *("serve", "--bind", f"127.0.0.1:{self.port}", "--store", self.store),
            *("--experiments", self.home / "experiments", "--slos", self.home / "slos"),
            *("--prometheus", self.prometheus.url),
            home=self.home,
            env=settings,
        )
        eventually(lambda: is_answering(f"{self.url}/healthz"), seconds=60)

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """The API's answer."""
        request = urllib.request.Request(
            f"{self.url}/api/v1{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self.secret}",
                "Content-Type": "application/json",
            },
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def waits(self, run: str) -> str:
        """A run that waits for an approval; where its one-time link leads."""
        now = time.time()
        ask = Ask(
            id="asked",
            run=run,
            title="A game day of the whole shop",
            digest="d" * 64,
            plan={
                "actions": [{"name": "stop-checkout", "kind": "action", "does": "stops 2 processes",
                             "targets": [f"python[4711] --file /{'very-long/' * 12}"], "count": 2,
                             "spared": [["python[4712]", "it is the last one"]]}],
                "rollbacks": ["mend it"],
                "phases": {"before": "1m", "during": "2m", "after": "1m"},
                "guards": ["errors < 50%"],
                "steady": [{"name": "errors", "verdict": "met", "reason": "0.1%, < 1%"}],
            },
            asked_at=now,
            until=now + 3600,
            minimum=2,
        )  # fmt: skip
        with Store(self.store) as store:
            recorder = store.recorder(experiment="long")
            for event in opening(run):
                recorder.record(event)
            where = f"approval (by https://sloguard.shop.example.com/runs/{run}/{'x' * 40})"
            recorder.record(Waiting(now, where, now + 3600))
            store.open_ask(ask)
            return f"/approvals/{run}?token={store.new_link('asked', 'slack:ops')}"

    def stop(self) -> str:
        """End it; what it has logged."""
        if self.process is None:
            return ""
        self.process.terminate()
        try:
            _, said = self.process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            _, said = self.process.communicate()
        return said


@contextmanager
def a_shop(home: Path) -> Iterator[Shop]:
    """Prometheus, a checkout that it watches, and a service with two experiments and a set of SLOs."""
    for folder in ("experiments", "slos", "victims"):
        (home / folder).mkdir()
    with ExitStack() as stack:
        victims = stack.enter_context(victims_in(home / "victims"))
        port = free_port()
        victims.start(1, _SHOP, str(port))
        prometheus = PrometheusServer(
            home / "prometheus", targets={"checkout": [f"127.0.0.1:{port}"]}
        )
        prometheus.start()
        stack.callback(prometheus.stop)
        eventually(lambda: _is_scraped(prometheus), seconds=60)
        shop = Shop(home, prometheus, victims)
        shop.write("short", "3s", victims.word)
        shop.write("long", "60s", victims.word)
        (home / "slos" / "shop.yaml").write_text(
            'title: The shop\nphases: {before: 2s, during: 1s, after: 1s}\nslos:\n- {name: up, query: \'up{job="checkout"}\', objective: "> 0"}\n'
        )
        (home / "experiments" / "broken.yaml").write_text("title: It cannot be read\nmethod: 3\n")
        shop.start()
        stack.callback(shop.stop)
        yield shop


def _is_scraped(prometheus: PrometheusServer) -> bool:
    """Whether there is history enough for a steady state."""
    answer = prometheus.get("/api/v1/query?query=count_over_time(up%5B1m%5D)")
    return any(int(one["value"][1]) >= 3 for one in answer["data"]["result"])


@contextmanager
def a_browser() -> Iterator[Browser]:
    """The system's Chromium; nothing is downloaded."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def complaints_of(context: BrowserContext) -> list[str]:
    """What the browser's console complains about from now on: errors, warnings, broken policies."""
    found: list[str] = []

    def told(message: Any) -> None:
        if message.type in ("error", "warning"):
            found.append(f"{message.page.url if message.page else ''}: {message.text}")

    context.on("console", told)
    context.on("weberror", lambda error: found.append(str(error.error)))
    return found


@dataclass
class Looks:
    """What is wrong with the pages that were looked at: barriers (axe-core), and what no phone can show.

    ``shots``: a directory for pictures of each of them, in light, in the dark, and as wide as a phone.
    """

    shots: Path | None = None
    found: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    def at(self, page: Page, name: str) -> None:
        """Look at what a page shows now."""
        from axe_playwright_python.sync_playwright import Axe

        self.names.add(name)
        page.emulate_media(color_scheme="light")
        self._judge(name, "light", Axe().run(page).response)
        self._shoot(page, f"{name}-light")
        page.emulate_media(color_scheme="dark")
        # Only colours differ in the dark; axe is in the page by now.
        only = {"runOnly": ["color-contrast"]}
        dark = page.evaluate("only => axe.run(document, only)", only)
        self._judge(name, "dark", dark)
        self._shoot(page, f"{name}-dark")
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": 360, "height": 740})
        wider = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if wider > 0:
            self.found.append(f"{name}: {wider} pixels wider than a phone")
        self.found += [f"{name}: a phone does not show {one}" for one in page.evaluate(_NOT_SHOWN)]
        self._shoot(page, f"{name}-phone")
        page.set_viewport_size({"width": 1280, "height": 800})

    def _judge(self, name: str, scheme: str, answer: dict[str, Any]) -> None:
        barriers = answer["violations"]
        serious = [one for one in barriers if one["impact"] in ("serious", "critical")]
        self.found += [_barrier(name, scheme, one) for one in serious]

    def _shoot(self, page: Page, name: str) -> None:
        if self.shots is not None:
            self.shots.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=self.shots / f"{name}.png", full_page=True)


#: Fields that nobody can fill in, though nothing that is closed holds them.
_NOT_SHOWN = """[...document.querySelectorAll("input:not([type=hidden]), select, textarea")]
  .filter(one => !one.getClientRects().length && !one.closest("details:not([open])"))
  .map(one => one.outerHTML)"""


def _barrier(place: str, scheme: str, one: dict[str, Any]) -> str:
    nodes = "; ".join(node["html"][:200] for node in one["nodes"][:3])
    return f"{place} ({scheme}): {one['id']}: {one['help']}: {nodes}"


def until_drawn(page: Page) -> None:
    """Wait for the first chart. The policy of the pages keeps Playwright's own way of waiting out."""
    page.locator(".chart img").first.scroll_into_view_if_needed()
    deadline = time.monotonic() + 60
    while not page.evaluate("document.querySelector('.chart img').naturalWidth > 500"):
        assert time.monotonic() < deadline, "no chart was drawn"
        page.wait_for_timeout(100)


def until_url(page: Page, part: str, seconds: float = 60) -> None:
    """Wait until the page has gone on to such an address."""
    deadline = time.monotonic() + seconds
    while part not in page.url:
        assert time.monotonic() < deadline, f"still at {page.url}"
        page.wait_for_timeout(50)
