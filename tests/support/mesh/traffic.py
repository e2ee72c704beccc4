"""What becomes of the requests of users, as rates: no clock and no chance, so that each run sees the same.

A request goes from caller to service as in a mesh: the fault of the VirtualService first (in the caller's
proxy), then the network, then one of the ready pods, which asks what it depends on.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sloguard.ports import Object
from tests.support.mesh.looking import Snapshot
from tests.support.mesh.network import held_back, passes
from tests.support.mesh.shop import GATEWAY, Service, Shop

#: Share of the requests, and by how much they take longer than the median.
_SPREAD = ((0.5, 1.0), (0.4, 1.5), (0.09, 2.5), (0.01, 4.0))
#: Seconds until a proxy gives up a connection that nobody answers.
CONNECT_TIMEOUT = 1.0
#: Latencies nearer than this factor are taken for one.
_NEAR = 1.2


@dataclass(frozen=True)
class Outcome:
    """A share of requests (or a rate of them), how long they took, in seconds, their status, and what Envoy
    says of them: FI aborted and DI delayed by a fault, UH no pod to send it to, UF not connected."""

    share: float
    seconds: float
    code: int
    flags: str = "-"


@dataclass(frozen=True)
class Edge:
    """Requests between two services, as the proxy of one side (``reporter``) saw them."""

    reporter: str
    source: str
    destination: str


@dataclass
class Flows:
    """Requests a second: between services, and by the pod that served them."""

    edges: dict[Edge, list[Outcome]] = field(default_factory=dict)
    pods: dict[tuple[str, str], list[Outcome]] = field(default_factory=dict)


class Traffic:
    """The flows of one shop. ``lost``: pods of a service that proxies do not know yet to be gone;
    ``load``: requests a second that come on top."""

    def __init__(
        self, shop: Shop, seen: Snapshot, lost: Mapping[str, int], load: float = 0.0
    ) -> None:
        self._shop, self._seen, self._lost = shop, seen, lost
        self._load = load
        self.flows = Flows()

    def flow(self) -> Flows:
        """All that follows from what users do."""
        self._request(GATEWAY, self._shop.service(self._shop.entry), self._shop.rate + self._load)
        return self.flows

    def _request(self, source: str, service: Service, rate: float) -> list[Outcome]:
        route = self._seen.route(self._shop.namespace, service.name)
        fault = route.get("fault") or {}
        aborted, status = (
            _share(fault.get("abort")),
            int((fault.get("abort") or {}).get("httpStatus", 0)),
        )
        delayed, delay = (
            _share(fault.get("delay")),
            _seconds((fault.get("delay") or {}).get("fixedDelay")),
        )
        retries = int((route.get("retries") or {}).get("attempts", 0))
        answers = self._forward(source, service, rate * (1 - aborted), retries)
        met = [*_scaled(answers, 1 - aborted), Outcome(aborted, 0.001, status, "FI")]
        late = [
            Outcome(
                o.share * delayed, o.seconds + delay, o.code, f"DI,{o.flags}".removesuffix(",-")
            )
            for o in met
        ]
        outcomes = _merged([*_scaled(met, 1 - delayed), *late])
        edge = Edge("source", source, service.name)
        self.flows.edges[edge] = list(_scaled(outcomes, rate))
        return outcomes

    def _forward(self, source: str, service: Service, rate: float, retries: int) -> list[Outcome]:
        """What comes of requests that were not aborted on the way."""
        where = self._shop.namespace
        ready = self._seen.ready(where, service.name)
        lost = self._lost.get(service.name, 0)
        if not ready:
            return [Outcome(1.0, 0.002, 503, "UH")]
        unanswered = 0.0 if retries else lost / (lost + len(ready))
        cut = self._cut(source, ready, retries)
        served = (1 - unanswered) * (1 - cut)
        inside = self._serve(service, ready, rate * served)
        self.flows.edges[Edge("destination", source, service.name)] = list(
            _scaled(inside, rate * served)
        )
        for pod in ready:
            # A pod that cannot be reached from outside cannot be scraped either.
            if passes(self._seen, None, pod):
                key = (service.name, str(pod["metadata"]["name"]))
                self.flows.pods[key] = list(_scaled(inside, rate * served / len(ready)))
        return [
            *_scaled(inside, served),
            Outcome((1 - unanswered) * cut, CONNECT_TIMEOUT, 503, "UF"),
            Outcome(unanswered, 0.002, 503, "UF"),
        ]

    def _cut(self, source: str, ready: Sequence[Object], retries: int) -> float:
        """The share of the ways from the caller's pods to these that the network does not let through."""
        callers: list[Object | None] = [None]
        if source != GATEWAY:
            callers = [*self._seen.ready(self._shop.namespace, source)]
        ways = [[passes(self._seen, caller, pod) for pod in ready] for caller in callers]
        open_ = [float(any(way)) if retries else sum(way) / len(way) for way in ways]
        return 1 - sum(open_) / len(open_) if open_ else 0.0

    def _serve(self, service: Service, ready: Sequence[Object], rate: float) -> list[Outcome]:
        """A service's own work, and what it needs of others."""
        used = rate / (len(ready) * service.capacity)
        slow = 1 / (1 - min(used, 0.95)) if used > 0.7 else 1.0
        outcomes = [Outcome(share, service.seconds * slow * f, 200) for share, f in _SPREAD]
        for name in service.calls:
            answers = self._request(service.name, self._shop.service(name), rate)
            if name in service.fallback:
                answers = [Outcome(a.share, min(a.seconds, service.patience), 200) for a in answers]
            outcomes = _merged(_after(one, two) for one in outcomes for two in answers)
        behind = [held_back(self._seen, pod) for pod in ready]
        outcomes = [
            Outcome(o.share / len(ready), o.seconds + late, o.code)
            for o in outcomes
            for late in behind
        ]
        refused = max(1 - 1 / used, 0.0) if used > 0 else 0.0
        return _merged([*_scaled(outcomes, 1 - refused), Outcome(refused, 0.002, 503)])


def _after(one: Outcome, two: Outcome) -> Outcome:
    code = 500 if two.code >= 500 else one.code
    return Outcome(one.share * two.share, one.seconds + two.seconds, code)


def _scaled(outcomes: Iterable[Outcome], by: float) -> Iterable[Outcome]:
    return [Outcome(o.share * by, o.seconds, o.code, o.flags) for o in outcomes]


def _merged(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Those that took about as long, as one."""
    together: dict[tuple[int, str, int], tuple[float, float]] = {}
    for o in outcomes:
        if o.share > 0:
            key = o.code, o.flags, round(math.log(max(o.seconds, 1e-4), _NEAR))
            share, spent = together.get(key, (0.0, 0.0))
            together[key] = share + o.share, spent + o.share * o.seconds
    return [Outcome(s, spent / s, c, flags) for (c, flags, _), (s, spent) in together.items()]


def _share(fault: Mapping[str, object] | None) -> float:
    if not fault:
        return 0.0
    percentage = fault.get("percentage")
    return float(percentage.get("value", 0.0)) / 100 if isinstance(percentage, Mapping) else 1.0


def _seconds(text: str | None) -> float:
    """A duration as Istio writes it."""
    if not text:
        return 0.0
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
    unit = next(u for u in units if text.endswith(u))
    return float(text.removesuffix(unit)) * units[unit]
