"""A run and the requests of the service as traces, looked at in memory."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from sloguard.core import events
from sloguard.core.masking import MASK
from sloguard.core.model import Outcome
from sloguard.ports import MetricsUnreachable
from sloguard.telemetry import traces
from sloguard.telemetry.run_spans import RunSpans
from sloguard.telemetry.traces import Tracing, make_provider
from sloguard.web.tracing import trace_requests
from tests.support import runs as stored
from tests.support.service import make_world

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}


class Kept:
    """Spans in memory."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self.exporter = InMemorySpanExporter()
        provider = make_provider("test", environ or {})
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracing = Tracing(provider)

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        return self.exporter.get_finished_spans()

    def named(self, name: str) -> ReadableSpan:
        [found] = [span for span in self.spans if span.name == name]
        return found

    def parent(self, span: ReadableSpan) -> str:
        names = {s.context.span_id: s.name for s in self.spans}
        return "" if span.parent is None else names[span.parent.span_id]


class Asked:
    """A Prometheus that knows nothing but how to be asked."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        def answer(*arguments: Any) -> Any:
            if self._error is not None:
                raise self._error
            return name, arguments

        return answer


@pytest.fixture
def kept() -> Kept:
    return Kept()


def test_a_run_its_phases_and_their_activities(kept: Kept) -> None:
    spans = RunSpans(kept.tracing)
    for event in stored.whole():
        spans.record(event)
    parents = {(span.name, kept.parent(span)) for span in kept.spans}
    assert parents == {
        ("run", ""),
        ("phase before", "run"),
        ("phase during", "run"),
        ("phase after", "run"),
        ("activity front-answers", "phase before"),
        ("activity lose-a-replica", "phase during"),
        ("activity start-it-again", "phase during"),
        ("activity front-answers", "phase after"),
    }
    whole = kept.named("run")
    assert whole.attributes is not None
    assert whole.attributes["sloguard.run"] == stored.RUN
    assert whole.attributes["sloguard.outcome"] == "deviated"
    assert len({span.context.trace_id for span in kept.spans}) == 1
    failed = [s for s in kept.spans if s.status.status_code is StatusCode.ERROR]
    assert [s.status.description for s in failed] == ["connection refused"]
    assert kept.named("phase during").events[0].name == "fault"
    assert all(s.end_time is not None and s.end_time >= (s.start_time or 0) for s in kept.spans)


def test_no_secret_is_told(kept: Kept) -> None:
    spans = RunSpans(kept.tracing)
    [started, *rest] = stored.opening()
    assert isinstance(started, events.RunStarted)
    secret = replace(started.experiment, title=f"with {stored.SECRET}")
    spans.record(replace(started, experiment=secret))
    for event in rest:
        spans.record(event)
    spans.record(events.Note(0.0, "error", f"it said {stored.SECRET}"))
    spans.over(Asked()).instant(f'up{{token="{stored.SECRET}"}}')  # type: ignore[arg-type]  # it answers all
    spans.close()
    told = "".join(span.to_json() for span in kept.spans)
    assert stored.SECRET not in told
    assert MASK in kept.named("run").attributes["sloguard.title"]  # type: ignore[index,operator]  # a text


def test_queries_are_spans_of_the_phase_in_which_they_are_asked(kept: Kept) -> None:
    spans = RunSpans(kept.tracing)
    for event in stored.opening():
        spans.record(event)
    metrics = spans.over(Asked(), live=True)  # type: ignore[arg-type]  # it answers all
    assert metrics.instant("up", 3.0) == ("instant", ("up", 3.0))  # type: ignore[comparison-overlap]  # it tells what it was asked
    broken = spans.over(Asked(MetricsUnreachable("no connection")))  # type: ignore[arg-type]  # it answers all
    with pytest.raises(MetricsUnreachable):
        broken.range("down", None)  # type: ignore[arg-type]  # never looked at
    spans.close()
    first, second = [span for span in kept.spans if span.name == "query"]
    assert kept.parent(first) == "phase during"
    assert first.attributes == {
        "db.system.name": "prometheus",
        "db.operation.name": "instant",
        "db.query.text": "up",
        "sloguard.live": True,
    }
    assert second.status.status_code is StatusCode.ERROR
    assert second.status.description == "MetricsUnreachable: no connection"


def test_what_was_not_undone_is_an_error_and_a_cut_off_run_still_ends(kept: Kept) -> None:
    spans = RunSpans(kept.tracing)
    *rest, end = stored.whole()
    assert isinstance(end, events.RunEnded)
    for event in (*rest, replace(end, outcome=Outcome.NOT_RESTORED, reason="it is still down")):
        spans.record(event)
    assert kept.named("run").status.description == "it is still down"
    kept.exporter.clear()
    cut = RunSpans(kept.tracing)
    for event in stored.opening("other"):
        cut.record(event)
    cut.close()
    names = {span.name for span in kept.spans}
    assert names >= {"run", "phase during", "activity lose-a-replica"}


def test_requests_are_spans_under_the_callers(kept: Kept, tmp_path: Path) -> None:
    world = make_world(tmp_path)
    trace_requests(world.app, kept.tracing)
    run = world.keep(stored.RUN)
    caller = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "X-Request-Id": "mine"}
    assert (
        world.client.get(f"/api/v1/runs/{run}/verdict?wait=1s", headers=caller).status_code == 200
    )
    assert world.client.get("/nowhere").status_code == 404
    world.client.get(f"/api/v1/runs/{run}/events").close()
    verdict, nowhere, stream = kept.spans
    assert verdict.name == "GET /api/v1/runs/<run>/verdict"
    assert f"{verdict.context.trace_id:032x}" == "a" * 32
    assert verdict.parent is not None
    assert f"{verdict.parent.span_id:016x}" == "b" * 16
    assert verdict.attributes is not None
    assert verdict.attributes["sloguard.run"] == run
    assert verdict.attributes["sloguard.request_id"] == "mine"
    assert verdict.attributes["http.response.status_code"] == 200
    assert "wait" not in verdict.to_json(), "a query may hold what nobody should read"
    assert (nowhere.name, nowhere.parent) == ("GET", None)
    assert stream.name == "GET /api/v1/runs/<run>/events"
    world.store.dispose()


def test_a_service_has_a_name_unless_another_is_given(kept: Kept) -> None:
    assert kept.tracing.tracer is not None
    resource = make_provider("web", {}).resource.attributes
    assert (resource["service.name"], resource["sloguard.process"]) == ("sloguard", "web")


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {**ENDPOINT, "OTEL_SDK_DISABLED": "true"},
        {**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_nothing_is_begun_unless_it_is_asked_for(
    environ: Mapping[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    assert traces.start("web", environ) is None
    assert caplog.records == []


@pytest.mark.parametrize(
    ("environ", "word"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "found 'zipkin'"),
        ({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "found 'grpc'"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_fails(
    environ: Mapping[str, str], word: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "sloguard.telemetry"):
        assert traces.start("web", environ) is None
    assert word in caplog.text


def test_without_opentelemetry_it_says_what_to_install_and_costs_no_import() -> None:
    program = (
        "import logging, sys\n"
        "sys.modules['opentelemetry'] = None\n"
        "from sloguard.telemetry import traces, run_spans\n"
        "import sloguard.web.tracing\n"
        "assert traces.start('web', {}) is None\n"
        f"assert traces.start('web', {ENDPOINT!r}) is None\n"
        "traces.close_all()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "pip install 'sloguard[otel]'" in done.stderr


def test_a_collector_that_is_away_holds_up_no_end(caplog: pytest.LogCaptureFixture) -> None:
    away = threading.Event()

    class Provider:
        """Tries for as long as nobody answers."""

        def get_tracer(self, *_: str) -> None:
            """Nobody asks it for spans."""

        def shutdown(self) -> None:
            """Send what is left."""
            away.wait(60)

    tracing = traces.Tracing(Provider(), patience=0.01)  # type: ignore[arg-type]  # as much as is asked of one
    with caplog.at_level(logging.WARNING, "sloguard.telemetry"):
        tracing.close()
    assert "not taken within 0.01 s" in caplog.text
    away.set()
