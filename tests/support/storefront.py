"""A small shop as its customers see it: an HTTP server that answers as the state of the double deserves.

``/storefront`` asks pods of ``storefront`` alone; ``/storefront/with-stock`` those of ``stock`` too, through the
VirtualService of that name with its faults, retries and timeout; ``/storefront/under-load`` breaks for good
once it was asked more often than ``bears``. ``/metrics`` has the share of errors of the first one as a gauge.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sloguard.core.objective import parse_duration
from tests.fakes.kubernetes.server import KubernetesDouble


class Storefront:
    """What it knows of the cluster, and how much it bears."""

    def __init__(self, double: KubernetesDouble, namespace: str) -> None:
        self._double, self._namespace = double, namespace
        self.bears = 10**9
        self.asked = 0
        self.port = 0
        self._turn = 0
        self._guard = threading.Lock()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def status(self, path: str) -> int:
        """The status of an answer."""
        if not self._serves("storefront"):
            return 503
        if path == "/storefront/with-stock":
            return self._stock()
        if path == "/storefront/under-load":
            with self._guard:
                self.asked += 1
                return 200 if self.asked <= self.bears else 503
        return 200 if path == "/storefront" else 404

    def metrics(self) -> str:
        """As Prometheus scrapes them."""
        share = 0 if self.status("/storefront") == 200 else 1
        return f'shop_error_share{{namespace="{self._namespace}",app="storefront"}} {share}\n'

    def _serves(self, app: str) -> bool:
        with self._double.state.lock:
            pods = self._double.state.all("Pod", self._namespace)
            policies = self._double.state.all("NetworkPolicy", self._namespace)
        cut = [p["spec"]["podSelector"].get("matchLabels") for p in policies]
        return {"app": app} not in cut and any(
            pod["metadata"].get("labels", {}).get("app") == app
            and not pod["metadata"].get("deletionTimestamp")
            and _is_ready(pod)
            for pod in pods
        )

    def _stock(self) -> int:
        if not self._serves("stock"):
            return 503
        with self._double.state.lock:
            found = self._double.state.get("VirtualService", "stock", self._namespace)
        route = found["spec"]["http"][0] if found else {}
        fault, retries = route.get("fault") or {}, (route.get("retries") or {}).get("attempts", 0)
        delay, abort = fault.get("delay"), fault.get("abort")
        limit = parse_duration(route["timeout"]) if "timeout" in route else float("inf")
        if delay and self._is_hit(delay) and parse_duration(delay["fixedDelay"]) > limit:
            return 504
        if abort and all(self._is_hit(abort) for _ in range(1 + retries)):
            return int(abort["httpStatus"])
        return 200

    def _is_hit(self, fault: Any) -> bool:
        """By turns, so that half of the requests are every second one."""
        with self._guard:
            share = fault["percentage"]["value"] / 100
            self._turn += 1
            return int(self._turn * share) > int((self._turn - 1) * share)


def _is_ready(pod: Any) -> bool:
    conditions = pod["status"].get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


@contextlib.contextmanager
def open_storefront(double: KubernetesDouble, namespace: str) -> Iterator[Storefront]:
    """It answers until the end of the block."""
    shop = Storefront(double, namespace)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            metrics = self.path == "/metrics"
            body = shop.metrics().encode() if metrics else b"{}"
            self.send_response(200 if metrics else shop.status(self.path))
            self.send_header("Content-Type", "text/plain" if metrics else "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    shop.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield shop
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
