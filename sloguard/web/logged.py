"""What a log record tells of the request in hand."""

from __future__ import annotations

from collections.abc import Mapping

from flask import g, has_request_context, request

from sloguard.telemetry.traces import ids


def request_facts() -> Mapping[str, object]:
    """Its id, the endpoint, and the run it is about; empty outside of requests."""
    if not has_request_context():
        return {}
    return {
        "request_id": g.get("request_id", ""),
        "endpoint": request.endpoint,
        "run": (request.view_args or {}).get("run"),
        **ids(g.get("span")),
    }
