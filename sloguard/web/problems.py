"""The one shape of every error: problem+json (RFC 9457), with what was expected and what to do."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from flask import Response, g, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from sloguard.ports import OutsideError

if TYPE_CHECKING:
    from flask import Flask

MEDIA_TYPE = "application/problem+json"
URN = "urn:sloguard:problem:"
log = logging.getLogger("sloguard.web")

#: Name -> status and title. The name is the end of the problem's ``type``; clients may rely on it.
KINDS: Mapping[str, tuple[int, str]] = {
    "malformed": (400, "The request cannot be read"),
    "unauthorized": (401, "Credentials are needed"),
    "forbidden": (403, "Not allowed"),
    "cross-site": (403, "Another site has asked for this"),
    "not-found": (404, "There is nothing here"),
    "unknown-run": (404, "There is no such run"),
    "unknown-experiment": (404, "There is no such experiment"),
    "unknown-window": (404, "There is no such window"),
    "unknown-report": (404, "There is no such report"),
    "unknown-message": (404, "There is no such message"),
    "no-approval": (404, "Nobody is asked for an approval"),
    "no-verdict": (404, "There is no verdict"),
    "no-evidence": (404, "There is nothing to show of this run"),
    "method-not-allowed": (405, "Method not allowed here"),
    "not-acceptable": (406, "Not available in this form"),
    "conflict": (409, "Not possible in this state"),
    "too-large": (413, "The body is too large"),
    "unsupported-media-type": (415, "This content type is not read here"),
    "misdirected": (421, "This was meant for another host"),
    "invalid": (422, "The request does not fit"),
    "invalid-experiment": (422, "The experiment has problems"),
    "unusable-report": (422, "The report cannot be made"),
    "idempotency-key-reused": (422, "The idempotency key belongs to another request"),
    "queue-full": (429, "Too many jobs are waiting"),
    "rate-limited": (429, "Too many requests"),
    "internal": (500, "sloguard failed"),
    "not-installed": (501, "A part of sloguard is not installed"),
    "too-many-waiting": (503, "Too many clients are waiting"),
    "unavailable": (503, "Something that is needed does not answer"),
}

_BY_STATUS = {
    400: "malformed",
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    406: "not-acceptable",
    413: "too-large",
    415: "unsupported-media-type",
    422: "invalid",
}


class Problem(Exception):
    """An answer that is an error. ``more``: further members of the object, JSON."""

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.status, self.title = KINDS[kind]
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.more = more

    def response(self) -> Response:
        """As it is sent."""
        body: dict[str, Any] = {
            "type": URN + self.kind,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "request_id": g.get("request_id", ""),
            **self.more,
        }
        if self.errors:
            body["errors"] = list(self.errors)
        made = Response(msgspec.json.encode(body), self.status, mimetype=MEDIA_TYPE)
        made.headers.update(self.headers)
        made.headers["Cache-Control"] = "no-store"
        return made


def register(app: Flask) -> None:
    """Everything that goes wrong is answered in this shape."""
    app.register_error_handler(Problem, Problem.response)
    app.register_error_handler(HTTPException, _of_http)
    app.register_error_handler(OutsideError, _of_outside)
    app.register_error_handler(Exception, _of_bug)


def _of_http(error: HTTPException) -> Response:
    """What Flask and Werkzeug raise. Their texts are for browsers; ours say what to do."""
    if error.response is not None or (error.code is not None and error.code < 400):
        redirect = error.get_response(request.environ)
        return Response(status=redirect.status, headers=list(redirect.headers))
    status = error.code or 500
    kind = _BY_STATUS.get(status, "malformed" if status < 500 else "internal")
    headers: dict[str, str] = {}
    detail = str(error.description or KINDS[kind][1])
    if kind == "not-found":
        detail = "no such path; GET /api/v1/openapi.json lists those that there are"
    elif kind == "method-not-allowed":
        allowed = ", ".join(sorted(getattr(error, "valid_methods", None) or ()))
        headers["Allow"] = allowed
        detail = f"{request.method} is not possible here; possible: {allowed}"
    elif isinstance(error, RequestEntityTooLarge):
        detail = f"the body may have at most {request.max_content_length} bytes"
    return Problem(kind, detail, headers=headers).response()


def _of_outside(error: OutsideError) -> Response:
    """The store, Prometheus and their like. Their texts name addresses and paths: those are for the log."""
    log.error("request %s: %s", g.get("request_id", ""), error)
    detail = (
        "the store or another part does not answer as it should; the log of the service says more"
    )
    return Problem("unavailable", detail, headers={"Retry-After": "5"}).response()


def _of_bug(error: Exception) -> Response:
    log.error("request %s failed", g.get("request_id", ""), exc_info=error)
    detail = "this is a bug of sloguard; its log has more under the request's id"
    return Problem("internal", detail).response()
