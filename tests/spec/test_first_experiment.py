"""A first experiment from what a Prometheus has: what is found, and that what is written holds."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from sloguard.core.model import Phases
from sloguard.promql.findings import Severity
from sloguard.promql.lint import lint
from sloguard.spec import read, starter

Rows = list[dict[str, str]]


def prometheus(metrics: dict[str, Rows]) -> Callable[[str], Rows]:
    """Answers the two kinds of question that are asked: which candidates, and which labels one has."""

    def ask(query: str) -> Rows:
        if query == starter.CANDIDATES:
            pattern = re.search(r'=~"(.*)"}\)', query)
            assert pattern is not None
            return [{"__name__": name} for name in metrics if re.fullmatch(pattern[1], name)]
        by, _, metric = re.fullmatch(r"group by \((.*)\)( )\((.*)\)", query).groups()  # type: ignore[union-attr]  # the only other form
        return [{k: v for k, v in row.items() if k in by.split(", ")} for row in metrics[metric]]

    return ask


SHOP = {
    "http_requests_total": [
        {"code": "200", "service": "front"},
        {"code": "503", "service": "stock"},
    ],
    "http_request_duration_seconds_bucket": [{"service": "front"}, {"service": "stock"}],
    "prometheus_http_requests_total": [{"code": "200", "job": "prometheus"}],
}
MESH = {
    "istio_requests_total": [{"response_code": "200", "destination_service_name": "shop"}],
    "istio_request_duration_milliseconds_bucket": [{"destination_service_name": "shop"}],
}
GRPC = {"grpc_server_handled_total": [{"grpc_code": "OK", "grpc_service": "shop.Cart"}]}
SPRING = {
    "http_server_requests_seconds_count": [{"status": "200", "job": "shop"}],
    "http_server_requests_seconds_bucket": [{"status": "200", "job": "shop"}],
}


@pytest.mark.parametrize(
    ("metrics", "counter", "status", "group", "histogram"),
    [
        (SHOP, "http_requests_total", "code", "service", "http_request_duration_seconds_bucket"),
        (MESH, "istio_requests_total", "response_code", "destination_service_name",
         "istio_request_duration_milliseconds_bucket"),
        (GRPC, "grpc_server_handled_total", "grpc_code", "grpc_service", None),
        (SPRING, "http_server_requests_seconds_count", "status", "job",
         "http_server_requests_seconds_bucket"),
    ],
)  # fmt: skip
def test_the_usual_names_are_found(metrics, counter, status, group, histogram) -> None:
    counters, histograms = starter.look(prometheus(metrics))
    assert (counters[0].metric, counters[0].status, counters[0].group) == (counter, status, group)
    assert [h.metric for h in histograms[:1]] == ([histogram] if histogram else [])
    assert not any(c.metric.startswith("prometheus_") for c in counters)


@pytest.mark.parametrize("metrics", [SHOP, MESH, GRPC, SPRING, {}])
@pytest.mark.parametrize("kill", ["", 'java -jar "shop".jar'])
def test_what_is_written_can_be_run_as_it_is(metrics, kill: str, tmp_path: Path) -> None:
    counters, histograms = starter.look(prometheus(metrics))
    choice = starter.Choice(
        title='A "first" one: 100%',
        counter=counters[0] if counters else None,
        histogram=histograms[0] if histograms else None,
        kill=kill,
    )
    file = tmp_path / "first.yaml"
    file.write_text(starter.write(choice))
    loaded = read(file)
    assert loaded.warnings == ()
    assert loaded.experiment.title == choice.title
    assert loaded.experiment.slos
    for slo in loaded.experiment.slos:
        found = lint(slo, phases=loaded.experiment.phases, scrape_interval=15.0)
        assert [f for f in found if f.severity is Severity.ERROR] == []
    assert loaded.experiment.phases != Phases()
    if kill:
        arguments = loaded.experiment.method[0].provider["arguments"]
        assert arguments["command_pattern"] == kill


def test_milliseconds_get_a_bound_in_milliseconds(tmp_path: Path) -> None:
    _, histograms = starter.look(prometheus(MESH))
    text = starter.write(starter.Choice("t", None, histograms[0], latency="250ms"))
    assert 'objective: "<= 250"' in text


def test_only_one_service(tmp_path: Path) -> None:
    counters, _ = starter.look(prometheus(SHOP))
    text = starter.write(starter.Choice("t", counters[0], None, only='fr"ont'))
    file = tmp_path / "first.yaml"
    file.write_text(text)
    assert 'service="fr\\"ont"' in read(file).experiment.slos[0].queries["total"]
