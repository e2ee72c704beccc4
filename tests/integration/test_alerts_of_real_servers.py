"""Runs beside a real Prometheus with rules and a real Alertmanager: what fires is judged, what must not is silenced."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sloguard.adapters.alertmanager import Alertmanager
from sloguard.adapters.clock import SystemClock
from sloguard.adapters.locks import FileLocks
from sloguard.adapters.prometheus import Prometheus
from sloguard.adapters.prometheus_settings import PrometheusSettings
from sloguard.adapters.store import Store
from sloguard.core.document import document
from sloguard.core.events import Event, GuardTripped, Note, RunEnded
from sloguard.core.model import Outcome, Timeline
from sloguard.engine.control import Control
from sloguard.engine.options import Options
from sloguard.engine.ports_bundle import Ports
from sloguard.engine.run import drive, run
from sloguard.engine.window import judge_window
from sloguard.spec import load, parse_slos
from tests.support.servers import AlertmanagerServer, PrometheusServer, has

pytestmark = pytest.mark.integration

#: Longer than anything here takes on a slow machine, seconds.
PATIENCE = 60.0
RULES = [
    {"alert": "HighErrors", "expr": "shop_error_ratio > 0.1", "labels": {"severity": "page"}},
    {"alert": "Melting", "expr": "shop_error_ratio > 0.4", "labels": {"severity": "critical"}},
    {"alert": "Hopeless", "expr": "shop_error_ratio > 2", "labels": {"severity": "page"}},
]
EXPERIMENT = """
title: A shop that can be broken
description: The whole way, with everything real.
phases: {{before: 2s, during: 2s, after: 4s}}
steady-state-hypothesis:
  title: it works
  slos: [{{name: errors, query: shop_error_ratio, objective: "< 10%"}}]
alerts: {alerts}
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


