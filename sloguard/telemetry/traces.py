"""Traces by OpenTelemetry, where it is installed and its standard variables ask for them; else nothing.

Installed by ``pip install 'sloguard[otel]'``; asked for by OTEL_EXPORTER_OTLP_ENDPOINT (or its _TRACES_
form) or OTEL_TRACES_EXPORTER=otlp|console. Spans: a run, its phases, their activities, the queries to
Prometheus; the requests of the service. Everything else (headers, sampling, resource, batches) is read by
OpenTelemetry itself. OTLP goes over HTTP.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span, Tracer

    Shown = ReadableSpan | Span

log = logging.getLogger("sloguard.telemetry")

#: The end of a process waits so long for the last traces, in seconds.
PATIENCE = 2.0
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
#: What a process has started, so that its end can send what is left.
_started: list[Tracing] = []


class Tracing:
    """Where this process sends its spans. ``close`` before it ends, or the last of them are lost."""

    def __init__(self, provider: TracerProvider, *, patience: float = PATIENCE) -> None:
        from sloguard import __version__

        self._provider, self._patience = provider, patience
        self.tracer: Tracer = provider.get_tracer("sloguard", __version__)

    def close(self) -> None:
        """Send what is left, and wait for that a moment."""
        # A collector that is away would hold it up for as long as the exporter tries.
        closing = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        closing.start()
        closing.join(self._patience)
        if closing.is_alive():
            log.warning("the last traces were not taken within %g s", self._patience)


def start(process: str, environ: Mapping[str, str] = os.environ) -> Tracing | None:
    """Begin, if the environment asks for traces. After a fork, never before one: it has a thread.

    ``process`` (web, worker, run) is told as ``sloguard.process``. What cannot be done is logged, and
    nothing else fails for it.
    """
    wanted = _wanted(environ)
    if not wanted:
        return None
    try:
        exporter = _exporter(wanted)
    except ImportError:
        log.warning(
            "OTEL_* variables ask for traces, and OpenTelemetry is not installed: pip install 'sloguard[otel]'"
        )
        return None
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = make_provider(process, environ)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    made = Tracing(provider)
    _started.append(made)
    return made


def make_provider(process: str, environ: Mapping[str, str] = os.environ) -> TracerProvider:
    """Of spans that say whose they are; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES count more."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    from sloguard import __version__

    ours = {"sloguard.process": process, "service.version": __version__}
    if not environ.get("OTEL_SERVICE_NAME") and "service.name=" not in environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    ):
        ours["service.name"] = "sloguard"
    return TracerProvider(resource=Resource.create(ours), shutdown_on_exit=False)


def close_all() -> None:
    """Send what is left of everything that this process has started."""
    while _started:
        _started.pop().close()


def ids(span: Span | None) -> Mapping[str, str]:
    """``trace_id`` and ``span_id`` as logs have them; empty without a span."""
    if span is None:
        return {}
    context = span.get_span_context()
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}


def _wanted(environ: Mapping[str, str]) -> str:
    """otlp, console, or nothing."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return ""
    named = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if not named:
        named = "otlp" if any(environ.get(name) for name in _ENDPOINTS) else "none"
    if named == "none":
        return ""
    if named not in ("otlp", "console"):
        log.warning("OTEL_TRACES_EXPORTER: expected otlp, console or none, found '%s'", named)
        return ""
    protocol = next((environ[name] for name in _PROTOCOLS if environ.get(name)), "http/protobuf")
    if named == "otlp" and protocol != "http/protobuf":
        log.warning(
            "OTEL_EXPORTER_OTLP_PROTOCOL: expected http/protobuf, found '%s': no traces", protocol
        )
        return ""
    return named


def _exporter(named: str) -> SpanExporter:
    if named == "console":
        import sys

        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        # Results are what belongs on stdout.
        return ConsoleSpanExporter(out=sys.stderr, formatter=_one_line)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


def _one_line(span: Any) -> str:
    text: str = span.to_json(indent=None)
    return f"{text}\n"
