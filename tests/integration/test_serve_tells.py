"""What the processes of a real service tell while a run goes through them: JSON logs, and traces over OTLP."""

from __future__ import annotations

import json
import signal
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.served import PATIENCE, Served, serving

pytestmark = pytest.mark.integration

FINE = {"type": "process", "path": "true"}
QUICK = {
    "title": "Nothing happens",
    "description": "Quickly.",
    "phases": {"before": "0s", "during": "0s", "after": "0s"},
    "steady-state-hypothesis": {
        "title": "All is well",
        "probes": [{"type": "probe", "name": "fine", "tolerance": 0, "provider": FINE}],
    },
    "method": [{"type": "action", "name": "do-nothing", "provider": FINE}],
    "rollbacks": [],
}
#: It is in the settings, and nothing of it may be told.
PASSWORD = "pass-word-of-prometheus"


@contextmanager
def receiver() -> Iterator[tuple[str, list[Any]]]:
    """The address of something that takes OTLP over HTTP, and the spans that came."""
    spans: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            for group in ExportTraceServiceRequest.FromString(body).resource_spans:
                whose = {a.key: a.value.string_value for a in group.resource.attributes}
                spans.extend((whose, span) for scope in group.scope_spans for span in scope.spans)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=lambda: server.serve_forever(0.02))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", spans
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def post(served: Served, path: str, body: Any, **headers: str) -> Any:
    asked = urllib.request.Request(
        served.url + path,
        json.dumps(body).encode(),
        {"Content-Type": "application/json", **headers},
    )
    with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
        return json.loads(answer.read())


def objects(text: str) -> list[dict[str, Any]]:
    """Every line is one."""
    return [json.loads(line) for line in text.splitlines()]


def attributes(span: Any) -> dict[str, str]:
    return {a.key: a.value.string_value for a in span.attributes}


def test_a_run_is_followed_through_all_processes_by_its_id(tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "quick.json").write_text(json.dumps(QUICK))
    with receiver() as (endpoint, spans):
        environ = {
            "SLOGUARD_SERVE_LOG_FORMAT": "json",
            "SLOGUARD_SERVE_ALLOW": "experiments=process",
            "SLOGUARD_PROMETHEUS_PASSWORD": PASSWORD,
            "SLOGUARD_PROMETHEUS_USERNAME": "reader",
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
        }
        with serving(tmp_path, "--store", "runs.db", environ=environ) as served:
            served.wait_until_ready()
            made = post(
                served, "/api/v1/runs", {"experiment": "quick"}, **{"X-Request-Id": "from-the-test"}
            )
            run = made["run"]
            status, _ = served.get(f"/api/v1/runs/{run}/verdict?wait=30s")
            assert status == 200, served.said()
            assert served.end(signal.SIGTERM) == (0, [])
            told, files = objects(served.said()), list(tmp_path.glob("data/**/jobs/*.log"))
            worker = objects((tmp_path / "data/sloguard/jobs" / f"{run}.log").read_text())
            everything = served.said() + "".join(f.read_text() for f in files)
    assert PASSWORD not in everything
    about = [line for line in told if line.get("request_id") == "from-the-test"]
    [asked] = [line for line in about if line["logger"] == "sloguard.access"]
    assert {line["process"] for line in about} == {"web"}
    assert (asked["method"], asked["path"], asked["status"]) == ("POST", "/api/v1/runs", 201)
    assert {"web", "dispatcher"} <= {line["process"] for line in told}
    assert any(line["process"] == "dispatcher" and line.get("run") == run for line in told)
    assert any(line["process"] == "web" and line.get("run") == run for line in told)
    assert {(line["process"], line["run"]) for line in worker} == {("worker", run)}
    _check_spans(run, spans, asked)


def _check_spans(run: str, spans: list[Any], asked: dict[str, Any]) -> None:
    assert {whose["service.name"] for whose, _ in spans} == {"sloguard"}
    assert {whose["deployment.environment.name"] for whose, _ in spans} == {"test"}
    requests = [span for whose, span in spans if whose["sloguard.process"] == "web"]
    [posted] = [span for span in requests if span.name == "POST /api/v1/runs"]
    assert posted.trace_id.hex() == asked["trace_id"]
    ofrun = [span for whose, span in spans if whose["sloguard.process"] == "worker"]
    names = {span.span_id: span.name for span in ofrun}
    [top] = [span for span in ofrun if span.name == "run"]
    assert attributes(top)["sloguard.run"] == run
    tree = {(span.name, names.get(span.parent_span_id, "")) for span in ofrun}
    assert ("activity fine", "phase before") in tree
    assert ("activity do-nothing", "phase during") in tree
    assert ("phase during", "run") in tree
