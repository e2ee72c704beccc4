"""Whole runs against a real Prometheus that scrapes a real target every second."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sloguard.adapters.clock import SystemClock
from sloguard.adapters.locks import FileLocks
from sloguard.adapters.prometheus import Prometheus
from sloguard.adapters.prometheus_settings import PrometheusSettings
from sloguard.adapters.store import Store
from sloguard.core.events import ActivityEnded, Event, FaultChanged, GuardTripped, Waiting
from sloguard.core.model import Outcome
from sloguard.engine.control import Control
from sloguard.engine.options import Options
from sloguard.engine.ports_bundle import Ports
from sloguard.engine.run import drive, run
from sloguard.spec import load
from tests.support.patience import PATIENCE, SOON
from tests.support.servers import PrometheusServer

pytestmark = pytest.mark.integration

EXPERIMENT = """
title: A shop that can be broken
description: The whole way, with everything real.
phases: {{before: 4s, during: 4s, after: {after}}}
steady-state-hypothesis:
  title: it works
  slos:
  - name: errors
    query: shop_error_ratio
    objective: "< 10%"
    during: {{objective: "{during}"}}
{guards}
method:
- type: action
  name: break it
  provider: {{type: process, path: touch, arguments: ["{mark}"]}}
- type: action
  name: keep it broken
  provider: {{type: process, path: sleep, arguments: ["{takes}"]}}
rollbacks:
- type: action
  name: mend it
  provider: {{type: process, path: rm, arguments: [-f, "{mark}"]}}
"""


class Shop:
    """Says that half of its answers are errors while a file is there."""

    def __init__(self, mark: Path) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = f"shop_error_ratio {0.5 if mark.exists() else 0}\n".encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.server_port}"

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class Lab:
    """A shop, a Prometheus, a store, and runs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.mark = folder, folder / "broken"
        self.shop = Shop(self.mark)
        targets = {"shop": [self.shop.address]}
        self.prometheus = PrometheusServer(folder / "prometheus", targets=targets)
        self.prometheus.start()
        self.store = Store(str(folder / "runs.db"))
        self.control = Control()
        self.well_since = time.time()

    def close(self) -> None:
        self.prometheus.stop()
        self.shop.stop()
        self.store.dispose()

    def metrics(self, **more: float) -> Prometheus:
        return Prometheus(PrometheusSettings(url=self.prometheus.url, **more))

    def warm(self, seconds: float = 6.0) -> None:
        """Wait until there is a history of a shop that works."""
        self.control = Control()
        # What the test before has broken must not be this one's past.
        time.sleep(max(0.0, self.well_since + seconds - time.time()))
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            answer = self.prometheus.get(
                "/api/v1/query?query=count_over_time(shop_error_ratio[1h])"
            )
            result = answer["data"]["result"]
            if result and float(result[0]["value"][1]) >= seconds:
                return
            time.sleep(0.2)
        pytest.fail("Prometheus never scraped the shop")

    def run(
        self,
        *,
        during: str = "< 60%",
        guards: str = "",
        takes: float = 1,
        after: str = "20s",
        watch=None,
        **options: object,
    ):
        path = self.folder / "experiment.yaml"
        path.write_text(
            EXPERIMENT.format(
                mark=self.mark, during=during, guards=guards, takes=takes, after=after
            )
        )
        ports = Ports(
            metrics=self.metrics(deadline=10.0),
            live=self.metrics(deadline=2.0, retries=0),
            clock=SystemClock(),
            ledger=self.store,
            locks=FileLocks(self.folder / "locks"),
            beat=self.store.beat,
        )
        seen: list[Event] = []
        consumers = [self.store.record, seen.append, *([watch] if watch else [])]
        last = drive(run(load(path), ports, Options(**options), self.control), consumers)
        assert last is not None
        assert not self.mark.exists()
        assert last.timeline is not None
        self.well_since = last.timeline.restored
        return last, seen


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Iterator[Lab]:
    """The same for all tests; those that kill its Prometheus come last."""
    made = Lab(tmp_path_factory.mktemp("lab"))
    yield made
    made.close()


