"""What sloguard's own alerts look at is told by the service, and moves when something is stuck."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from sloguard.ports.outbox import Draft
from tests.support import runs as stored
from tests.support.service import World
from tests.web.test_web_health import key, metrics

RULES = Path(__file__).resolve().parents[2] / "rules" / "sloguard.yaml"
WAITING = Draft(channel="grafana", key="k", kind="region")


def test_every_metric_of_the_rules_is_told(world: World) -> None:
    world.keep("20260101T110000-aaaaaa")
    world.store.put([WAITING])
    told = {name.partition("{")[0] for name in world.client.get("/metrics").text.split()}
    rules = yaml.safe_load(RULES.read_text())["groups"][0]["rules"]
    asked = {name for rule in rules for name in re.findall(r"sloguard_\w+", rule["expr"])}
    assert len(asked) > 6
    assert asked <= told


def test_an_open_run_and_a_waiting_message_age(world: World) -> None:
    found = metrics(world)
    assert found[key("sloguard_open_run_age_seconds")] == 0
    assert key("sloguard_outbox_age_seconds", channel="grafana") not in found


def test_a_run_that_does_not_end_is_seen(world: World) -> None:
    world.begin(stored.RUN)
    world.store.put([WAITING])
    found = metrics(world)
    assert found[key("sloguard_open_run_age_seconds")] > 0
    assert found[key("sloguard_outbox_messages", channel="grafana", state="waiting")] == 1
    assert found[key("sloguard_outbox_age_seconds", channel="grafana")] >= 0
