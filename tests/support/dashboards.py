"""Dashboards as Grafana reads them: panels, queries, variables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PLACE = Path(__file__).parents[2] / "grafana" / "dashboards"
FILES = sorted(PLACE.glob("*.json"))
Json = Mapping[str, Any]
_LABEL_VALUES = re.compile(r"label_values\((?P<selector>.*), (?P<label>\w+)\)")


def read(file: Path) -> Json:
    """One dashboard."""
    found: Json = json.loads(file.read_text("utf-8"))
    return found


def panels(dashboard: Json) -> Iterator[Json]:
    """All of them, also those inside a row."""
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels") or ()


def queries(dashboard: Json) -> Iterator[tuple[str, str]]:
    """(where, PromQL) of everything that is asked of Prometheus but variables."""
    for panel in panels(dashboard):
        for target in panel.get("targets") or ():
            yield f"{panel['title']} {target['refId']}", target["expr"]
    for annotation in dashboard["annotations"]["list"]:
        if annotation["datasource"]["type"] == "prometheus":
            yield f"annotation {annotation['name']}", annotation["expr"]


def variables(dashboard: Json) -> list[Json]:
    """Those that are asked of Prometheus, in their order."""
    return [v for v in dashboard["templating"]["list"] if v["type"] == "query"]


def label_values(variable: Json) -> tuple[str, str]:
    """Selector and label of a variable's query."""
    found = _LABEL_VALUES.fullmatch(variable["query"]["query"])
    assert found, variable["query"]
    return found["selector"], found["label"]


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with values in place of its variables; every one of them must be known."""
    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda m: values[m[1] or m[2]], text)