@pytest.fixture
def young(tmp_path) -> Iterator[Lab]:
    made = Lab(tmp_path)
    yield made
    made.close()


def one(seen: list[Event], kind: type, number: int = 0):
    return [event for event in seen if isinstance(event, kind)][number]


def test_a_breach_that_recovers_is_met_and_after_ends_early(lab):
    lab.warm()
    last, _ = lab.run(after="60s")
    assert last.outcome is Outcome.MET, last.reason
    timeline = last.timeline
    assert 4 <= timeline.restored - timeline.fault < SOON
    assert timeline.end - timeline.restored < 30
    phases = last.document["slos"][0]["series"][0]["phases"]
    assert phases["before"]["worst"] == 0
    kept = lab.store.run(last.run)
    assert kept.outcome is Outcome.MET
    assert len(lab.store.evidence(last.run)) == 1


def test_a_breach_under_the_fault_deviates(lab):
    lab.warm()
    last, _ = lab.run(during="< 10%")
    assert last.outcome is Outcome.DEVIATED
    assert "50%" in last.reason


def test_a_guard_rail_stops_the_method_in_time(lab):
    lab.warm()
    guards = 'abort-when: [{name: rail, query: shop_error_ratio, objective: "< 40%"}]'
    last, seen = lab.run(guards=guards, takes=60)
    assert last.outcome is Outcome.ABORTED
    assert last.reason.startswith('guard rail{instance="127.0.0.1:')
    assert "50%" in last.reason
    broken = one(seen, ActivityEnded).record.end
    rolled_back = next(
        e.record for e in seen if isinstance(e, ActivityEnded) and e.record.section == "rollbacks"
    )
    # Visible at the latest one scrape after the break; then a scrape interval and two seconds on a quick
    # machine. The method would have taken a minute.
    assert rolled_back.end - broken < SOON
    assert one(seen, GuardTripped).guard == "rail"
    assert not [e for e in seen if isinstance(e, FaultChanged)]


def test_what_a_young_prometheus_lacks_is_waited_for(young):
    young.warm(1)
    last, seen = young.run()
    waits = [e for e in seen if isinstance(e, Waiting) and "before the fault" in e.reason]
    assert len(waits) == 1
    assert last.outcome is Outcome.MET, last.reason


def during_the_method(act):
    """A consumer that does something once the first action has ended."""
    done = []

    def watch(event: Event) -> None:
        if isinstance(event, ActivityEnded) and event.record.section == "method" and not done:
            done.append(event)
            act()

    return watch


def test_an_abort_by_a_person_is_quick(lab):
    lab.warm()
    asked: list[float] = []

    def stop() -> None:
        asked.append(time.monotonic())
        lab.control.abort("SIGINT")

    last, _ = lab.run(watch=during_the_method(stop), takes=60)
    assert last.outcome is Outcome.ABORTED
    assert last.reason == "SIGINT"
    assert time.monotonic() - asked[0] < SOON


def test_a_prometheus_that_is_killed_and_comes_back(lab):
    lab.warm()

    def away() -> None:
        lab.prometheus.kill()
        timer = threading.Timer(6.0, lab.prometheus.start)
        timer.start()

    last, _ = lab.run(watch=during_the_method(away), after="10s", end_early=False)
    assert last.outcome is Outcome.INCONCLUSIVE
    assert "Prometheus was away for" in last.reason


def test_a_prometheus_that_is_killed_and_stays_away(lab):
    lab.warm()
    begun = time.monotonic()
    last, _ = lab.run(
        watch=during_the_method(lab.prometheus.kill),
        after="10s",
        end_early=False,
        metrics_patience=4.0,
    )
    assert last.outcome is Outcome.INCONCLUSIVE
    assert "127.0.0.1" in last.reason
    assert time.monotonic() - begun < 100
