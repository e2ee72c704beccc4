"""Worlds over HTTP: ``/NAME/metrics`` for Prometheus, ``/NAME/app`` for users from outside."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.mesh.world import World


class Worlds:
    """All worlds of a test run, by their names. ``with`` serves them."""

    def __init__(self) -> None:
        self.worlds: dict[str, World] = {}
        self._server = _Server(self)

    def __enter__(self) -> Worlds:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def url(self, name: str) -> str:
        """Where users of a world come to."""
        return f"http://{self.address}/{name}/app"

    def jobs(self, names: Iterable[str], interval: str) -> list[dict[str, Any]]:
        """The scrape configurations of worlds that are there, or will be."""
        return [
            {
                "job_name": name,
                "metrics_path": f"/{name}/metrics",
                "scrape_interval": interval,
                "scrape_timeout": interval,
                # What metrics say of themselves stands, as with kube-state-metrics.
                "honor_labels": True,
                "static_configs": [{"targets": [self.address]}],
            }
            for name in names
        ]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, worlds: Worlds) -> None:
        self.worlds = worlds
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A scrape that was given up is nobody's concern."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        _, name, what = self.path.split("/")[:3]
        world = self.server.worlds.worlds.get(name)
        if world is None:
            self._send(404, "")
        elif what == "metrics":
            self._send(200, world.metrics())
        else:
            self._send(world.hit(), "")

    def _send(self, status: int, text: str) -> None:
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
