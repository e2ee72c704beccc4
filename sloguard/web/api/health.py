"""Whether the service lives, whether it can work, and what Prometheus reads of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from flask import Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import Field

from sloguard import __version__
from sloguard.ports import OutsideError
from sloguard.ports.service import Scope
from sloguard.web.answers import json_answer
from sloguard.web.endpoints import Answer, Query, Resource
from sloguard.web.identity import PUBLIC
from sloguard.web.parts import service
from sloguard.web.schemas import Health, Readiness

resource = Resource("health", about="For probes and for Prometheus.")

#: They cost next to nothing, and a machine that is refused its probe would end the service.
PROBES = frozenset({"health.healthz", "health.readyz"})
#: What Prometheus said holds for so long, seconds: probes of many replicas should not add up.
_FRESH = 5.0


class ReadyQuery(Query):
    """How strict."""

    strict: bool = Field(
        False, description="Also 503 where Prometheus does not answer: nothing can be run then."
    )


class Remembered:
    """A check that is made at most every few seconds."""

    def __init__(self, ask: Callable[[], object]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._until = float("-inf")
        self._problem = ""

    def problem(self) -> str:
        """Why it fails; empty if it does not."""
        with self._lock:
            if time.monotonic() >= self._until:
                self._problem = _tried(self._ask)
                self._until = time.monotonic() + _FRESH
            return self._problem


def _tried(ask: Callable[[], object]) -> str:
    try:
        ask()
    except OutsideError as error:
        return type(error).__name__
    return ""


@resource.get("/healthz", scope=PUBLIC, answers=[Answer(description="It lives.", model=Health)])
def healthz() -> Response:
    """The process lives. Nothing else is asked."""
    return json_answer({"status": "ok", "version": __version__})


@resource.get(
    "/readyz",
    scope=PUBLIC,
    query=ReadyQuery,
    answers=[
        Answer(description="Requests can be served.", model=Readiness),
        Answer(status=503, description="They cannot.", model=Readiness),
    ],
)
def readyz(query: ReadyQuery) -> Response:
    """Whether the store and Prometheus answer.

    Without its store the service is `unready` (503). Without Prometheus it is `degraded`: verdicts are still
    shown, so it stays in front of its users unless `strict` is asked for.
    """
    here = service()
    problems = {
        "store": _tried(here.store.answers_at_all),
        "prometheus": here.prometheus.problem(),
    }
    if problems["store"]:
        status = "unready"
    elif problems["prometheus"]:
        status = "unready" if query.strict else "degraded"
    else:
        status = "ready"
    checks = {
        name: {"ok": not problem, "detail": problem and f"does not answer: {problem}"}
        for name, problem in problems.items()
    }
    code = 503 if status == "unready" else 200
    return json_answer({"status": status, "checks": checks}, code)


@resource.get(
    "/metrics",
    scope=Scope.READ,
    answers=[Answer(description="In Prometheus's text format.", media=("text/plain",))],
)
def metrics() -> Response:
    """What Prometheus reads: runs by experiment and outcome, last verdicts, jobs, faults left, requests."""
    made = Response(service().telemetry.text(), content_type=CONTENT_TYPE_LATEST)
    made.headers["Cache-Control"] = "no-store"
    return made
