"""Grafana as its annotations API behaves (tests/fixtures/grafana/annotations.md), with what can go wrong."""

from __future__ import annotations

import base64
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.http_double import Answer, HttpDouble, Request, hang_up, reply, silence

TOKEN = "glsa_double"
TAGS_LENGTH = 500
UNAUTHORIZED = {"message": "Unauthorized"}
INVALID = {"message": "Invalid API key", "messageId": "api-key.invalid", "statusCode": 401}
DENIED = {
    "title": "Access denied",
    "message": "You'll need additional permissions to perform this action.",
    "accessErrorId": "ACE0000000001",
}
TAG_LIMIT = {
    "message": "Tags length exceeds the maximum allowed.",
    "messageId": "annotations.tag-limit-exceeded",
    "statusCode": 400,
}
BROKEN = {"message": "Failed to save annotation"}
LOGIN = b"<!DOCTYPE html><html><head><title>Sign in</title></head></html>"

#: Decides about a request: None, or one of the troubles below.
Trouble = Callable[[Request], str | None]
#: What may go wrong; ``after-…`` has done it all the same.
TROUBLES = ("refuse", "hang up", "after-hang up", "after-500", "busy", "login")


@dataclass
class GrafanaDouble:
    """A Grafana in memory. ``trouble`` decides what goes wrong; ``allowed`` what the token may do.

    ``rbac``: says 500 in place of 404 for an annotation that is not there. What the trouble ``late`` holds
    back happens once the next request was answered.
    """

    dashboards: Mapping[str, str] = field(default_factory=lambda: {"shop": "The shop"})
    trouble: Trouble = lambda _: None
    allowed: frozenset[str] = frozenset({"GET", "POST", "PATCH", "DELETE"})
    rbac: bool = False
    tags_length: int = TAGS_LENGTH
    annotations: dict[int, dict[str, Any]] = field(default_factory=dict)
    requests: list[tuple[str, str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)
        self._late: list[Callable[[], object]] = []
        self._lock = threading.RLock()

    @contextmanager
    def served(self, **more: Any) -> Iterator[HttpDouble]:
        """Over HTTP; ``tls``: as HttpDouble takes it."""
        with HttpDouble(self.script, **more) as server:
            yield server

    def script(self, request: Request) -> Answer:
        """As HttpDouble asks."""
        with self._lock:
            late, self._late = self._late, []
            body = json.loads(request.body) if request.body else None
            self.requests.append((request.method, request.target, body))
            trouble = self.trouble(request)
            before = _BEFORE.get(trouble or "")
            if before is not None:
                return before
            if trouble == "late":
                self._late.append(lambda: self._answer(request, body))
                answer: Answer = hang_up
            else:
                answer = self._answer(request, body)
            for happens in late:
                happens()
        return _AFTER.get(trouble or "", answer)

    def of_run(self, run: str) -> list[dict[str, Any]]:
        """The annotations of a run, by when they were made."""
        found = [a for a in self.annotations.values() if f"run:{run}" in a["tags"]]
        return sorted(found, key=lambda a: a["id"])

    def _answer(self, request: Request, body: Any) -> Answer:
        parts = request.path.strip("/").split("/")
        if parts == ["api", "health"]:
            return reply({"database": "ok", "version": "11.4.0"})
        refused = self._refused(request)
        if refused is not None:
            return refused
        match request.method, parts:
            case "GET", ["api", "org"]:
                return reply({"id": 1, "name": "Main Org."})
            case "GET", ["api", "dashboards", "uid", uid]:
                if uid not in self.dashboards:
                    return reply({"message": "Dashboard not found"}, 404)
                return reply({"dashboard": {"uid": uid, "title": self.dashboards[uid]}})
            case "GET", ["api", "annotations"]:
                return self._found(request)
            case "POST", ["api", "annotations"]:
                return self._added(body)
            case "PATCH" | "DELETE", ["api", "annotations", number]:
                return self._touched(request.method, number, body)
        return reply({"message": "Not found"}, 404)

    def _refused(self, request: Request) -> Answer | None:
        sent = request.headers.get("authorization", "")
        if not sent:
            return reply(UNAUTHORIZED, 401)
        basic = "Basic " + base64.b64encode(b"admin:secret-password").decode()
        if sent not in (f"Bearer {TOKEN}", basic):
            return reply(INVALID, 401)
        return None if request.method in self.allowed else reply(DENIED, 403)

    def _found(self, request: Request) -> Answer:
        params = request.params
        found = list(self.annotations.values())
        tags = params.get("tags", [])
        if tags:
            some = params.get("matchAny") == ["true"]
            fits = any if some else all
            found = [a for a in found if fits(tag in a["tags"] for tag in tags)]
        if "from" in params and "to" in params:
            start, end = int(params["from"][0]), int(params["to"][0])
            found = [a for a in found if a["time"] <= end and a["timeEnd"] >= start]
        if "dashboardUID" in params:
            found = [a for a in found if a["dashboardUID"] == params["dashboardUID"][0]]
        found.sort(key=lambda a: -a["timeEnd"])
        found = found[: int(params.get("limit", ["100"])[0])]
        return reply(json.dumps(found))

    def _added(self, body: Any) -> Answer:
        if not isinstance(body, dict):
            return reply({"message": "bad request data"}, 400)
        if not body.get("text"):
            return reply(BROKEN, 400)
        if self._is_too_long(body.get("tags") or []):
            return reply(TAG_LIMIT, 400)
        number = next(self._numbers)
        at = body.get("time") or round(time.time() * 1000)
        # Version 9 takes an unknown dashboard for none, and says nothing.
        uid = body.get("dashboardUID")
        made = {
            "id": number,
            "dashboardUID": uid if uid in self.dashboards else "",
            "panelId": body.get("panelId", 0),
            "text": body["text"],
            "tags": list(body.get("tags") or []),
        }
        self.annotations[number] = {**made, **_span(at, body.get("timeEnd") or at)}
        return reply({"message": "Annotation added", "id": number})

    def _touched(self, method: str, text: str, body: Any) -> Answer:
        if not text.isdigit():
            return reply({"message": "annotationId is invalid"}, 400)
        known = self.annotations.get(int(text))
        if known is None:
            status = 500 if self.rbac else 404
            return reply({"message": "Annotation not found"}, status)
        if method == "DELETE":
            del self.annotations[int(text)]
            return reply({"message": "Annotation deleted"})
        if self._is_too_long(body.get("tags") or []):
            return reply(TAG_LIMIT, 400)
        span = _span(body.get("time", known["time"]), body.get("timeEnd", known["timeEnd"]))
        known.update({name: body[name] for name in ("text", "tags") if name in body}, **span)
        return reply({"message": "Annotation patched"})

    def _is_too_long(self, tags: list[str]) -> bool:
        return 1 + sum(len(tag.encode()) + 3 for tag in tags) > self.tags_length


def _span(start: int, end: int) -> dict[str, int]:
    return {"time": min(start, end), "timeEnd": max(start, end)}


_BEFORE: Mapping[str, Answer] = {
    "refuse": reply({"message": "the database is locked"}, 503),
    "hang up": hang_up,
    "silence": silence,
    "busy": reply({"message": "Too many requests"}, 429, headers={"Retry-After": "17"}),
    "login": reply(LOGIN, kind="text/html"),
    "gone": reply("default backend - 404", 404, kind="text/plain"),
}
_AFTER: Mapping[str, Answer] = {
    "after-hang up": hang_up,
    "after-500": reply({"message": "Internal server error"}, 500),
    "after-silence": silence,
}
