"""Load on a URL, up to the point where it is an attack: N clients at once, or a given rate, for a time.

Only for systems that are yours to break. What one fault can do is capped: MOST_CLIENTS connections,
MOST_RATE requests a second, LONGEST seconds.
"""

from __future__ import annotations

import base64
import json
import os
import re
import selectors
import signal as signals
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import sloguard
from sloguard.core.model import Json
from sloguard.faults import load_job
from sloguard.faults.arguments import duration as as_duration
from sloguard.faults.arguments import number, whole
from sloguard.faults.base import Context, FaultError, Injection, Plan, Record, fault
from sloguard.faults.reaching import reach
from sloguard.host.marks import FAULT, RUN, marked

MOST_CLIENTS = 1_000
MOST_RATE = 10_000.0
LONGEST = 3_600.0
#: Connections at once in rate mode, where ``clients`` does not say.
_RATE_CLIENTS = 256
#: How long the worker has to report once it is told to stop, seconds.
_LAST_WORD = 0.8
_START = "import sys; sys.path.insert(0, sys.argv[1]); from sloguard.faults.load_worker import main; main()"


def _inject(record: Record, context: Context) -> Json:
    if "job" in record:
        return load_job.inject(record, context)
    order = {key: value for key, value in record.items() if key not in ("token", "run", "url")}
    environment = {**os.environ, FAULT: record["token"], RUN: record["run"]}
    root = str(Path(sloguard.__file__).parent.parent)
    try:
        worker = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _START, root, f"load:{record['token']}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        raise FaultError(f"the load cannot be started: {error}") from error
    with worker:
        try:
            report = _converse(worker, order, context)
        finally:
            worker.kill()
    return {"url": record["url"], **report}


def _converse(
    worker: subprocess.Popen[bytes], order: Mapping[str, Any], context: Context
) -> dict[str, Any]:
    """Give the order, wait for the report. Raises FaultError if none comes."""
    if worker.stdin is None or worker.stdout is None or worker.stderr is None:
        raise FaultError("the load has no pipes")  # pragma: no cover - they were asked for
    try:
        worker.stdin.write(json.dumps(order).encode() + b"\n")
        worker.stdin.flush()
    except BrokenPipeError:
        raise FaultError(f"the load ended at once: {_last_line(worker)}") from None
    deadline = time.monotonic() + order["duration"] + order["timeout"] + 15
    stopped_at = None
    with selectors.DefaultSelector() as selector:
        selector.register(worker.stdout, selectors.EVENT_READ)
        while not selector.select(0.05):
            now = time.monotonic()
            if stopped_at is None and context.stop.is_set():
                worker.stdin.close()
                stopped_at = now
            if now > deadline or (stopped_at is not None and now > stopped_at + _LAST_WORD):
                raise FaultError("the load was ended without a report: it did not answer in time")
    line = worker.stdout.readline()
    if not line:
        raise FaultError(f"the load ended without a report: {_last_line(worker)}")
    report: dict[str, Any] = json.loads(line)
    return report


def _last_line(worker: subprocess.Popen[bytes]) -> str:
    worker.kill()
    said = worker.stderr.read(1 << 16).decode("utf-8", "replace") if worker.stderr else ""
    return next((s for s in reversed(said.splitlines()) if s.strip()), f"exit {worker.wait()}")


def _undo(record: Record, context: Context) -> str:
    """Load leaves nothing behind; a worker, or a Job, that is still there is ended."""
    if "token" not in record:
        return load_job.undo(record, context)
    left = [w for w in marked(**{FAULT: record["token"]}) if reach(w, signals.SIGKILL)]
    return "ended the load" if left else ""


