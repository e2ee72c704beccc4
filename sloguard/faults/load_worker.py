"""The process that makes HTTP load: its order arrives as a line of JSON, its report leaves as one.

A process of its own, so that load costs sloguard's watching nothing. It ends when its standard input closes:
on request, or because sloguard is gone. Standard library only.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from sloguard.faults.http_client import Connection, Failed, Target
from sloguard.faults.latency import Latencies

#: A request that leaves this much later than it was meant to counts as late, seconds.
LATE = 0.01


class Load:
    """One load, from its first request to its report."""

    def __init__(self, order: Mapping[str, Any]) -> None:
        self._order = order
        self._timeout = float(order["timeout"])
        self._target = _target(order)
        self._connections: list[Connection] = []
        self._idle: list[Connection] = []
        self._room = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._end = 0.0
        self.stop = asyncio.Event()
        self.latencies = Latencies()
        self.statuses: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.sent = self.not_sent = self.late = self.in_flight = self.most_in_flight = 0

    async def run(self) -> dict[str, Any]:
        """Send until the time is up or ``stop``; then wait for what is under way, unless stopped."""
        began = time.monotonic()
        self._end = began + float(self._order["duration"])
        rate = self._order["rate"]
        sending = self._open_loop(began, rate) if rate else self._closed_loop()
        task = asyncio.create_task(sending)
        stopping = asyncio.create_task(self.stop.wait())
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        sent_for = min(time.monotonic(), self._end) - began
        draining = asyncio.create_task(self._drained())
        await asyncio.wait({draining, stopping}, return_when=asyncio.FIRST_COMPLETED)
        under_way = [task, stopping, draining, *self._tasks]
        for pending in under_way:
            pending.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        for connection in self._connections:
            connection.drop()
        return self._report(sent_for)

    async def _drained(self) -> None:
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _closed_loop(self) -> None:
        """Each client sends its next request as soon as it has the answer to the last."""
        for _ in range(int(self._order["clients"])):
            self._go(self._client(self._connection()))
        while time.monotonic() < self._end:
            await asyncio.sleep(max(self._end - time.monotonic(), 0))

    async def _client(self, connection: Connection) -> None:
        while (now := time.monotonic()) < self._end:
            await self._one(connection, now)
            if connection.failed:
                # A refused connection costs nothing: without a pause this would be a busy loop.
                await asyncio.sleep(0.01)

    async def _open_loop(self, began: float, rate: float) -> None:
        """Requests leave at their times, whatever becomes of those before; each is timed from when it
        was meant to leave, so that a server that stalls is charged for all it keeps waiting."""
        number, most = 0, int(self._order["clients"])
        while (due := began + number / rate) < self._end:
            now = time.monotonic()
            if due > now:
                await asyncio.sleep(due - now)
            while (
                not self._idle and len(self._connections) >= most and time.monotonic() < self._end
            ):
                self._room.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(
                        self._room.wait(), max(self._end - time.monotonic(), 0.001)
                    )
            if time.monotonic() >= self._end and not self._idle:
                break
            connection = self._idle.pop() if self._idle else self._connection()
            self._go(self._due(connection, due))
            number += 1
        self.not_sent = max(-int(-(self._end - began) * rate // 1) - number, 0)

    async def _due(self, connection: Connection, due: float) -> None:
        if time.monotonic() - due > LATE:
            self.late += 1
        try:
            await self._one(connection, due)
        finally:
            self._idle.append(connection)
            self._room.set()

    def _connection(self) -> Connection:
        connection = Connection(self._target)
        self._connections.append(connection)
        return connection

    def _go(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _one(self, connection: Connection, since: float) -> None:
        self.sent += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        connection.failed = True
        try:
            status = await connection.request(self._timeout)
            connection.failed = False
            self.statuses[str(status)] += 1
            self.latencies.add(time.monotonic() - since)
        except Failed as failure:
            self.errors[failure.kind] += 1
        except asyncio.CancelledError:
            self.errors["unfinished"] += 1
            raise
        finally:
            self.in_flight -= 1

    def _report(self, seconds: float) -> dict[str, Any]:
        answered = self.latencies.count
        report = {
            "seconds": round(seconds, 3),
            "stopped": self.stop.is_set(),
            "sent": self.sent,
            "answered": answered,
            "by_status": dict(sorted(self.statuses.items())),
            "errors": dict(sorted(self.errors.items())),
            "sent_rate": round(self.sent / seconds, 3) if seconds > 0 else 0.0,
            "latency_seconds": self.latencies.summary(),
            "most_in_flight": self.most_in_flight,
            "connections": len(self._connections),
            "bytes_sent": sum(c.sent for c in self._connections),
            "bytes_received": sum(c.received for c in self._connections),
        }
        if self._order["rate"]:
            report |= {
                "asked_rate": self._order["rate"],
                "late": self.late,
                "not_sent": self.not_sent,
            }
        return report


def _target(order: Mapping[str, Any]) -> Target:
    tls = None
    if order["tls"]:
        tls = ssl.create_default_context(cafile=order["ca"] or None)
        if not order["verify"]:
            tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    method = str(order["method"])
    return Target(
        host=order["host"],
        port=int(order["port"]),
        head=str(order["head"]).encode("latin-1"),
        body=str(order["body"]).encode(),
        expects_body=method != "HEAD",
        idempotent=method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS"),
        tls=tls,
    )


async def _main(order: Mapping[str, Any]) -> None:
    load = Load(order)
    loop = asyncio.get_running_loop()

    def listen() -> None:
        sys.stdin.buffer.read()
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(load.stop.set)

    threading.Thread(target=listen, daemon=True).start()
    report = await load.run()
    sys.stdout.write(json.dumps(report) + "\n")
    sys.stdout.flush()
    # At once: a name that is being looked up would keep the loop from closing for seconds.
    os._exit(0)


def main() -> None:
    """Read the order, make the load, write the report."""
    order = json.loads(sys.stdin.buffer.readline())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = int(order["clients"]) + 64
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    asyncio.run(_main(order))
