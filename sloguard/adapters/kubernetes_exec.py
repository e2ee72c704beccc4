"""A command in a container, over a web socket. The client's own library is used for the socket alone."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from sloguard.adapters.kubernetes_errors import refusal
from sloguard.adapters.kubernetes_http import Http
from sloguard.ports import ClusterDeadline, ClusterError, ClusterUnreachable, Ended

_ERROR = 3
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
        from kubernetes.stream.ws_client import WSClient

        headers = self._http.authorization()
        configuration = self._http.connection.configuration
        client = WSClient(configuration, self._url, headers, capture_all=False, binary=True)
        heard = {1: b"", 2: b"", _ERROR: b""}
        try:
            while client.is_open() and (left := self._ends - time.monotonic()) > 0:
                client.update(timeout=min(left, _LOOK))
                for channel in heard:
                    heard[channel] += client.read_channel(channel, timeout=0)
            if client.is_open():
                raise ClusterDeadline("the command did not end in time")
            for channel in heard:
                heard[channel] += client.read_channel(channel, timeout=0)
        finally:
            # Its own close() leaves the socket open once the server has ended the conversation.
            client.sock.shutdown()
        code = _exit_code(heard[_ERROR])
        return Ended(code, heard[1].decode("utf-8", "replace"), heard[2].decode("utf-8", "replace"))


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
