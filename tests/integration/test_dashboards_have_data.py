"""Every query of every dashboard, asked of a real Prometheus that scrapes a service of sloguard's and a shop, with
the rules that sloguard generates."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from sloguard.core import events
from sloguard.core.model import Verdict
from sloguard.ports.outbox import Draft
from tests.support import runs as stored
from tests.support.dashboards import FILES, filled, label_values, queries, read, variables
from tests.support.http_double import Answer, HttpDouble, Request, reply
from tests.support.servers import PrometheusServer
from tests.support.service import World, make_world

pytestmark = pytest.mark.integration

RULES = Path(__file__).parents[2] / "rules" / "generated" / "checkout.rules.yaml"
PATIENCE = 90.0
EXPOSITION = "text/plain; version=0.0.4"


def keep(world: World, run: str, verdict: Verdict, experiment: str) -> None:
    """A run that recovered, and burned some of its budget."""
    recorder = world.store.recorder(experiment=experiment)
    for event in stored.whole(run, verdict):
        if isinstance(event, events.Judged | events.RunEnded):
            document = json.loads(json.dumps(event.document))
            document["time_to_recover_seconds"] = 12.5
            for slo in document["slos"]:
                for series in slo["series"]:
                    series["budget_burned"] = 0.25
            event = replace(event, document=document)
        recorder.record(event)


def shop(_: Request) -> Answer:
    """Half of its requests fail, ever more of them."""
    count = time.time() % 1e6 * 100
    lines = ["# TYPE http_requests_total counter"]
    lines += [
        f'http_requests_total{{service="checkout",code="{code}"}} {count}' for code in (200, 500)
    ]
    return reply("\n".join(lines) + "\n", kind=EXPOSITION)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    keep(made, "20260101T115900-aaaaaa", Verdict.DEVIATED, "checkout")
    keep(made, "20260101T125900-bbbbbb", Verdict.MET, "front")
    made.store.put([Draft(channel="grafana", key="1", kind="annotation", stream="r")])
    yield made
    made.store.dispose()


def quick_rules() -> list[dict[str, Any]]:
    """As they are generated, evaluated every second, firing at once."""
    groups: list[dict[str, Any]] = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    for group in groups:
        group["interval"] = "1s"
        for rule in group["rules"]:
            rule.pop("for", None)
            rule.pop("keep_firing_for", None)
    return [group for group in groups if group["name"].startswith("slo-checkout-availability")]


@dataclass
class Asking:
    """A Prometheus, asked as Grafana asks it: over the last minutes, every second."""

    server: PrometheusServer

    def values(self, expr: str) -> list[float]:
        """Every number of the answer, as far as it is one."""
        now = time.time()
        span = {"query": expr, "start": now - 120, "end": now, "step": 1}
        answer = self.server.get(f"/api/v1/query_range?{urlencode(span)}")
        found = [float(v) for series in answer["data"]["result"] for _, v in series["values"]]
        return [value for value in found if not math.isnan(value)]

    def of_label(self, selector: str, label: str) -> list[str]:
        """The values that a label has."""
        asked = urlencode({"match[]": selector})
        found: list[str] = self.server.get(f"/api/v1/label/{label}/values?{asked}")["data"]
        return found


def chosen(asking: Asking, dashboard: Mapping[str, Any]) -> dict[str, str]:
    """A value for each of its variables, as Grafana would begin with; empty until there are any."""
    values = {"__rate_interval": "1m", "datasource": "prometheus"}
    for variable in variables(dashboard):
        selector, label = label_values(variable)
        found = asking.of_label(filled(selector, values), label)
        if not found:
            return {}
        values[variable["name"]] = variable["allValue"] if variable.get("includeAll") else found[-1]
    return values


def test_every_query_of_every_dashboard_returns_data(
    world: World, start_prometheus: Callable[..., PrometheusServer]
) -> None:
    def itself(_: Request) -> Answer:
        return reply(world.client.get("/metrics").data, kind=EXPOSITION)

    with HttpDouble(itself) as sloguard, HttpDouble(shop) as checkout:
        targets = {
            "sloguard": [f"127.0.0.1:{sloguard.port}"],
            "checkout": [f"127.0.0.1:{checkout.port}"],
        }
        server = start_prometheus(targets=targets, rules=quick_rules())
        deadline, asking = time.monotonic() + PATIENCE, Asking(server)
        while left := missing(asking):
            assert time.monotonic() < deadline, left
            time.sleep(0.5)


def missing(asking: Asking) -> list[str]:
    """What has no data yet."""
    found = []
    for file in FILES:
        dashboard = read(file)
        values = chosen(asking, dashboard)
        if not values:
            return [f"{file.stem}: a variable"]
        for where, expr in queries(dashboard):
            # What stands in where there is nothing would hide that there is nothing.
            if not asking.values(filled(expr.removesuffix(" or vector(0)"), values)):
                found.append(f"{file.stem}: {where}: {filled(expr, values)}")
    return found
