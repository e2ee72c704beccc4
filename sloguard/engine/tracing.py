"""A run whose queries are told as spans."""

from __future__ import annotations

from dataclasses import replace

from sloguard.engine.ports_bundle import Ports
from sloguard.telemetry.run_spans import RunSpans


def traced(ports: Ports, spans: RunSpans) -> Ports:
    """The same ports, with every query to Prometheus a span."""
    metrics, live = ports.metrics, ports.live
    return replace(
        ports,
        metrics=None if metrics is None else spans.over(metrics),
        live=None if live is None else spans.over(live, live=True),
    )
