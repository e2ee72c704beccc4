"""Counters that flows fill, and the text in which they are scraped."""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tests.support.mesh.shop import GATEWAY, Shop
from tests.support.mesh.traffic import Edge, Flows, Outcome

#: Upper bounds of buckets: Istio's in milliseconds, the client libraries' in seconds.
ISTIO_MS = (0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000)
CLIENT_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

Floats = NDArray[np.float64]
Labels = tuple[tuple[str, str], ...]


@dataclass
class Family:
    """A histogram and a counter of the same requests."""

    counter: str
    histogram: str
    bounds: Sequence[float]
    scale: float
    counts: dict[Labels, Floats] = field(default_factory=dict)
    rates: dict[Labels, Floats] = field(default_factory=dict)

    def set_rates(self, rates: Mapping[Labels, Sequence[Outcome]]) -> None:
        """From now on, requests a second by their labels; what has no rate any more stays as it is."""
        self.rates = {labels: self._binned(found) for labels, found in rates.items()}

    def _binned(self, outcomes: Sequence[Outcome]) -> Floats:
        """One number a bucket, the last but one for those above all; the last one is the sum."""
        binned = np.zeros(len(self.bounds) + 2)
        for o in outcomes:
            value = o.seconds * self.scale
            binned[bisect.bisect_left(self.bounds, value)] += o.share
            binned[-1] += o.share * value
        return binned

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        for labels, rate in self.rates.items():
            kept = self.counts.get(labels)
            self.counts[labels] = rate * seconds if kept is None else kept + rate * seconds

    def forget(self, gone: Sequence[Labels]) -> None:
        """What counted these has ended."""
        for labels in gone:
            self.counts.pop(labels, None)

    def lines(self) -> list[str]:
        """As they are scraped."""
        found = [f"# TYPE {self.counter} counter"]
        totals = {k: float(v[:-1].sum()) for k, v in self.counts.items()}
        found += [f"{self.counter}{{{_text(k)}}} {v:.6f}" for k, v in totals.items()]
        found.append(f"# TYPE {self.histogram} histogram")
        for labels, kept in self.counts.items():
            text = _text(labels)
            cumulated = np.cumsum(kept[:-1])
            for bound, value in zip((*self.bounds, "+Inf"), cumulated, strict=True):
                found.append(f'{self.histogram}_bucket{{{text},le="{bound}"}} {value:.6f}')
            found.append(f"{self.histogram}_sum{{{text}}} {kept[-1]:.6f}")
            found.append(f"{self.histogram}_count{{{text}}} {totals[labels]:.6f}")
        return found


class Counters:
    """All requests of a shop: as Istio's proxies count them, and as its services do themselves."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._istio = Family(
            "istio_requests_total", "istio_request_duration_milliseconds", ISTIO_MS, 1000.0
        )
        self._client = Family(
            "http_requests_total", "http_request_duration_seconds", CLIENT_SECONDS, 1.0
        )

    def set_flows(self, flows: Flows) -> None:
        """From now on."""
        edges: dict[Labels, list[Outcome]] = {}
        for edge, outcomes in flows.edges.items():
            for o in outcomes:
                edges.setdefault(self._of_edge(edge, o), []).append(o)
        self._istio.set_rates(edges)
        pods: dict[Labels, list[Outcome]] = {}
        for (service, pod), outcomes in flows.pods.items():
            for o in outcomes:
                pods.setdefault(self._of_pod(service, pod, o.code), []).append(o)
        self._client.set_rates(pods)
        there = {f"{pod}" for _, pod in flows.pods}
        self._client.forget([k for k in self._client.counts if dict(k)["pod"] not in there])

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._istio.advance(seconds)
        self._client.advance(seconds)

    def lines(self) -> list[str]:
        """As they are scraped."""
        return [*self._istio.lines(), *self._client.lines()]

    def _of_edge(self, edge: Edge, one: Outcome) -> Labels:
        where, to = self._shop.namespace, edge.destination
        whence = "istio-system" if edge.source == GATEWAY else where
        return (
            ("reporter", edge.reporter),
            ("source_workload", edge.source),
            ("source_workload_namespace", whence),
            ("source_app", edge.source),
            ("destination_workload", to),
            ("destination_workload_namespace", where),
            ("destination_app", to),
            ("destination_service", f"{to}.{where}.svc.cluster.local"),
            ("destination_service_name", to),
            ("destination_service_namespace", where),
            ("request_protocol", "http"),
            ("response_code", str(one.code)),
            ("response_flags", one.flags),
        )

    def _of_pod(self, service: str, pod: str, code: int) -> Labels:
        return (
            ("namespace", self._shop.namespace),
            ("service", service),
            ("pod", pod),
            ("method", "GET"),
            ("code", str(code)),
        )


def _text(labels: Labels) -> str:
    return ",".join(f'{name}="{value}"' for name, value in labels)
