"""The way to an API server, the double or a real one, on which requests are counted and trouble happens.

It listens as an API server does, hands every request on with the credentials of a client, and hands the
answer back. Whoever comes this way may be killed between any two of its calls, also on a real cluster.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from sloguard.adapters.kubernetes import KubernetesCluster
from tests.fakes.kubernetes.answers import Refused
from tests.fakes.kubernetes.api import Request
from tests.fakes.kubernetes.trouble import Trouble
from tests.support.prompt_server import PromptServer

_LONGEST = 60.0


class Passage:
    """``with`` opens and closes it. ``behind``: the cluster as it is reached without trouble."""

    def __init__(self, behind: KubernetesCluster) -> None:
        self.behind = behind
        self.trouble = Trouble()
        #: (method, path with its query) of every request, in order.
        self.requests: list[tuple[str, str]] = []
        self._counting = threading.Lock()
        self._server = _Server(self)

    def __enter__(self) -> Passage:
        self._server.begin()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def kubeconfig(self, path: Path) -> Path:
        """Write one that leads through here, under the name that the cluster has."""
        server = f"http://127.0.0.1:{self._server.server_address[1]}"
        name = self.behind.name
        about = {"cluster": name, "user": name, "namespace": self.behind.own_namespace}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": server}}],
            "users": [{"name": name, "user": {"token": "any"}}],
            "contexts": [{"name": name, "context": about}],
            "current-context": name,
        }
        path.write_text(json.dumps(config))
        return path

    def count(self, request: Request, path: str) -> int:
        """Note a request; gives its number."""
        with self._counting:
            self.requests.append((request.method, path))
            return len(self.requests) - 1


class _Server(PromptServer):
    def __init__(self, passage: Passage) -> None:
        self.passage = passage
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that are killed are what this is about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, *_: object) -> None:
        pass

    def _serve(self) -> None:
        trouble = self.server.passage.trouble
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if trouble.away.is_set():
            return self._drop()
        request = self._request(body)
        number = self.server.passage.count(request, self.path)
        trouble.before(number, request)
        rule = trouble.of(request)
        if rule is not None:
            if rule.what == "lost-before":
                return self._drop()
            if rule.what == "error":
                return self._send(
                    rule.status, Refused(rule.status, "InternalError", "it broke").body
                )
            if rule.what == "busy":
                busy = Refused(429, "TooManyRequests", "Too many requests, please try again later.")
                return self._send(429, busy.body, {"Retry-After": "1"})
            if rule.what == "slow":
                time.sleep(rule.seconds)
        answer = self._ask(body)
        if request.query.get("watch") in ("true", "1"):
            return self._stream(answer)
        data = answer.read()
        answer.release_conn()
        trouble.after(number, request)
        if rule is not None and rule.what == "lost-after":
            return self._drop()
        kept = {k: v for k, v in answer.headers.items() if k in ("Retry-After", "Content-Type")}
        return self._send(answer.status, data, kept)

    # The names that the base class calls.
    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815

    def _request(self, body: bytes) -> Request:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        kind = self.headers.get("Content-Type", "application/json")
        content = json.loads(body) if body else None
        return Request(self.command, unquote(parts.path), query, content, kind)

    def _ask(self, body: bytes) -> Any:
        from urllib3.util import Timeout

        http = self.server.passage.behind._http
        kept = ("Content-Type", "Accept", "Impersonate-User", "Impersonate-Group")
        headers = {k: self.headers[k] for k in kept if k in self.headers}
        return http._pool.request(
            self.command,
            str(http.connection.configuration.host).rstrip("/") + self.path,
            body=body or None,
            headers={**headers, **http.authorization()},
            timeout=Timeout(connect=5.0, read=_LONGEST),
            retries=False,
            redirect=False,
            preload_content=False,
        )

    def _stream(self, answer: Any) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers.get("Content-Type", "application/json"))
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            # Line by line: each event goes on as soon as it is there.
            for line in answer:
                if self.server.passage.trouble.away.is_set():
                    return self._drop()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
        finally:
            answer.close()

    def _send(self, status: int, answer: Any, headers: dict[str, str] | None = None) -> None:
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def _drop(self) -> None:
        """End the connection as a dying server does: with a reset."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
