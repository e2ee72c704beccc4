"""The double as an HTTP server: what a client connects to."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from operator import itemgetter
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

import yaml

from tests.fakes.kubernetes import selecting
from tests.fakes.kubernetes.answers import Nowhere, Refused, not_found
from tests.fakes.kubernetes.api import APPLY, Api, Request
from tests.fakes.kubernetes.controllers import Controllers, Lag, template_hash
from tests.fakes.kubernetes.kinds import ISTIO, Kind
from tests.fakes.kubernetes.rights import ADMIN, Asked, demand
from tests.fakes.kubernetes.state import Object, State, stamp
from tests.fakes.kubernetes.trouble import Trouble
from tests.support.certificates import Certificates
from tests.support.prompt_server import PromptServer

ADMIN_TOKEN = "the-token-of-the-administrator"
Command = Callable[[str, str, str, list[str]], tuple[int, str, str]]
Log = Callable[[str, str, str, bool], str]


class KubernetesDouble:
    """An API server with its controllers on a free port of this machine. ``with`` starts and stops it.

    ``automatic``: the controllers run by themselves; else only in ``settle``. ``lag``: they and the
    kubelets take their time, as real ones do. ``minor``: the version 1.x whose ways it has.
    ``certificates``: it speaks TLS, and whoever bears one of theirs is the administrator.
    """

    def __init__(
        self,
        *,
        istio: tuple[str, ...] = ISTIO.versions,
        automatic: bool = True,
        suffix: Callable[[], str] | None = None,
        hashed: Callable[[Object], str] = template_hash,
        lag: Lag | None = None,
        minor: int = 36,
        certificates: Certificates | None = None,
    ) -> None:
        self.state = State(istio, minor)
        self.api = Api(self.state, suffix, late=lag is not None, minor=minor)
        self.controllers = Controllers(self.state, self.api, hashed, lag)
        self._lag, self.certificates = lag, certificates
        self.trouble = Trouble()
        self.tokens: dict[str, str] = {ADMIN_TOKEN: ADMIN}
        #: Token -> the uid of the account that it was asked for.
        self.bound: dict[str, str] = {}
        #: (method, path with its query) of every request, in order.
        self.requests: list[tuple[str, str]] = []
        #: (namespace, pod, container, command) -> exit code and output.
        self.command: Command = lambda _ns, _pod, _container, command: (0, " ".join(command), "")
        #: (namespace, pod, container, previous) -> what it has logged.
        self.log: Log = lambda _ns, pod, container, _previous: (
            f"2026-01-01T00:00:00.000000000Z {container} of {pod} is up\n"
        )
        self._automatic = automatic
        self._stopping = threading.Event()
        self._counting = threading.Lock()
        self._server: _Server | None = None
        for name in ("default", "kube-system"):
            self.api.handle(
                Request("POST", "/api/v1/namespaces", body={"metadata": {"name": name}})
            )

    def __enter__(self) -> KubernetesDouble:
        self._server = _Server(self)
        self._server.begin()
        if self._automatic:
            threading.Thread(target=self._control, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        with self.state.lock:
            self.state.changed.notify_all()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    @property
    def url(self) -> str:
        """Where it listens."""
        assert self._server is not None
        scheme = "https" if self.certificates else "http"
        return f"{scheme}://127.0.0.1:{self._server.server_address[1]}"

    def settle(self) -> None:
        """Let the controllers work until there is nothing left to do."""
        self.controllers.settle()

    def user_of(self, token: str) -> str | None:
        """Whose token it is; None once its account is another one, or gone."""
        uid = self.bound.get(token)
        if uid is not None:
            _, _, namespace, name = self.tokens[token].split(":")
            account = self.state.get("ServiceAccount", name, namespace)
            if account is None or account["metadata"]["uid"] != uid:
                return None
        return self.tokens.get(token)

    def token(self, name: str, namespace: str) -> str:
        """A new token of a service account, whether that is there or not."""
        token = f"token-{len(self.tokens)}-of-{namespace}-{name}"
        self.tokens[token] = f"system:serviceaccount:{namespace}:{name}"
        return token

    def kubeconfig(
        self,
        path: Path,
        *,
        token: str = ADMIN_TOKEN,
        context: str = "double",
        verified: bool = True,
    ) -> Path:
        """Write one that leads here; ``verified`` False: whoever answers is believed."""
        cluster: dict[str, Any] = {"server": self.url}
        user = {"token": token}
        if self.certificates is not None:
            files = self.certificates
            if verified:
                cluster["certificate-authority-data"] = _encoded(files.authority)
            else:
                cluster["insecure-skip-tls-verify"] = True
            user = {
                "client-certificate-data": _encoded(files.certificate("client")),
                "client-key-data": _encoded(files.key("client")),
            }
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "double", "cluster": cluster}],
            "users": [{"name": "user", "user": user}],
            "contexts": [{"name": context, "context": {"cluster": "double", "user": "user"}}],
            "current-context": context,
        }
        path.write_text(json.dumps(config))
        return path

    def _control(self) -> None:
        while self._lag is not None and not self._stopping.wait(0.01):
            self.controllers.late_step()
        seen = -1
        while not self._stopping.is_set():
            with self.state.lock:
                while self.state.version == seen and not self._stopping.is_set():
                    self.state.changed.wait(1.0)
                seen = self.state.version
            self.controllers.step()

    def count(self, request: Request, path: str) -> int:
        """Note a request; gives its number."""
        with self._counting:
            self.requests.append((request.method, path))
            return len(self.requests) - 1

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()


class _Server(PromptServer):
    def __init__(self, double: KubernetesDouble) -> None:
        self.double = double
        super().__init__(("127.0.0.1", 0), _Handler)
        if double.certificates is not None:
            context = double.certificates.server_context(ask_client=True)
            # Who bears no certificate may have a token.
            context.verify_mode = ssl.CERT_OPTIONAL
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that are killed are what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, *_: object) -> None:
        pass

    def _serve(self) -> None:
        double = self.server.double
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if double.trouble.away.is_set():
            return self._drop()
        try:
            request = self._request(body)
        except Refused as refused:
            return self._send(refused.code, refused.body)
        number = double.count(request, self.path)
        double.trouble.before(number, request)
        rule = double.trouble.of(request)
        if rule is not None:
            if rule.what == "lost-before":
                return self._drop()
            if rule.what == "error":
                return self._send(rule.status, _status(rule.status, "InternalError", "it broke"))
            if rule.what == "busy":
                answer = _status(
                    429, "TooManyRequests", "Too many requests, please try again later."
                )
                return self._send(429, answer, {"Retry-After": "1"})
            if rule.what == "slow":
                double._stopping.wait(rule.seconds)
        if request.query.get("watch", "").lower() in ("true", "t", "1"):
            return self._permitted(request) and self._watch(request)
        if request.path.endswith("/exec"):
            # A GET by its method; since 1.35 only for those who may create, too.
            also = replace(request, method="POST")
            return self._permitted(request) and self._permitted(also) and self._exec(request)
        if request.path.endswith("/token") and request.method == "POST":
            return self._permitted(request) and self._token(request)
        if request.path.endswith("/log"):
            return self._log(request)
        status, answer, headers = self._answer(request)
        double.trouble.after(number, request)
        if rule is not None and rule.what == "lost-after":
            return self._drop()
        return self._send(status, answer, headers)

    # The names that the base class calls.
    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815

    def _request(self, body: bytes) -> Request:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        token = self.headers.get("Authorization", "").split(" ")[-1]
        certified = not token and isinstance(self.connection, ssl.SSLSocket)
        certified = certified and bool(self.connection.getpeercert())
        user = ADMIN if certified else self.server.double.user_of(token)
        if user is None:
            raise Refused(401, "Unauthorized", "Unauthorized")
        user, groups = self._as_whom(user)
        kind = self.headers.get("Content-Type", "application/json")
        try:
            content = (yaml.safe_load if kind.startswith(APPLY) else json.loads)(body or b"null")
        except (ValueError, yaml.YAMLError):
            raise Refused(400, "BadRequest", "the object provided is unrecognized") from None
        return Request(self.command, unquote(parts.path), query, content, kind, user, groups)

    def _as_whom(self, user: str) -> tuple[str, frozenset[str] | None]:
        """Who is asking in the end, and in which groups, where somebody acts as somebody else."""
        other, groups = (
            self.headers.get("Impersonate-User"),
            self.headers.get_all("Impersonate-Group"),
        )
        if not other:
            return user, None
        state, parts = self.server.double.state, other.split(":")
        account = parts[:2] == ["system", "serviceaccount"] and len(parts) == 4
        asked = [
            Asked("impersonate", "", "serviceaccounts", "", parts[2], parts[3])
            if account
            else Asked("impersonate", "", "users", "", "", other),
            *(Asked("impersonate", "", "groups", "", "", name) for name in groups or ()),
        ]
        with state.lock:
            for one in asked:
                kind = Kind("", ("v1",), one.resource, one.resource)
                demand(state, user, one, kind)
        known = frozenset(groups) | {"system:authenticated"} if groups else None
        return other, known

    def _answer(self, request: Request) -> tuple[int, Any, dict[str, str]]:
        try:
            status, answer = self.server.double.api.handle(request)
        except Refused as refused:
            return refused.code, refused.body, refused.headers
        except Nowhere:
            return 404, "404 page not found\n", {}
        return status, answer, {}

    def _send(self, status: int, answer: Any, headers: dict[str, str] | None = None) -> None:
        plain = isinstance(answer, str)
        data = answer.encode() if plain else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if plain else "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def _drop(self) -> None:
        """End the connection as a dying server does: with a reset."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def _watch(self, request: Request) -> None:
        double, state = self.server.double, self.server.double.state
        target = double.api.target(request.path)
        seen = int(request.query.get("resourceVersion") or 0)
        ends = time.monotonic() + float(request.query.get("timeoutSeconds") or 60)
        matches = selecting.labels(request.query.get("labelSelector", ""))
        fits = selecting.fields(target.kind, request.query.get("fieldSelector", ""))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with state.lock:
            made = {o["metadata"]["uid"] for _, e, _, o in state.since(seen) if e == "ADDED"}
            there = {o["metadata"]["uid"] for o in state.all(target.kind.kind)}
            there |= {o["metadata"]["uid"] for _, _, _, o in state.since(seen)}
            present = [] if seen else state.all(target.kind.kind, target.namespace or None)
            seen = seen or state.version
        known = there - made
        if request.query.get("resourceVersion", "") in ("", "0"):
            # From no version on: first what is there, as if it were new.
            present = [o for o in present if matches(o["metadata"].get("labels") or {}) and fits(o)]
            known = {o["metadata"]["uid"] for o in present}
            for obj in present:
                self._event("ADDED", double.api._shown(target, obj))
        while time.monotonic() < ends and not double.stopping and not double.trouble.away.is_set():
            with state.lock:
                if seen < state.oldest:
                    gone = _status(
                        410, "Expired", f"too old resource version: {seen} ({state.oldest})"
                    )
                    self._event("ERROR", gone)
                    break
                news = list(state.since(seen))
                if not news:
                    state.changed.wait(min(max(ends - time.monotonic(), 0), 0.2))
            for version, event, kind, obj in news:
                seen = version
                if kind is not target.kind or target.namespace not in (
                    "",
                    obj["metadata"].get("namespace"),
                ):
                    continue
                wanted = matches(obj["metadata"].get("labels") or {}) and fits(obj)
                uid = obj["metadata"]["uid"]
                if not wanted or event == "DELETED":
                    event = "DELETED" if uid in known else ""
                    known.discard(uid)
                else:
                    event = "MODIFIED" if uid in known else "ADDED"
                    known.add(uid)
                if event:
                    self._event(event, double.api._shown(target, obj))
        if double.trouble.away.is_set():
            self._drop()
            return
        if request.query.get("allowWatchBookmarks") == "true" and not double.stopping:
            about = {"resourceVersion": str(seen), "creationTimestamp": None}
            shown = {
                "kind": target.kind.kind,
                "apiVersion": target.kind.api_version(target.version),
            }
            self._event("BOOKMARK", {**shown, "metadata": about})
        self.wfile.write(b"0\r\n\r\n")

    def _event(self, kind: str, obj: Object) -> None:
        data = json.dumps({"type": kind, "object": obj}).encode() + b"\n"
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _log(self, request: Request) -> None:
        """The log of a container, as plain text."""
        double = self.server.double
        target = double.api.target(request.path)
        try:
            with double.state.lock:
                double.api.demand(request, target)
        except Refused as refused:
            return self._send(refused.code, refused.body)
        found = double.state.get("Pod", target.name, target.namespace)
        if found is None:
            return self._send(404, _status(404, "NotFound", f'pods "{target.name}" not found'))
        names = [c["name"] for c in found["spec"]["containers"]]
        container = request.query.get("container", "")
        if container not in names:
            text = f"container {container} is not valid for pod {target.name}"
            return self._send(400, _status(400, "BadRequest", text))
        previous = request.query.get("previous") == "true"
        return self._send(200, double.log(target.namespace, target.name, container, previous))

    def _permitted(self, request: Request) -> bool:
        """Whether it is allowed; answers where it is not."""
        try:
            self.server.double.api.permit(request)
        except Refused as refused:
            self._send(refused.code, refused.body, refused.headers)
            return False
        return True

    def _token(self, request: Request) -> None:
        """TokenRequest, of a ServiceAccount."""
        double, (namespace, name) = self.server.double, itemgetter(4, 6)(request.path.split("/"))
        account = double.state.get("ServiceAccount", name, namespace)
        if account is None:
            refused = not_found(double.state.kind("ServiceAccount"), name)
            return self._send(refused.code, refused.body)
        seconds = int(request.body["spec"].get("expirationSeconds") or 3600)
        if seconds < 600:
            said = f"spec.expirationSeconds: Invalid value: {seconds}: may not specify a duration less than 10 minutes"
            text = f'TokenRequest.authentication.k8s.io "" is invalid: {said}'
            return self._send(422, _status(422, "Invalid", text))
        token = double.token(name, namespace)
        double.bound[token] = account["metadata"]["uid"]
        about = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1"}
        spec = {**request.body["spec"], "expirationSeconds": seconds}
        status = {"token": token, "expirationTimestamp": stamp(seconds)}
        return self._send(
            201,
            {
                **about,
                "metadata": {"name": name, "namespace": namespace},
                "spec": spec,
                "status": status,
            },
        )

    def _exec(self, request: Request) -> None:
        """The web socket of a command: output on channels 1 and 2, its end on 3."""
        double = self.server.double
        namespace, pod = request.path.split("/")[4], request.path.split("/")[6]
        found = double.state.get("Pod", pod, namespace)
        if found is None:
            self._send(404, _status(404, "NotFound", f'pods "{pod}" not found'))
            return
        query = parse_qs(urlsplit(self.path).query)
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.send_response(101)
        for name, value in (
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", accept),
            ("Sec-WebSocket-Protocol", "v4.channel.k8s.io"),
        ):
            self.send_header(name, value)
        self.end_headers()
        container = query.get("container", [found["spec"]["containers"][0]["name"]])[0]
        code, out, err = double.command(namespace, pod, container, query["command"])
        self._frame(1, out.encode())
        self._frame(2, err.encode())
        self._frame(3, json.dumps(_ended(code)).encode())
        self.wfile.write(b"\x88\x02\x03\xe8")
        self.wfile.flush()
        self.close_connection = True

    def _frame(self, channel: int, data: bytes) -> None:
        payload = bytes([channel]) + data
        if not data:
            return
        size = len(payload)
        head = bytes([0x82, size]) if size < 126 else b"\x82\x7e" + struct.pack(">H", size)
        self.wfile.write(head + payload)


def _encoded(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()


def _ended(code: int) -> Object:
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def _status(code: int, reason: str, message: str) -> Object:
    return Refused(code, reason, message).body
