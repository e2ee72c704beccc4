"""Around every request: its id, the gate, compression, times, the access log."""

from __future__ import annotations

import logging
import re
import secrets
import time
from typing import TYPE_CHECKING

from flask import Response, g, request

from sloguard.web.parts import Service

if TYPE_CHECKING:
    from flask import Flask

    from sloguard.web.answers import Packer

REQUEST_ID = "X-Request-Id"
_FIT_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
access = logging.getLogger("sloguard.access")


def register(app: Flask, service: Service, packer: Packer) -> None:
    """Everything that is done before and after the views."""
    gate, observe = service.gate, service.telemetry.observe
    log_access = service.parts.settings.serve.access_log

    def before() -> Response | None:
        g.started = time.perf_counter()
        given = request.environ.get("HTTP_X_REQUEST_ID")
        g.request_id = given if given and _FIT_ID.fullmatch(given) else secrets.token_hex(8)
        return gate.enter()

    def after(response: Response) -> Response:
        gate.leave(response)
        response = packer.pack(response)
        response.headers[REQUEST_ID] = g.get("request_id", "")
        spent = time.perf_counter() - g.get("started", time.perf_counter())
        observe(request.endpoint or "none", response.status_code, spent)
        if log_access:
            _log(response, spent)
        return response

    app.before_request(before)
    app.after_request(after)


def _log(response: Response, spent: float) -> None:
    who = g.get("who")
    # The query may hold what somebody mistook for the right place of a token.
    path = request.path.encode("unicode_escape").decode()
    told = {
        "who": who.name if who is not None else "-",
        "method": request.method,
        "path": path,
        "status": response.status_code,
        "milliseconds": round(spent * 1000, 1),
    }
    access.info(
        "%s %s %s %d %.1fms", *told.values(), extra={**told, "request_id": g.get("request_id", "")}
    )