class Lab:
    """A shop that is broken while a file is there, its Prometheus with rules, an Alertmanager, a store."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.mark = folder, folder / "broken"
        self.shop = _serving(self.mark)
        self.manager = AlertmanagerServer(folder / "alertmanager")
        self.manager.start()
        self.prometheus = PrometheusServer(
            folder / "prometheus",
            targets={"shop": [f"127.0.0.1:{self.shop.server_port}"]},
            interval=0.5,
            rules=[{"name": "shop", "interval": "250ms", "rules": RULES}],
            alertmanager=f"127.0.0.1:{self.manager.port}",
        )
        self.prometheus.start()
        self.store = Store(str(folder / "runs.db"))

    def close(self) -> None:
        self.prometheus.stop()
        self.manager.stop()
        self.shop.shutdown()
        self.shop.server_close()
        self.store.dispose()

    def alertmanager(self) -> Alertmanager:
        return Alertmanager([PrometheusSettings(url=self.manager.url)])

    def metrics(self, **more: Any) -> Prometheus:
        return Prometheus(PrometheusSettings(url=self.prometheus.url, **more))

    def until(self, what: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + PATIENCE
        while not (found := what()):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        return found

    def well(self) -> None:
        """Nothing fires, and there is a history of a shop that works."""
        quiet = (
            'absent(ALERTS{alertstate="firing"}) and on() count_over_time(shop_error_ratio[1h]) > 3'
        )
        well = f"{quiet} and on() max_over_time(shop_error_ratio[3s]) == 0"
        self.until(lambda: self.asked(well) and not self.manager.get("/api/v2/alerts"))

    def asked(self, query: str) -> list[Any]:
        from urllib.parse import quote

        found: list[Any] = self.prometheus.get(f"/api/v1/query?query={quote(query)}")["data"][
            "result"
        ]
        return found

    def silences(self, state: str) -> list[Any]:
        found = self.manager.get("/api/v2/silences")
        return [one for one in found if one["status"]["state"] == state]

    def written(self, alerts: str, takes: float = 0) -> Path:
        path = self.folder / "experiment.yaml"
        path.write_text(EXPERIMENT.format(alerts=alerts, mark=self.mark, takes=takes))
        return path

    def run(self, alerts: str, takes: float = 0) -> tuple[RunEnded, list[Event]]:
        manager = self.alertmanager()
        ports = Ports(
            metrics=self.metrics(),
            live=self.metrics(deadline=5.0, retries=0),
            clock=SystemClock(),
            ledger=self.store,
            locks=FileLocks(self.folder / "locks"),
            beat=self.store.beat,
            alert_sources=[self.store, manager],
            silences=manager,
        )
        seen: list[Event] = []
        made = run(load(self.written(alerts, takes)), ports, Options(tick=1.0), Control())
        last = drive(made, [self.store.record, seen.append])
        assert last is not None
        return last, seen


def _serving(mark: Path) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"shop_error_ratio {0.5 if mark.exists() else 0}\n".encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    if not has("prometheus", "promtool", "prometheus-alertmanager"):
        pytest.skip("prometheus, promtool and prometheus-alertmanager are not installed")
    made = Lab(tmp_path_factory.mktemp("alerts"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def whole(lab: Lab) -> tuple[RunEnded, list[Event]]:
    """One run that holds everything: what several tests look at."""
    lab.well()
    return lab.run(
        "{expect: [{alertname: HighErrors, within: 20s, resolved_within: 40s}, {alertname: Hopeless, within: 3s}],"
        " forbid: [{severity: critical}], silence: {matchers: {severity: page}, at_most: 5m, comment: a test}}"
    )


def expectation(last: RunEnded, name: str) -> Any:
    return next(e for e in last.document["alerts"] if "expectation" in e and e["name"] == name)


def test_an_expected_alert_is_met_with_its_times(lab: Lab, whole: Any) -> None:
    last, _ = whole
    entry = expectation(last, "HighErrors")
    assert entry["verdict"] == "met", entry["reason"]
    assert entry["reason"].startswith("HighErrors fired ")
    assert " after the fault, within 20s; resolved " in entry["reason"]
    alert = last.document["alerts"][entry["alert"]]
    assert 0 < alert["time_to_alert_seconds"] < 15
    assert alert["time_to_resolve_seconds"] is not None
    assert alert["expected"]
    assert last.document["time_to_alert_seconds"] == alert["time_to_alert_seconds"]
    recorded = lab.asked('min_over_time(timestamp(ALERTS{alertname="HighErrors"})[1h:500ms])')
    began = last.timeline.fault + alert["time_to_alert_seconds"]
    assert float(recorded[0]["value"][1]) == pytest.approx(began, abs=0.6)


def test_one_that_does_not_fire_is_the_weakness_and_a_forbidden_one_is_told(whole: Any) -> None:
    last, _ = whole
    missing = expectation(last, "Hopeless")
    assert missing["verdict"] == "deviated"
    assert (
        missing["reason"]
        == "Hopeless did not fire within 3s of the fault: the alerting is the weakness"
    )
    forbidden = expectation(last, '{severity="critical"}')
    assert forbidden["verdict"] == "deviated"
    assert "Melting{" in forbidden["reason"]
    assert last.outcome is Outcome.DEVIATED
    covered = last.document["alert_coverage"]["covered"]
    assert [(c["slo"], c["alert"]) for c in covered] == [("errors", "HighErrors")]
    assert last.document["alert_coverage"]["blind_spots"] == []


def test_the_silence_was_there_for_the_fault_and_no_longer(lab: Lab, whole: Any) -> None:
    last, seen = whole
    (silence,) = [s for s in lab.silences("expired") if last.run in s["comment"]]
    assert silence["createdBy"] == "sloguard"
    assert silence["comment"].startswith("a test: A shop that can be broken")
    matcher = {"name": "severity", "value": "page", "isRegex": False, "isEqual": True}
    assert silence["matchers"] == [matcher]
    notes = [event for event in seen if isinstance(event, Note)]
    made = next(n for n in notes if n.message.startswith("silenced severity="))
    ended = next(n for n in notes if n.message.startswith("ended the silence"))
    assert last.timeline.fault <= made.at < last.timeline.restored <= ended.at
    assert lab.silences("active") == []
    assert lab.store.open_intents(last.run) == ()
    assert last.document["faults"] == []


def judged(lab: Lab, timeline: Timeline, objective: str, **alerts: Any) -> dict[str, Any]:
    slos = [{"name": "errors", "query": "shop_error_ratio", "objective": objective}]
    experiment = parse_slos({"slos": slos, "alerts": alerts}, environ={})
    return document(judge_window(experiment, timeline, lab.metrics(), SystemClock()))


def test_the_same_window_judged_afterwards_names_blind_spots_and_noise(
    lab: Lab, whole: Any
) -> None:
    """What Prometheus recorded is enough."""
    timeline = whole[0].timeline
    blind = judged(lab, timeline, "< 10%", where={"alertname": "Hopeless"})["alert_coverage"]
    (spot,) = blind["blind_spots"]
    assert spot["slo"] == "errors"
    assert "no alert fired" in spot["reason"]
    assert "> 0.1" not in spot["proposed_rule"]
    assert "(shop_error_ratio) >= 0.1" in spot["proposed_rule"]
    noise = judged(lab, timeline, "< 90%")["alert_coverage"]
    assert [n["alert"] for n in noise["noise"]] == ["HighErrors", "Melting"]
    assert noise["blind_spots"] == []
    held = judged(lab, timeline, "< 90%", expect=[{"alertname": "HighErrors", "within": "20s"}])
    (entry,) = [e for e in held["alerts"] if "expectation" in e]
    assert entry["verdict"] == "met"
    assert held["outcome"] == "met"


def test_an_alert_ends_the_run(lab: Lab) -> None:
    lab.well()
    last, seen = lab.run("{abort_on: [{severity: critical}]}", takes=120)
    assert last.outcome is Outcome.ABORTED
    assert "'abort_on' names {severity=\"critical\"}" in last.reason
    assert any(isinstance(event, GuardTripped) for event in seen)
    assert last.timeline.restored - last.timeline.fault < PATIENCE
    assert not lab.mark.exists()


def test_nothing_is_broken_while_an_alert_fires(lab: Lab) -> None:
    lab.well()
    lab.mark.touch()
    try:
        lab.until(lambda: lab.asked('ALERTS{alertname="HighErrors", alertstate="firing"}'))
        last, _ = lab.run("{refuse_when_firing: [HighErrors]}")
    finally:
        lab.mark.unlink()
    assert last.outcome is Outcome.NOT_STARTED
    assert last.document["exit_code"] == 12
    assert "HighErrors{" in last.reason
    assert "'refuse_when_firing' names" in last.reason


def test_whoever_is_killed_leaves_no_silence_behind(lab: Lab) -> None:
    lab.well()
    path = lab.written("{silence: {matchers: {severity: page}, at_most: 1h}}", takes=300)
    environ = {
        **os.environ,
        "SLOGUARD_PROMETHEUS_URL": lab.prometheus.url,
        "SLOGUARD_ALERTMANAGER_URL": lab.manager.url,
        "SLOGUARD_STORE_URL": str(lab.folder / "killed.db"),
        "SLOGUARD_STORE_LOCKS": str(lab.folder / "killed-locks"),
    }
    command = [sys.executable, "-m", "sloguard"]
    with (lab.folder / "run.log").open("wb") as log:
        killed = subprocess.Popen([*command, "run", str(path)], env=environ, stdout=log, stderr=log)
    try:
        lab.until(lambda: lab.silences("active"))
    finally:
        killed.send_signal(signal.SIGKILL)
        killed.wait(PATIENCE)
    assert lab.silences("active")
    done = subprocess.run(
        [*command, "recover"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert lab.silences("active") == [], done.stdout + done.stderr
    assert "ended the silence" in done.stdout + done.stderr
    assert not lab.mark.exists()
