"""A world that lives: it follows its cluster, lets pods start in their time, and counts requests."""

from __future__ import annotations

import threading
import time
from collections import deque

from sloguard.ports import Object
from tests.support.clusters import Ground, is_ready
from tests.support.mesh import neighbours, state_metrics
from tests.support.mesh.counting import Counters
from tests.support.mesh.looking import Eyes, Snapshot
from tests.support.mesh.shop import Shop
from tests.support.mesh.traffic import Traffic

#: How often it looks, seconds.
TICK = 0.1
#: How long proxies send requests to a pod that is gone.
PROPAGATION = 0.4
#: Over how long the load that comes from outside is measured.
_LOAD_WINDOW = 1.0


class World:
    """One shop on one cluster. ``with`` makes it live."""

    def __init__(self, ground: Ground, shop: Shop) -> None:
        self.ground, self.shop = ground, shop
        self._eyes = Eyes(ground)
        self._counters = Counters(shop)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._seen = self._eyes.look()
        self._known: dict[str, set[str]] = {}
        self._lost: dict[str, tuple[int, float]] = {}
        self._bound: dict[str, float] = {}
        self._open = True
        self._hits: deque[float] = deque()
        self._moved: object = None
        #: The longest time between two looks, which is more than TICK where the machine is busy.
        self.lag = 0.0
        self._senders = neighbours.LoadPods(ground)
        self._at = time.monotonic()

    def __enter__(self) -> World:
        self._step()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(5)

    def hit(self) -> int:
        """A request from outside; gives the status that its sender gets."""
        self._hits.append(time.monotonic())
        return 200 if self._open else 503

    def metrics(self) -> str:
        """What a scrape finds now."""
        with self._lock:
            self._advance()
            found = [*self._counters.lines(), *state_metrics.lines(self._seen, self.shop.namespace)]
        return "\n".join(found) + "\n"

    def _live(self) -> None:
        while not self._stopping.wait(TICK):
            self._step()

    def _step(self) -> None:
        seen = self._eyes.look()
        self._start_pods(seen)
        self._senders.step(seen, time.monotonic())
        neighbours.inject_chaos(self.ground, seen)
        with self._lock:
            self._advance()
            self._notice(seen)
            self._seen = seen
            self._open = bool(self._known[self.shop.entry])
            lost = {name: count for name, (count, _) in self._lost.items()}
            moved = (id(seen), lost, load := self._load(seen))
            if moved != self._moved:
                # What follows from the same follows once.
                self._moved = moved
                self._counters.set_flows(Traffic(self.shop, seen, lost, load).flow())

    def _advance(self) -> None:
        now = time.monotonic()
        self.lag = max(self.lag, now - self._at)
        self._counters.advance(now - self._at)
        self._at = now

    def _notice(self, seen: Snapshot) -> None:
        """Pods that are gone, and which proxies still send requests to for a moment."""
        for service in self.shop.services:
            there = {p["metadata"]["name"] for p in seen.ready(self.shop.namespace, service.name)}
            gone = self._known.get(service.name, there) - there
            self._known[service.name] = there
            if gone:
                self._lost[service.name] = len(gone), self._at + PROPAGATION
        self._lost = {k: v for k, v in self._lost.items() if v[1] > self._at}

    def _load(self, seen: Snapshot) -> float:
        """Requests a second beside those of the usual users."""
        while self._hits and self._hits[0] < self._at - _LOAD_WINDOW:
            self._hits.popleft()
        return len(self._hits) / _LOAD_WINDOW + self._senders.rate(seen)

    def _start_pods(self, seen: Snapshot) -> None:
        """Pods become Ready some time after they have got a node."""
        now = time.monotonic()
        for pod in seen.of("Pod", self.shop.namespace):
            waits = pod["spec"].get("nodeName") and not is_ready(pod)
            if waits and not neighbours.is_load(pod):
                since = self._bound.setdefault(pod["metadata"]["uid"], now)
                if now - since >= self._startup(pod):
                    self.ground.make_ready(pod)

    def _startup(self, pod: Object) -> float:
        labels = pod["metadata"].get("labels") or {}
        found = [s.startup for s in self.shop.services if s.name == labels.get("app")]
        return found[0] if found else 0.0
