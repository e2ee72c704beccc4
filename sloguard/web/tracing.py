"""A span for every request, where traces are wanted: nothing of this is registered otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Response, g, request

if TYPE_CHECKING:
    from flask import Flask
    from opentelemetry.trace import Span

    from sloguard.telemetry.traces import Tracing


def trace_requests(app: Flask, tracing: Tracing) -> None:
    """From now on; a caller's ``traceparent`` is the parent. Queries of URLs are not told, nor headers."""
    from opentelemetry.context import Context
    from opentelemetry.trace import SpanKind, StatusCode
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    propagator = TraceContextTextMapPropagator()

    def before() -> None:
        sent = {
            name: request.headers[name]
            for name in ("traceparent", "tracestate")
            if name in request.headers
        }
        route = request.url_rule.rule if request.url_rule is not None else ""
        attributes = {"http.request.method": request.method, "url.path": request.path}
        if route:
            attributes["http.route"] = route
        run = (request.view_args or {}).get("run")
        if run:
            attributes["sloguard.run"] = run
        g.span = tracing.tracer.start_span(
            f"{request.method} {route}".strip(),
            context=propagator.extract(sent, Context()),
            kind=SpanKind.SERVER,
            attributes=attributes,
        )

    def after(response: Response) -> Response:
        span: Span | None = g.get("span")
        if span is not None:
            span.set_attribute("http.response.status_code", response.status_code)
            span.set_attribute("sloguard.request_id", g.get("request_id", ""))
            if response.status_code >= 500:
                span.set_status(StatusCode.ERROR)
        return response

    def end(_error: BaseException | None) -> None:
        span: Span | None = g.pop("span", None)
        if span is not None:
            span.end()

    # Before everything else, so that what is refused there is a span as well.
    app.before_request_funcs.setdefault(None, []).insert(0, before)
    app.after_request(after)
    app.teardown_request(end)