@fault("load.http_load", inject=_inject, undo=_undo, needs=load_job.needs)
def http_load(
    url: str,
    duration: float | str,
    clients: int | None = None,
    rate: float | None = None,
    method: str = "GET",
    headers: dict[str, Any] | None = None,
    body: str | dict[str, Any] | list[Any] | None = None,
    timeout: float | str = 10.0,
    verify_tls: bool | str = True,
    in_cluster: dict[str, Any] | None = None,
    cluster: str | None = None,
    *,
    context: Context,
) -> Plan:
    """Send requests to a URL, from N clients at once or at a given rate, and report what came of them.

    The report: requests sent and answered, by status, errors by kind, latency quantiles, rates, bytes.
    Connections are kept alive, redirects are not followed. At a rate, latency counts from when a request was
    meant to leave. At the end requests under way are waited for, up to their timeout.

    url: What to send requests to. Only systems that are yours to break.
    duration: How long, in seconds or as 30s; at most an hour. The action lasts as long.
    clients: How many send at once, each its next request when it has the last one's answer. With a rate:
        the most connections at once, 256 if not given. At most 1000.
    rate: Requests a second, whatever becomes of those before; at most 10000.
    method: HTTP method.
    headers: Further headers.
    body: A text, or a mapping or list that is sent as JSON.
    timeout: How long one request may take.
    verify_tls: Whether certificates are verified; or the path of a CA file.
    in_cluster: Send from a Job inside the cluster, by an image that does: a mapping with image and, as needed,
        namespace, command, args, env, resources, service_account, labels, annotations, node_selector,
        image_pull_secrets, start_within and grace (seconds for its pod to start, and to end after its time).
        In command, args and env {url}, {duration}, {clients}, {rate}, {method}, {timeout}, {host}, {port} and
        {path} are filled in; the image's JSON, in its termination message or at the end of its log, is the report.
    cluster: Context of the kubeconfig for in_cluster; the one of the settings if not given.
    """
    if clients is None and rate is None and in_cluster is None:
        raise FaultError("give clients (how many at once) or rate (requests a second)")
    seconds = as_duration(duration, "duration", longest=LONGEST)
    limit = as_duration(timeout, "timeout", longest=600)
    speed = None if rate is None else number(rate, "rate", above=0, most=MOST_RATE)
    default = _RATE_CLIENTS if clients is None else clients
    count = whole(default, "clients", least=1, most=MOST_CLIENTS)
    order = _request(url, method, headers, body)
    if not isinstance(verify_tls, bool | str):
        raise FaultError("verify_tls: expected true, false or the path of a CA file")
    reason = context.allow_url(url)
    if reason:
        raise FaultError(f"url: this URL may not be called: {reason}")
    shown = order.pop("shown")
    if in_cluster is not None:
        if headers is not None or body is not None or verify_tls is not True:
            raise FaultError(
                "headers, body, verify_tls: with in_cluster the image makes the requests; "
                "tell it by in_cluster.args or in_cluster.env"
            )
        load = {
            "url": str(url).strip(),
            "duration": seconds,
            "clients": None if clients is None else count,
            "rate": speed,
            "method": order["method"],
            "timeout": limit,
        }
        return load_job.plan(in_cluster, load, shown, cluster, context)
    record = {
        "token": uuid.uuid4().hex,
        "run": context.run,
        "url": shown,
        "method": order.pop("method"),
        "duration": seconds,
        "clients": count,
        "rate": speed,
        "timeout": limit,
        "verify": bool(verify_tls),
        "ca": verify_tls if isinstance(verify_tls, str) else "",
    }
    how = f"from {count} clients" if speed is None else f"at {speed:g}/s"
    injection = Injection(
        target=f"{record['method']} {shown}",
        record=record,
        by_hand=f"pkill -KILL -f load:{record['token']}",
        private=order,
    )
    return Plan((injection,), summary=f"send {record['method']} {shown} {how} for {seconds:g}s")


def _request(url: Any, method: Any, headers: Any, body: Any) -> dict[str, Any]:
    """The request in bytes, and where it goes. Raises FaultError."""
    try:
        parts = urlsplit(str(url).strip())
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise FaultError(f"url: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise FaultError("url: expected an address such as http://host:8080/path")
    if not re.fullmatch(r"[A-Za-z]+", str(method)):
        raise FaultError(f"method: {method!r} is not an HTTP method such as GET or POST")
    if headers is not None and not isinstance(headers, Mapping):
        raise FaultError("headers: expected a mapping of names to values")
    verb, where = str(method).upper(), parts.netloc.rpartition("@")[2]
    content, kind = _body(body)
    fields = {"Host": where, "User-Agent": f"sloguard/{sloguard.__version__}", "Accept": "*/*"}
    if kind:
        fields["Content-Type"] = kind
    if content or verb in ("POST", "PUT", "PATCH"):
        fields["Content-Length"] = str(len(content.encode()))
    if parts.username:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        fields["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    given = {str(k): str(v) for k, v in (headers or {}).items() if v is not None}
    replaced = {name.lower() for name in given}
    fields = {k: v for k, v in fields.items() if k.lower() not in replaced} | given
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~") + (
        "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~?") if parts.query else ""
    )
    lines = [f"{verb} {path} HTTP/1.1", *(f"{k}: {v}" for k, v in fields.items())]
    for name, value in fields.items():
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or re.search(r"[\r\n\0]", value):
            raise FaultError(f"headers: {name!r} is not a valid header")
    try:
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1").decode("latin-1")
    except UnicodeEncodeError:
        raise FaultError("headers: only Latin-1 characters can be sent in a header") from None
    return {
        "host": parts.hostname,
        "port": port,
        "tls": parts.scheme == "https",
        "head": head,
        "body": content,
        "method": verb,
        "shown": f"{parts.scheme}://{where}{parts.path}",
    }


def _body(body: Any) -> tuple[str, str]:
    if body is None:
        return "", ""
    if isinstance(body, str):
        return body, ""
    try:
        return json.dumps(body, allow_nan=False), "application/json"
    except (TypeError, ValueError) as error:
        raise FaultError(f"body: {error}") from None
