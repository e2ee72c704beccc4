"""A command in a container, over a web socket. The client's own library is used for the socket alone."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from sloguard.adapters.kubernetes_errors import refusal
from sloguard.adapters.kubernetes_http import Http
from sloguard.ports import ClusterDeadline, ClusterError, ClusterUnreachable, Ended

_ERROR = 3
_PROTOCOL = "v4.channel.k8s.io"
#: The operation code of a web socket's last message.
_CLOSE = 8
_LOOK = 0.5


class _Exec:
    """One command; all of it happens in a thread, as the handshake of the library knows no deadline."""

    def __init__(self, http: Http, url: str, deadline: float) -> None:
        self._http, self._url = http, url
        self._ends = time.monotonic() + deadline
        self.result: Ended | None = None
        self.error: ClusterError | None = None

    def run(self) -> None:
        from websocket import WebSocketBadStatusException, WebSocketException

        try:
            self.result = self._ended()
        except WebSocketBadStatusException as error:
            body = error.resp_body if isinstance(error.resp_body, bytes) else b""
            asked = f"{self._http.where}: exec"
            made = refusal(asked, int(error.status_code), body, None, tested=False)
            self.error = type(made)(
                self._http.masked(str(made)), status=made.status, reason=made.reason
            )
        except (WebSocketException, OSError) as error:
            text = f"{self._http.where} does not answer the exec: {error}"
            self.error = ClusterUnreachable(self._http.masked(text))
        except ClusterError as error:
            self.error = error
        except Exception as error:  # noqa: BLE001 - the library's, of many kinds; told, not lost in a thread
            text = f"{self._http.where}: exec: {type(error).__name__}: {error}"
            self.error = ClusterError(self._http.masked(text))

    def _ended(self) -> Ended:
        from websocket import WebSocketConnectionClosedException, WebSocketTimeoutException

        socket = self._connected()
        heard = {1: bytearray(), 2: bytearray(), _ERROR: bytearray()}
        try:
            while (left := self._ends - time.monotonic()) > 0:
                socket.settimeout(min(left, _LOOK))
                try:
                    kind, data = socket.recv_data()
                except WebSocketTimeoutException:
                    continue
                except WebSocketConnectionClosedException:
                    break
                if kind == _CLOSE:
                    break
                # Each message begins with the number of its channel.
                if data and data[0] in heard:
                    heard[data[0]] += data[1:]
            else:
                raise ClusterDeadline("the command did not end in time")
        finally:
            # Its own close() leaves the socket open once the server has ended the conversation.
            socket.shutdown()
        code = _exit_code(bytes(heard[_ERROR]))
        return Ended(code, heard[1].decode("utf-8", "replace"), heard[2].decode("utf-8", "replace"))

    def _connected(self) -> Any:
        """A web socket with all headers: the Kubernetes client's own leaves out whom to act as."""
        from kubernetes.stream.ws_client import websocket_proxycare
        from websocket import WebSocket

        configuration = self._http.connection.configuration
        headers = self._http.authorization()
        options: dict[str, Any] = {
            "header": [f"{name}: {value}" for name, value in headers.iteritems()],
            "subprotocols": [_PROTOCOL],
            "timeout": max(self._ends - time.monotonic(), 0.001),
        }
        if configuration.proxy or configuration.proxy_headers:
            options = websocket_proxycare(options, configuration, self._url, dict(headers))
        socket: Any = WebSocket(sslopt=_tls(configuration, self._url), skip_utf8_validation=False)
        socket.connect(self._url, **options)
        return socket


def _tls(configuration: Any, url: str) -> dict[str, Any]:
    """As the Kubernetes client does it for its web sockets."""
    import certifi

    if not url.startswith("wss://") or not configuration.verify_ssl:
        options: dict[str, Any] = {"cert_reqs": ssl.CERT_NONE}
    else:
        authority = configuration.ssl_ca_cert or certifi.where()
        options = {"cert_reqs": ssl.CERT_REQUIRED, "ca_certs": authority}
        if configuration.assert_hostname is not None:
            options["check_hostname"] = configuration.assert_hostname
    for name, value in (
        ("certfile", configuration.cert_file),
        ("keyfile", configuration.key_file),
        ("server_hostname", configuration.tls_server_name),
    ):
        options.update({name: value} if value else {})
    return options


def run(
    http: Http, path: str, command: Sequence[str], *, container: str | None, deadline: float
) -> Ended:
    """The contract of ``ports.Cluster.exec``. ``path``: of the pod's subresource exec."""
    query: list[tuple[str, Any]] = [("command", word) for word in command]
    query += [("stdout", "true"), ("stderr", "true")]
    if container:
        query.append(("container", container))
    # http becomes ws, https wss.
    host = "ws" + str(http.connection.configuration.host).rstrip("/").removeprefix("http")
    url = host + path + "?" + urlencode(query)
    work = _Exec(http, url, deadline)
    thread = threading.Thread(target=work.run, name="exec", daemon=True)
    thread.start()
    thread.join(deadline + _LOOK)
    if work.error is not None:
        raise work.error
    if work.result is None:
        raise ClusterDeadline(f"{http.where}: the command did not end within {deadline:g}s")
    return work.result


def _exit_code(status: bytes) -> int:
    """Of the Status on the error channel. Raises ClusterError where the command could not be started."""
    try:
        found = json.loads(status)
    except ValueError as error:
        raise ClusterUnreachable("the connection ended before the command did") from error
    if found.get("status") == "Success":
        return 0
    causes = (found.get("details") or {}).get("causes") or []
    for cause in causes:
        if cause.get("reason") == "ExitCode":
            return int(cause["message"])
    raise ClusterError(str(found.get("message") or "the command could not be run"))
