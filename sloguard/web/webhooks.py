"""What other tools send by themselves: alerts of Alertmanager.

Alertmanager sends again what is answered with anything but 2xx: with 5xx soon, with 4xx at the next interval of the
group, for as long as it fires. So what can never be taken is kept for inspection and answered with 200, and
503 is left for the moment in which nothing can be written.
"""

from __future__ import annotations

import sys
from typing import Literal

from flask import Response, request
from pydantic import BaseModel, Field

from sloguard.core.deliveries import NotTaken
from sloguard.ports import OutsideError
from sloguard.ports.alert_inbox import Received
from sloguard.ports.service import Scope
from sloguard.service.alerting import REFUSED_BODY
from sloguard.service.payloads import look
from sloguard.web.access.auditing import already_told
from sloguard.web.answers import json_answer
from sloguard.web.endpoints import JSON, Answer, Resource
from sloguard.web.identity import who
from sloguard.web.parts import service

resource = Resource("webhooks", "/webhooks", about="What other tools send by themselves.")

#: The rest of what is too large is read and thrown away up to here, so that the sender gets to read the answer.
MOST_DRAINED = 256 << 20
_PIECE = 64 << 10


class Accepted(BaseModel):
    """What came is on the disk, and is worked on after."""

    status: Literal["accepted"]
    alerts: int = Field(description="that it says to hold")


class Refused(BaseModel):
    """It can never be taken; it is kept for inspection."""

    status: Literal["refused"]
    reason: str


@resource.post(
    "/alertmanager",
    scope=Scope.WEBHOOK,
    raw=(JSON,),
    answers=[
        Answer(status=202, description="It is kept, durably.", model=Accepted),
        Answer(
            description="It can never be taken, and is not to be sent again; kept for inspection.",
            model=Refused,
        ),
    ],
)
def alertmanager() -> Response:
    """Alerts, as Alertmanager's webhook receiver sends them (version 4).

    Credentials: a bearer token with the scope `webhook`, or basic authentication with its secret as the password.
    The same alert (fingerprint and startsAt) may come as often as it likes. Only 503 asks for it to be sent
    again.
    """
    # Every alert in the audit log would be no audit log any more; the inbox knows who has sent what.
    already_told()
    here = service()
    body, size, reason = _body(here.parts.settings.alerts.body_limit)
    alerts = 0
    if not reason:
        try:
            alerts = look(body)
        except NotTaken as error:
            reason = str(error)
    kept = Received(
        received_at=here.parts.now(),
        sender=who().name,
        address=request.remote_addr or "",
        body=body[:REFUSED_BODY] if reason else body,
        size=size,
        alerts=alerts,
        reason=reason,
    )
    try:
        here.store.keep_payload(kept)
    except OutsideError:
        here.telemetry.webhook("unavailable", alerts)
        raise
    here.telemetry.webhook("refused" if reason else "accepted", alerts)
    if reason:
        return json_answer({"status": "refused", "reason": reason})
    return json_answer({"status": "accepted", "alerts": alerts}, 202)


def _body(most: int) -> tuple[bytes, int, str]:
    """What was sent (its beginning, if it is too large), how much that was, and why it cannot be taken."""
    # The limit of other requests would end this one with 413, and it would come again and again.
    request.max_content_length = sys.maxsize
    stream = request.stream
    body = stream.read(most + 1)
    if len(body) <= most:
        return body, len(body), ""
    size = len(body)
    while size < MOST_DRAINED and (piece := stream.read(_PIECE)):
        size += len(piece)
    return body, size, f"it has {size} bytes; at most {most} are read (alerts.body_limit)"
