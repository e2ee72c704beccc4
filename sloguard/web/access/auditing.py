"""The audit log as the web writes it: every request that changed something, and every refusal to let in."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from flask import Response, g, request
from pydantic import BaseModel

from sloguard.ports import OutsideError
from sloguard.ports.service import Audit, AuditEntry

#: Every entry goes here as well, for whoever collects logs.
log = logging.getLogger("sloguard.audit")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_CREDENTIALS = frozenset({"csrf_token", "token", "key"})
#: Of what was sent, so much is kept: characters of a text, members of a list or an object, levels.
_MOST_TEXT, _MOST_MEMBERS, _MOST_LEVELS = 200, 30, 3


class Auditor:
    """Writes entries; ``now`` gives seconds since the epoch, UTC."""

    def __init__(self, audit: Audit, now: Callable[[], float]) -> None:
        self._audit, self._now = audit, now

    def add(self, who: str, where: str, action: str, target: str = "", **detail: Any) -> None:
        """Keep an entry. Where the store cannot, the log has it: what was done cannot be undone by that."""
        entry = AuditEntry(
            at=self._now(), who=who, where=where, action=action, target=target, detail=detail
        )
        shown = json.dumps({"who": who, "from": where, "target": target, **detail}, default=str)
        log.info("%s %s", action, shown)
        try:
            self._audit.append_audit(entry)
        except OutsideError as error:
            log.critical("this entry is missing in the store: %s %s: %s", action, shown, error)

    def add_request(self, response: Response) -> None:
        """Keep what the request in hand has changed; what was refused or only read is none of that."""
        if request.method in SAFE_METHODS or response.status_code >= 400 or g.get("audited"):
            return
        who, endpoint = g.get("who"), request.endpoint
        if endpoint is None or who is None:
            return
        detail: dict[str, Any] = {"status": response.status_code, "request": g.request_id}
        if who.token:
            detail["token"] = who.token
        asked = _asked()
        if asked:
            detail["asked"] = shortened(asked)
        made = response.headers.get("Location", "").partition("?")[0].rpartition("/")[2]
        # What a request was about: what its path names, else what it made.
        named = str(next(iter((request.view_args or {}).values()), ""))
        if named and made and made != named:
            detail["made"] = made
        self.add(who.name, request.remote_addr or "", endpoint, named or made, **detail)


def already_told() -> None:
    """The view in hand has written its own entry, or has nothing to tell."""
    g.audited = True


def _asked() -> Mapping[str, Any]:
    """What was sent, without what only shows who has sent it."""
    asked = g.get("asked")
    if isinstance(asked, BaseModel):
        return asked.model_dump(mode="json", exclude_defaults=True)
    return {name: text for name, text in request.form.items() if name not in _CREDENTIALS and text}


def shortened(value: Any, levels: int = _MOST_LEVELS) -> Any:
    """JSON, cut down to what says what was asked for."""
    if isinstance(value, str):
        return value if len(value) <= _MOST_TEXT else f"{value[:_MOST_TEXT]}…"
    if isinstance(value, Mapping):
        if not levels:
            return "{…}"
        kept = list(value.items())[:_MOST_MEMBERS]
        return {str(k)[:_MOST_TEXT]: shortened(v, levels - 1) for k, v in kept}
    if isinstance(value, list | tuple):
        if not levels:
            return "[…]"
        return [shortened(item, levels - 1) for item in value[:_MOST_MEMBERS]]
    return value
