"""A world over HTTP: ``/metrics`` for Prometheus, and all else for users from outside."""

from __future__ import annotations

import socket
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.support.mesh.world import World
from tests.support.prompt_server import PromptServer


class Served:
    """``with`` serves a world on a socket that listens already."""

    def __init__(self, world: World, listening: socket.socket) -> None:
        self._server = _Server(world, listening)

    def __enter__(self) -> Served:
        self._server.begin()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(PromptServer):
    def __init__(self, world: World, listening: socket.socket) -> None:
        self.world = world
        super().__init__(listening.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A scrape that was given up is nobody's concern."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        if self.path == "/metrics":
            self._send(200, self.server.world.metrics())
        else:
            self._send(self.server.world.hit(), "")

    def _send(self, status: int, text: str) -> None:
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
