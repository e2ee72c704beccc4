"""Around the application, as near to the server as can be: what every answer carries, and what is noted of it.

It is WSGI and not a hook of Flask: a header costs a few microseconds there, and here all that never
change cost one. Nothing in the application can forget them.
"""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import g, request

from sloguard.web.access.headers import Headers, complete

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: Keys of the environment; no header of a request can have these names.
REQUEST_ID, ENDPOINT = "sloguard.request_id", "sloguard.endpoint"
_FIT_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
access = logging.getLogger("sloguard.access")


class Envelope:
    """``observe``: endpoint, status and seconds of every answer; ``https``: people come by it, whatever the
    request says; ``log``: every request is logged."""

    def __init__(
        self,
        app: WSGIApplication,
        *,
        observe: Callable[[str, int, float], None],
        https: bool,
        log: bool,
    ) -> None:
        self._app, self._observe, self._https, self._log = app, observe, https, log

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """WSGI."""
        began = time.perf_counter()
        given = environ.get("HTTP_X_REQUEST_ID")
        made = given if given and _FIT_ID.fullmatch(given) else _new_id()
        environ[REQUEST_ID] = made
        https = self._https or environ["wsgi.url_scheme"] == "https"

        def start(status: str, headers: Headers, *more: Any) -> Callable[[bytes], object]:
            complete(headers, https=https)
            headers.append(("X-Request-Id", made))
            spent, code = time.perf_counter() - began, int(status[:3])
            self._observe(environ.get(ENDPOINT) or "none", code, spent)
            if self._log:
                _told(code, spent, made)
            return start_response(status, headers, *more)

        return self._app(environ, start)


def _new_id() -> str:
    # It names a request and opens nothing; a secret one would cost a system call.
    return f"{random.getrandbits(64):016x}"


def _told(status: int, spent: float, request_id: str) -> None:
    """One line; the application still has the request in hand."""
    who = g.get("who")
    # The query may hold what somebody mistook for the right place of a token.
    path = request.path.encode("unicode_escape").decode()
    told = {
        "who": who.name if who is not None else "-",
        "method": request.method,
        "path": path,
        "status": status,
        "milliseconds": round(spent * 1000, 1),
    }
    access.info("%s %s %s %d %.1fms", *told.values(), extra={**told, "request_id": request_id})
