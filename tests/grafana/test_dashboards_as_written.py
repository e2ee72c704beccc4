"""Dashboards as files: made by their script, laid out without overlaps, tied to no data source of ours."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import pytest
import yaml

from scripts.dashboards import DASHBOARDS, PLACE
from sloguard.promql.parse import parse
from tests.support.dashboards import FILES, filled, label_values, panels, queries, read, variables

CAPTURED = Path(__file__).parents[1] / "fixtures" / "grafana" / "grafana_dashboard_classic.json"
ROOT = PLACE.parents[1]
#: Of Prometheus's own; the others are sloguard's or of the rules that it generates.
KNOWN = re.compile(r"^(ALERTS|sloguard_\w+|slo:[\w:]+)$")

each = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def test_all_are_there() -> None:
    assert {file.name for file in FILES} == set(DASHBOARDS)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_the_file_is_what_the_script_makes(name: str) -> None:
    assert (PLACE / name).read_text("utf-8") == DASHBOARDS[name](), "make dashboards"


@each
def test_no_panel_lies_on_another_or_beyond_the_edge(file: Path) -> None:
    places = [panel["gridPos"] for panel in panels(read(file))]
    for place in places:
        assert 0 <= place["x"] < place["x"] + place["w"] <= 24, place
        assert place["h"] > 0
    for one, other in itertools.combinations(places, 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, (one, other)


@each
def test_panels_have_numbers_titles_and_say_what_they_show(file: Path) -> None:
    found = list(panels(read(file)))
    numbers = [panel["id"] for panel in found]
    assert len(set(numbers)) == len(numbers)
    assert all(numbers)
    drawn = [panel for panel in found if panel["type"] != "row"]
    assert len({panel["title"] for panel in drawn}) == len(drawn)
    for panel in drawn:
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        refs = [target["refId"] for target in panel["targets"]]
        assert len(set(refs)) == len(refs) > 0
        if panel["type"] == "timeseries":
            assert panel["fieldConfig"]["defaults"]["unit"]


@each
def test_nothing_names_a_data_source_of_its_own(file: Path) -> None:
    text = file.read_text("utf-8")
    uids = set(re.findall(r'"uid": "([^"]*)"', text))
    dashboard = read(file)
    assert uids == {"${datasource}", "-- Grafana --", dashboard["uid"]}
    assert dashboard["templating"]["list"][0]["type"] == "datasource"
    assert "id" not in dashboard


@each
def test_chaos_windows_are_drawn_by_the_tags_that_marks_have(file: Path) -> None:
    dashboard, captured = read(file), json.loads(CAPTURED.read_text("utf-8"))
    (known,) = captured["annotations"]["list"]
    asked = [a for a in dashboard["annotations"]["list"] if a["datasource"]["type"] == "grafana"]
    assert asked
    for annotation in asked:
        assert annotation["datasource"] == known["datasource"]
        assert annotation["target"]["type"] == known["target"]["type"] == "tags"
        assert annotation["target"].keys() == known["target"].keys()
        assert "sloguard" in annotation["target"]["tags"]
    assert dashboard["schemaVersion"] <= captured["schemaVersion"]


@each
def test_queries_are_promql_over_metrics_that_there_are(file: Path) -> None:
    dashboard = read(file)
    names = [v["name"] for v in dashboard["templating"]["list"]]
    values = dict.fromkeys(names, "x") | {"__rate_interval": "1m"}
    asked = [expr for _, expr in queries(dashboard)]
    asked += [label_values(variable)[0] for variable in variables(dashboard)]
    assert len(asked) > 8
    for expr in asked:
        whole = filled(expr, values)
        parse(whole)
        without_strings = re.sub(r'"[^"]*"', '""', whole)
        for metric in re.findall(r"\b(ALERTS|(?:sloguard|slo)[\w:]*[\w])\{", without_strings):
            assert KNOWN.fullmatch(metric), metric


@each
def test_links_lead_to_dashboards_that_there_are(file: Path) -> None:
    uids = {read(other)["uid"] for other in FILES}
    for uid in re.findall(r"/d/([\w-]+)", file.read_text("utf-8")):
        assert uid in uids


def test_provisioning_is_what_grafana_reads() -> None:
    (source,) = yaml.safe_load(
        (ROOT / "grafana/provisioning/datasources/sloguard.yaml").read_text()
    )["datasources"]
    assert {"name", "type", "access", "uid", "url", "isDefault"} <= set(source)
    (provider,) = yaml.safe_load(
        (ROOT / "grafana/provisioning/dashboards/sloguard.yaml").read_text()
    )["providers"]
    assert {"name", "orgId", "folder", "type", "options"} <= set(provider)
    assert provider["type"] == "file"
