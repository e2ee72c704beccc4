"""The http provider: one request that can be stopped and always ends.

As in the Chaos Toolkit: ``arguments`` are the query of a GET, and the body of every other method, as JSON
where the ``Content-Type`` header says ``application/json``; redirects are followed; ``timeout`` is a
number, or two (to connect, to read); the output is ``{"status", "headers", "body"}``.

Beyond it: a call has a deadline as a whole, which is ``timeout`` (the sum of two, times the attempts), 30 s
where there is none; a JSON body is also decoded where its type has parameters or ends in ``+json``; at most
4 MiB of a body are kept; a policy can forbid URLs, at each redirect again.
"""

from __future__ import annotations

import http.client
import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sloguard.core.model import Json
from sloguard.providers.outage import causes, is_unreachable
from sloguard.providers.plain import clean_text, plain
from sloguard.providers.result import (
    Refused,
    Result,
    UrlPolicy,
    aborted,
    one_line,
    positive_seconds,
    timed_out,
)
from sloguard.providers.stoppable import run_stoppable

if TYPE_CHECKING:
    from requests import Response

#: The deadline of a call without a timeout, seconds.
DEFAULT_TIMEOUT = 30.0
#: Kept of a body, bytes.
MOST_BODY = 4 << 20
MOST_RETRIES = 10

_JSON_TYPE = re.compile(r"^application/(?:[\w.-]+\+)?json$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Request:
    """A request as declared, checked. ``connect`` and ``read`` in seconds, ``deadline`` for all of it."""

    method: str
    url: str
    headers: Mapping[str, str]
    arguments: Any
    connect: float
    read: float
    deadline: float
    verify: bool | str
    retries: int


def call_http(
    provider: Mapping[str, Any], *, stop: threading.Event, allow: UrlPolicy | None = None
) -> Result:
    """Send the request, read the answer, all within the deadline."""
    request = request_of(provider)
    # requests takes a tenth of a second to import.
    from sloguard.providers.http_session import Connections, Forbidden, send

    connections = Connections(allow)
    ended = run_stoppable(
        lambda: _output(*send(request, connections, allow, MOST_BODY)),
        stop=stop,
        timeout=request.deadline,
        name=f"{request.method} {shown(request.url)}",
        on_interrupt=connections.cut,
    )
    connections.forget()
    if ended.why == "stop":
        return aborted()
    if ended.why == "timeout":
        late = timed_out(request.deadline)
        return Result(error=f"{shown(request.url)} {late.error}", unreachable=True)
    if ended.raised is None:
        return Result(ended.value)
    if isinstance(ended.raised, Forbidden | Refused):
        return Result(error=one_line(ended.raised))
    return _failed(request, ended.raised)


def request_of(provider: Mapping[str, Any]) -> Request:
    """The request that a provider declares. Raises Refused."""
    connect, read = _timeouts(provider.get("timeout"))
    retries = provider.get("max_retries") or 0
    if (
        isinstance(retries, bool)
        or not isinstance(retries, int)
        or not 0 <= retries <= MOST_RETRIES
    ):
        raise Refused(f"max_retries: expected a whole number from 0 to {MOST_RETRIES}")
    verify = provider.get("verify_tls", True)
    if not isinstance(verify, bool | str):
        raise Refused("verify_tls: expected true, false or the path of a CA file")
    whole = read if _is_single(provider.get("timeout")) else connect + read
    return Request(
        _method(provider.get("method")),
        _url(provider.get("url")),
        _headers(provider.get("headers")),
        provider.get("arguments"),
        connect,
        read,
        whole * (1 + retries),
        verify,
        retries,
    )


def _is_single(timeout: Any) -> bool:
    return not isinstance(timeout, list | tuple)


def _timeouts(value: Any) -> tuple[float, float]:
    if value is None:
        return DEFAULT_TIMEOUT, DEFAULT_TIMEOUT
    if _is_single(value):
        single = positive_seconds(value, "timeout")
        return single, single
    if len(value) != 2:
        raise Refused("timeout: expected seconds, or two of them: [to connect, to read]")
    pair = [DEFAULT_TIMEOUT if v is None else positive_seconds(v, "timeout") for v in value]
    return pair[0], pair[1]


def _method(value: Any) -> str:
    if value is None:
        return "GET"
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z]+", value):
        raise Refused(f"method: '{value}' is not an HTTP method such as GET or POST")
    return value.upper()


def _url(value: Any) -> str:
    problem = "url: expected an address such as http://host:8080/path"
    if not isinstance(value, str) or not value.strip():
        raise Refused(problem)
    try:
        parts = urlsplit(value.strip())
        _ = parts.port
    except ValueError as error:
        raise Refused(f"{problem} ({error})") from None
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise Refused(f"{problem}, found {one_line(shown(value))}")
    return value.strip()


def _headers(value: Any) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise Refused("headers: expected a mapping of names to values")
    return {str(name): str(text) for name, text in value.items() if text is not None}


def shown(url: str) -> str:
    """A URL for people: without credentials, query and fragment, which may be secret."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "[not a URL]"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _output(response: Response, body: bytes, left_out: bool) -> Json:
    headers = {name: clean_text(value) for name, value in response.headers.items()}
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip()
    content: Json = None
    if _JSON_TYPE.match(kind) and not left_out:
        try:
            content = plain(json.loads(body))
        except (ValueError, RecursionError):
            content = _text(response, body)
    else:
        content = _text(response, body)
        if left_out:
            content = f"{content}[… the rest is left out: longer than {MOST_BODY} bytes]"
    return {"status": response.status_code, "headers": headers, "body": content}


def _text(response: Response, body: bytes) -> str:
    from sloguard.providers.capture import decode

    declared = re.search(
        r"charset=[\"']?([\w.:-]+)", response.headers.get("Content-Type", ""), re.IGNORECASE
    )
    if declared:
        try:
            return clean_text(body.decode(declared.group(1), "backslashreplace"))
        except LookupError:
            pass
    return clean_text(decode(body))


def _failed(request: Request, error: BaseException) -> Result:
    where = shown(request.url)
    away = is_unreachable(error)
    chain = list(causes(error))
    timeout = next((e for e in chain if type(e).__name__.endswith(_TIMEOUTS)), None)
    if away and timeout is not None:
        limit = request.connect if "Connect" in type(timeout).__name__ else request.read
        return Result(error=f"{where} timed out after {limit:g}s", unreachable=True)
    # The innermost error of the system says it shortest: "Connection refused".
    inner = next((e for e in chain if isinstance(e, OSError) and e.strerror), None)
    said = inner.strerror if inner else one_line(error)
    text = f"no answer from {where}: {said}" if away else f"{request.method} {where}: {said}"
    return Result(error=one_line(text), unreachable=away)


_TIMEOUTS = ("ConnectTimeout", "ReadTimeout", "ConnectTimeoutError", "ReadTimeoutError")


def failure(output: Mapping[str, Any]) -> str | None:
    """Why an action that got this answer has failed: ``HTTP 500 Internal Server Error: first line``."""
    status = output.get("status")
    if not isinstance(status, int) or status < 400:
        return None
    body = output.get("body")
    text = body if isinstance(body, str) else json.dumps(body) if body else ""
    said = next((line for line in text.splitlines() if line.strip()), "")
    # An HTML page says nothing in its first line.
    said = "" if said.lstrip().startswith("<") else said[:200]
    what = f"HTTP {status} {http.client.responses.get(status, '')}".rstrip()
    return one_line(f"{what}: {said}" if said else what)
