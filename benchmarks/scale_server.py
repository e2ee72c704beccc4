"""A server that answers range queries as Prometheus does, as fast as bytes can be sent.

Every range query gets the same 200 series over the grid it asks for; they are written once a grid. So what
is measured is the one who asks. ``python -m benchmarks.scale_server SERIES`` prints its port.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

_EMPTY = {"status": "success", "data": {"resultType": "matrix", "result": []}}
_PLAIN: dict[str, Any] = {
    "rules": {"groups": []},
    "targets": {
        "activeTargets": [
            {
                "labels": {"job": "shop"},
                "scrapeInterval": "15s",
                "lastScrape": "2026-01-01T00:00:00Z",
            }
        ]
    },
    "label/job/values": ["shop"],
    "status/buildinfo": {"version": "2.53.0"},
}


@lru_cache(maxsize=4)
def matrix(series: int, start: float, end: float, step: float) -> bytes:
    """An answer: one series in a hundred breaches 90% in the middle third."""
    count = round((end - start) / step) + 1
    times = [f"{start + i * step:.3f}".rstrip("0").rstrip(".") for i in range(count)]
    rows = []
    for number in range(series):
        bad = number % 100 == 99
        values = ",".join(
            f'[{at},"{0.95 if bad and count / 3 < i < count / 2 else 0.1 + (number * 31 + i * 17) % 997 / 1999:.16f}"]'
            for i, at in enumerate(times)
        )
        labels = json.dumps(
            {"job": "shop", "service": f"svc-{number % 20}", "pod": f"shop-{number:05d}-abcde"},
            separators=(",", ":"),
        )
        rows.append(f'{{"metric":{labels},"values":[{values}]}}')
    text = '{"status":"success","data":{"resultType":"matrix","result":[' + ",".join(rows) + "]}}"
    return text.encode()


def instant(series: int, query: str, now: float) -> bytes:
    """An instant answer: the time, or the same series as a range answer."""
    result: Any = [now, str(now)]
    if query != "time()":
        result = [
            {"metric": {"job": "shop", "pod": f"shop-{number:05d}-abcde"}, "value": [now, "0.1"]}
            for number in range(series)
        ]
    kind = "scalar" if query == "time()" else "vector"
    return json.dumps(
        {"status": "success", "data": {"resultType": kind, "result": result}}
    ).encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    series = 200
    lock = threading.Lock()

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self._answer(parts.path.removeprefix("/api/v1/"), parse_qs(parts.query))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(urlsplit(self.path).path.removeprefix("/api/v1/"), parse_qs(body.decode()))

    def _answer(self, path: str, params: dict[str, list[str]]) -> None:
        if path == "query":
            self._send(instant(self.series, params["query"][0], time.time()))
            return
        if path != "query_range":
            made = {"status": "success", "data": _PLAIN.get(path, [])}
            self._send(json.dumps(made).encode())
            return
        if "ALERTS" in params["query"][0]:
            self._send(json.dumps(_EMPTY).encode())
            return
        start, end, step = (float(params[name][0]) for name in ("start", "end", "step"))
        series = 1 if params["query"][0].startswith("count(") else self.series
        with self.lock:
            body = matrix(series, start, end, step)
        self._send(body)

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def main() -> None:
    """Serve until the standard input ends."""
    _Handler.series = int(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
