"""docs/running.md says what the service really has."""

from __future__ import annotations

import json
import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from sloguard.settings import describe
from tests.support import runs as stored
from tests.support.service import make_world

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "running.md").read_text(encoding="utf-8")


def test_every_metric_is_in_the_table_and_no_other(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.keep(stored.RUN)
    world.client.get("/api/v1/runs")
    text = world.client.get("/metrics").get_data(as_text=True)
    world.store.dispose()
    families = {
        family.name: {label for sample in family.samples for label in sample.labels} - {"le"}
        for family in text_string_to_metric_families(text)
        if not family.name.endswith("_created")
    }
    section = TEXT.partition("## Metrics")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(sloguard_\w+)` \|.*\|(.*)\|$", section, re.MULTILINE)
    told = {
        # A family has no such ending in the parser's eyes, a sample has.
        name.removesuffix("_info").removesuffix("_total"): set(re.findall(r"`(\w+)`", labels))
        for name, labels in rows
    }
    known = {name.removesuffix("_info"): labels for name, labels in families.items()}
    assert told.keys() == known.keys()
    for name, labels in known.items():
        assert labels <= told[name], name


def test_the_settings_that_it_names_exist() -> None:
    known = {setting.name for setting in describe()}
    named = set(re.findall(r"`((?:serve|store|prometheus)\.\w+)[`:]", TEXT))
    assert named
    assert named <= known


def test_the_line_of_a_log_is_one() -> None:
    [example] = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
    assert json.loads(example)["process"] == "web"
