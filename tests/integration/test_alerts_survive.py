"""Ten thousand alerts, and a service that is killed while they come: none is lost, none is there twice."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil
import pytest

from sloguard.adapters.store import Store
from tests.support.alertmanager import alert, payload
from tests.support.calling import eventually
from tests.support.served import Served, serving

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
ALERTS, EACH, CLIENTS = 10_000, 50, 8


@dataclass
class Sender:
    """As Alertmanager: whatever is not answered with 2xx in time is sent again."""

    port: int
    accepted: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)
    stop: threading.Event = field(default_factory=threading.Event)

    def reached(self, goal: int) -> bool:
        return self.accepted >= goal

    def deliver(self, body: bytes) -> None:
        chance = random.Random(body)
        # Some do not wait for the answer, and some send again what was answered.
        hasty, again = chance.random() < 0.05, chance.random() < 0.05
        if hasty:
            self._send(body, wait=False)
        while not self._send(body).startswith("2"):
            if self.stop.wait(0.02):
                return
        if again:
            self._send(body)
        with self.lock:
            self.accepted += 1

    def _send(self, body: bytes, *, wait: bool = True) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        found = "given up"
        try:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/webhooks/alertmanager", body, headers)
            if wait:
                answer = connection.getresponse()
                answer.read()
                found = str(answer.status)
        except (OSError, http.client.HTTPException):
            found = "cut off"
        finally:
            connection.close()
        with self.lock:
            self.ends[found] += 1
        return found


def bodies(now: float) -> list[bytes]:
    """Every alert firing and resolved, in a random order."""
    made = []
    for first in range(0, ALERTS, EACH):
        numbers = range(first, first + EACH)
        group = {"groupKey": f"{{}}:{{first={first}}}"}
        made.append(payload([alert(now - 60, n=str(n)) for n in numbers], **group))
        made.append(payload([alert(now - 60, now - 30, n=str(n)) for n in numbers], **group))
    random.Random(7).shuffle(made)
    return made


def kill(served: Served, *, all_of_it: bool) -> None:
    """At once, as when power fails, but for the disk; or only what answers and what works off."""
    parent = psutil.Process(served.process.pid)
    family = parent.children(recursive=True)
    for process in [parent, *family] if all_of_it else family:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(family, timeout=30)
    if all_of_it:
        served.process.wait(30)


def test_ten_thousand_alerts_are_counted_once_each(tmp_path: Path) -> None:
    now = float(int(time.time()))
    # Two hundred payloads at once, and then so few that others are asked to come again.
    environ = {"SLOGUARD_SERVE_RATE_LIMIT": "2", "SLOGUARD_SERVE_ACCESS_LOG": "false"}
    flags = ("--store", "runs.db", "--workers", "1")
    with serving(tmp_path, *flags, environ=environ) as first, ExitStack() as after:
        first.wait_until_ready()
        sender = Sender(first.port)
        sent = bodies(now)
        pool = after.enter_context(ThreadPoolExecutor(CLIENTS))
        after.callback(sender.stop.set)
        waiting = [pool.submit(sender.deliver, body) for body in sent]
        eventually(partial(sender.reached, 210))
        kill(first, all_of_it=True)
        second = Served(tmp_path, *flags, "--bind", f"127.0.0.1:{first.port}", environ=environ)
        after.callback(second.log.close)
        after.callback(kill, second, all_of_it=True)
        eventually(partial(sender.reached, 330))
        kill(second, all_of_it=False)
        for one in waiting:
            one.result()
        with Store(str(tmp_path / "runs.db")) as store:
            eventually(lambda: not store.payloads_wait())
            kept = store.alert_page(ALERTS + 1)
            refused = store.refused_payloads()
    assert refused == ()
    numbers = [one.episode.labels["n"] for one in kept]
    assert len(numbers) == ALERTS
    assert set(numbers) == {str(n) for n in range(ALERTS)}
    assert {(one.episode.starts_at, one.episode.ends_at) for one in kept} == {(now - 60, now - 30)}
    _check(sender, sent)


def _check(sender: Sender, sent: Sequence[bytes]) -> None:
    """It was not an easy time."""
    assert sender.accepted == len(sent)
    assert set(sender.ends) <= {"202", "503", "cut off", "given up"}, sender.ends
    assert sender.ends["cut off"]
    assert sender.ends["503"]
    assert sender.ends["given up"]
    assert sender.ends["202"] > len(sent)
