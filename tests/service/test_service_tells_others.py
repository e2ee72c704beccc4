"""Runs, windows and judgements of the service as others hear of them."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sloguard.adapters.clock import SystemClock
from sloguard.adapters.locks import FileLocks
from sloguard.adapters.store import Store
from sloguard.core.model import Experiment
from sloguard.engine.control import Control
from sloguard.engine.options import Options
from sloguard.engine.ports_bundle import Ports
from sloguard.host.identity import Identity, Machine
from sloguard.service.announcing import Announcer, tell_window
from sloguard.service.marks import Marks
from sloguard.service.starting import recover_dead
from sloguard.service.urls import UrlRules
from sloguard.service.worker import Bench, carry_out
from tests.fakes.clock import FakeClock
from tests.fakes.grafana import TOKEN, GrafanaDouble
from tests.fakes.metrics import FakeMetrics
from tests.support import runs as made
from tests.support.service_lab import ServiceLab, stopping
from tests.support.victims import Victims, victims_in

SLOS = {
    "title": "The shop",
    "phases": {"before": "60s", "during": "30s", "after": "60s"},
    "slos": [{"name": "errors", "query": "shop_error_ratio", "objective": "< 10%"}],
}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[ServiceLab]:
    found = ServiceLab(tmp_path, str(tmp_path / "runs.db"))
    (found.slos / "shop.json").write_text(json.dumps(SLOS))
    told = functools.partial(tell_window, found.opened.put, [Marks()])
    found.windows = replace(found.windows, told=told)
    yield found
    found.close()


@pytest.fixture
def victims(tmp_path: Path) -> Iterator[Victims]:
    with victims_in(tmp_path) as some:
        yield some


def bench(lab: ServiceLab) -> Bench:
    locks = FileLocks(lab.home / "locks")
    return Bench(
        store=lab.opened,
        catalogue=lab.catalogue,
        ports=lambda _metrics: Ports(None, SystemClock(), lab.opened, locks),
        metrics=FakeMetrics,
        clock=FakeClock(time.time()),
        options=lambda **chosen: Options(**{"metrics_patience": 5.0, **chosen}),
        allow_url=UrlRules([]),
        patience=3.0,
        announcers=functools.partial(Announcer, lab.opened.put, [Marks()]),
    )


def carried_out(lab: ServiceLab, id: str) -> int:
    job = lab.opened.claim("here", limit=9)
    assert job is not None
    assert job.id == id
    return carry_out(id, job.claim, bench(lab), Control())


def told(store: Store, run: str) -> list[str]:
    found = store.messages(stream=run)
    return [message.key.removeprefix(f"{run}.") for message in reversed(found)]


def test_a_run_is_told_under_its_name_in_the_catalogue(lab: ServiceLab, victims: Victims) -> None:
    victims.start()
    lab.write("shop", stopping(victims.word, tags=["a"]))
    id = lab.submit("shop", tags=["b"])
    assert carried_out(lab, id) == 0
    assert told(lab.opened, id) == ["during:began", "during:over", "during:ended:met"]
    last = lab.opened.messages(stream=id)[0].payload
    timeline = lab.opened.run(id).timeline
    assert timeline is not None
    assert (last["time"], last["time_end"]) == (timeline.fault, timeline.restored)
    assert {"experiment:shop", "a", "b"} <= set(last["tags"])
    assert any(tag.startswith("target:") for tag in last["tags"])


def test_a_plan_is_told_to_nobody(lab: ServiceLab, victims: Victims) -> None:
    victims.start()
    lab.write("shop", stopping(victims.word))
    assert carried_out(lab, lab.submit("shop", dry_run=True)) == 0
    assert lab.opened.messages() == ()


def test_a_window_is_told_when_it_opens_closes_and_is_judged(lab: ServiceLab) -> None:
    fault = round(time.time()) - 500.0
    opened, _ = lab.windows.open(slos="shop", title="A game day", fault_at=fault)
    assert told(lab.opened, opened.id) == ["during:began"]
    lab.windows.close(opened.id, restored_at=fault + 30)
    lab.windows.close(opened.id, restored_at=fault + 30)
    assert told(lab.opened, opened.id) == ["during:began", "during:over"]
    code = carried_out(lab, opened.id)
    outcome = lab.opened.run(opened.id).outcome
    assert code != 1
    assert told(lab.opened, opened.id)[2:] == [f"during:ended:{outcome}"]
    last = lab.opened.messages(stream=opened.id)[0].payload
    assert (last["time"], last["time_end"]) == (fault, fault + 30)
    assert {"window", "experiment:shop"} <= set(last["tags"])


def test_a_run_that_nobody_finishes_is_told_when_it_is_recovered(lab: ServiceLab) -> None:
    far = Identity(1, 1, "", Machine("far", "another-boot", "pid:[1]"))
    with Store(lab.store, process=lambda: far, now=lambda: 1000.0) as elsewhere:
        recorder = elsewhere.recorder(experiment="shop-kill")
        for event in made.opening(made.RUN):
            recorder.record(event)
    found = list(
        recover_dead(
            lab.opened, bench(lab), lambda *_: Experiment(""), elsewhere=True, left_too=False
        )
    )
    assert found
    assert lab.opened.run(made.RUN).outcome == "aborted"
    assert told(lab.opened, made.RUN) == ["during:ended:aborted"]
    payload = lab.opened.messages(stream=made.RUN)[0].payload
    assert payload["time"] == made.FAULT
    assert payload["time_end"] > payload["time"]


def test_the_service_itself_delivers_what_its_workers_tell(tmp_path: Path) -> None:
    double = GrafanaDouble()
    with double.served() as server, victims_in(tmp_path) as victims:
        settings = {"GRAFANA_URL": server.url, "GRAFANA_TOKEN": TOKEN}
        lab = ServiceLab(tmp_path, str(tmp_path / "runs.db"), settings)
        try:
            victims.start()
            lab.write("shop", stopping(victims.word))
            lab.start()
            id = lab.submit("shop")
            eventually_marked(double, id)
        finally:
            lab.close()
    (mark,) = double.of_run(id)
    assert {"experiment:shop", "outcome:met"} <= set(mark["tags"])
    assert mark["timeEnd"] > mark["time"]


def eventually_marked(double: GrafanaDouble, run: str) -> None:
    deadline = time.monotonic() + 100.0
    while not any("outcome:met" in mark["tags"] for mark in double.of_run(run)):
        assert time.monotonic() < deadline, double.requests[-5:]
        time.sleep(0.05)
