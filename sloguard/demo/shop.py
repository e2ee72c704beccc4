"""The shop's services, one process each: ``python -m sloguard.demo.shop front --port 8000 …``.

front asks checkout (through Envoy) to place an order, checkout asks stock to take the goods. Each is a
plain HTTP/1.1 server with Prometheus metrics under the names that client libraries use::

    http_requests_total{service, method, code}
    http_request_duration_seconds_bucket{service, le}     (and _sum, _count)

A service that cannot reach the next one answers 503, one that waits too long for it 504; any other error
of the next one is passed on with its status.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

#: A boundary at the demo's latency objective of 1 s: which side of it an order fell on is then certain.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0)

#: Longer than any delay of the demo's experiments: the users wait, they do not give up.
PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What a service answers."""

    status: int
    body: bytes
    content_type: str = "application/json"


class Measures:
    """A service's metrics. Codes are known from the start, so that a first error is an increase."""

    def __init__(self, service: str) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "http_requests",
            "Requests answered.",
            ["service", "method", "code"],
            registry=self.registry,
        )
        duration = Histogram(
            "http_request_duration_seconds",
            "How long requests took.",
            ["service"],
            registry=self.registry,
            buckets=BUCKETS,
        )
        self._service = service
        self._duration = duration.labels(service)
        for code in ("200", "503", "504"):
            self._requests.labels(service, "GET", code)

    def count(self, method: str, status: int, seconds: float) -> None:
        """One request was answered."""
        self._requests.labels(self._service, method, str(status)).inc()
        self._duration.observe(seconds)

    def exposition(self) -> Reply:
        """The text that Prometheus scrapes."""
        return Reply(200, generate_latest(self.registry), CONTENT_TYPE_LATEST)


class Next:
    """The service behind this one; a connection per thread, kept open."""

    def __init__(self, url: str, patience: float) -> None:
        parts = urlsplit(url)
        self._patience = patience
        self._address = (parts.hostname or "", parts.port or 80)
        self._kept = threading.local()

    def get(self, path: str) -> Reply:
        """Ask once. No connection is 503, no answer in time 504."""
        try:
            return self._ask(path)
        except TimeoutError:
            self._drop()
            return _problem(504, "the next service took too long")
        except (OSError, http.client.HTTPException) as error:
            self._drop()
            return _problem(503, f"the next service is away: {type(error).__name__}")

    def _ask(self, path: str) -> Reply:
        connection = getattr(self._kept, "connection", None)
        if connection is None:
            connection = http.client.HTTPConnection(*self._address, timeout=self._patience)
            self._kept.connection = connection
        connection.request("GET", path)
        answer = connection.getresponse()
        return Reply(answer.status, answer.read())

    def _drop(self) -> None:
        connection = self._kept.__dict__.pop("connection", None)
        if connection is not None:
            connection.close()


def _problem(status: int, message: str) -> Reply:
    return Reply(status, json.dumps({"error": message}).encode())


class Shop(ThreadingHTTPServer):
    """One service: some work of its own, then the next one, if there is one."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, service: str, port: int, work: float, upstream: Next | None) -> None:
        self.service = service
        self.measures = Measures(service)
        self._work = work
        self._next = upstream
        super().__init__(("127.0.0.1", port), _Handler)

    def order(self) -> Reply:
        """Take one order."""
        # Work that waits and does not compute: the demo shares its machine with others.
        time.sleep(self._work * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, not a secret
        if self._next is None:
            return Reply(200, b'{"order": "taken"}')
        return self._next.get("/order")

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that hangs up is no news; anything else goes to the log."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: Shop
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    # Buffered, so that headers and body leave in one piece: an answer that has begun cannot be asked for
    # again elsewhere, and a service killed between the halves would be an error that no retry can hide.
    wbufsize = 1 << 16

    def do_GET(self) -> None:
        if self.path == "/metrics":
            self._send(self.server.measures.exposition())
        elif self.path == "/healthz":
            self._send(Reply(200, b'{"status": "ok"}'))
        elif self.path == "/order":
            began = time.perf_counter()
            reply = self.server.order()
            # Counted before it is sent: whoever has the answer finds it in the metrics.
            self.server.measures.count("GET", reply.status, time.perf_counter() - began)
            self._send(reply)
        else:
            self._send(_problem(404, "try /order, /metrics or /healthz"))

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the metrics are the log."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(prog="sloguard.demo.shop", description="A service of the demo")
    parser.add_argument("service", choices=["front", "checkout", "stock"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--work", type=float, default=0.004, help="mean seconds of work per order")
    parser.add_argument("--next", help="URL of the service behind this one")
    parser.add_argument("--patience", type=float, default=PATIENCE, help="seconds to wait for it")
    parser.add_argument("--demo", help="which demo this belongs to; only shown in the process list")
    given = parser.parse_args(arguments)
    upstream = Next(given.next, given.patience) if given.next else None
    with Shop(given.service, given.port, given.work, upstream) as shop:
        shop.serve_forever(poll_interval=60)


if __name__ == "__main__":
    main()
