"""The outbox's channel to Grafana: each message is an annotation as it should be (see service.marks).

An annotation is made once, as far as Grafana allows: it is known by a tag of its own, and looked for before
it is made, because an answer may have been lost or its reader have died. Where two were made all the same
(a server that had taken the first one only after it was looked for), the next message removes the later.
One that is gone is made again by the next message of its run: Grafana may have lost its data. After the
last message nothing touches it any more; alerts that come later are one more message.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from sloguard.adapters.grafana_http import Grafana, GrafanaError, milliseconds
from sloguard.ports.outbox import Delivery, DeliveryError, Message

_Sent = TypeVar("_Sent")

log = logging.getLogger(__name__)

#: How far from where it should be an annotation is looked for, seconds.
_AROUND = 3600.0
#: Nobody mends credentials faster, seconds.
_CREDENTIALS_SECONDS = 60.0
#: What Grafana keeps of either half of a tag.
_LONGEST_HALF = 100
_TAG_LIMIT = "annotations.tag-limit-exceeded"
_ID_TAG = "sloguard-id"


class GrafanaChannel:
    """ports.outbox.Channel. ``tags_length``: what Grafana takes of all tags together."""

    name = "grafana"

    def __init__(
        self, grafana: Grafana, *, tags_length: int = 500, now: Callable[[], float] = time.time
    ) -> None:
        self._grafana, self._tags_length, self._now = grafana, tags_length, now

    def deliver(self, message: Message, delivery: Delivery) -> Mapping[str, Any]:
        """Make the annotation, or change it; ``{"annotations": {id: number}}`` of the whole stream."""
        earlier = delivery.earlier()
        known = dict((earlier.memory if earlier else {}).get("annotations") or {})
        id = str(message.payload["id"])
        if earlier is not None and earlier.number > message.number and id in known:
            # It was given up, and tried again after those that followed it: they know better.
            return {"annotations": known}
        try:
            known[id] = self._made(id, known.get(id), message.payload)
        except GrafanaError as error:
            raise self._said(error) from error
        return {"annotations": known}

    def _made(self, id: str, number: int | None, payload: Mapping[str, Any]) -> int:
        body = self._body(payload)
        known = number is not None and self._patched(number, body, id, payload)
        if known and number is not None and not payload["final"]:
            return number
        found = self._find(id, payload)
        if known and number is not None:
            self._remove([other for other in found if other != number])
            return number
        if found:
            self._changed(found[0], body)
            self._remove(found[1:])
            return found[0]
        return self._added(body, payload)

    def _added(self, body: dict[str, Any], payload: Mapping[str, Any]) -> int:
        place: dict[str, Any] = {}
        if payload["dashboard"] is not None:
            # Grafana 9 makes one of the whole organisation where it does not know the dashboard.
            self._grafana.dashboard(payload["dashboard"])
            place["dashboardUID"] = payload["dashboard"]
        if payload["panel"] is not None:
            place["panelId"] = payload["panel"]
        return self._tagged(body, lambda fit: self._grafana.add({**place, **fit}))

    def _patched(
        self, number: int, body: dict[str, Any], id: str, payload: Mapping[str, Any]
    ) -> bool:
        """Whether it was still there."""
        try:
            self._changed(number, body)
        except GrafanaError as error:
            if error.own and error.status == 404:
                return False
            # With access control Grafana may say 500 where there is none: is it there?
            if not error.own or error.status != 500 or number in self._find(id, payload):
                raise
            return False
        return True

    def _changed(self, number: int, body: dict[str, Any]) -> None:
        self._tagged(body, lambda fit: self._grafana.patch(number, fit))

    def _tagged(self, body: dict[str, Any], send: Callable[[dict[str, Any]], _Sent]) -> _Sent:
        """With all tags; where Grafana takes fewer than it was set to, with those that it cannot be without."""
        try:
            return send(body)
        except GrafanaError as error:
            if error.id != _TAG_LIMIT:
                raise
        return send({**body, "tags": body["tags"][:2]})

    def _find(self, id: str, payload: Mapping[str, Any]) -> list[int]:
        end = payload["time_end"] or max(payload["time"], self._now())
        return self._grafana.find(
            [_cut(f"{_ID_TAG}:{id}")], payload["time"] - _AROUND, end + _AROUND
        )

    def _remove(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            try:
                self._grafana.delete(number)
            except GrafanaError as error:
                log.warning("annotation %d is there twice, and stays: %s", number, error)

    def _body(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        body = {
            "time": milliseconds(payload["time"]),
            "text": payload["text"],
            "tags": fitting(payload["tags"], self._tags_length),
        }
        if payload["time_end"] is not None:
            body["timeEnd"] = milliseconds(payload["time_end"])
        return body

    def _said(self, error: GrafanaError) -> DeliveryError:
        asked = error.retry_after
        if error.status in (401, 403):
            asked = max(asked or 0.0, _CREDENTIALS_SECONDS)
        elif error.maybe:
            # It may still be at it: looking too early would find nothing.
            asked = max(asked or 0.0, self._grafana.access.deadline)
        # A proxy answers what it likes while Grafana is away.
        permanent = error.own and error.status in (400, 404, 413, 422)
        return DeliveryError(str(error), permanent=permanent, retry_after=asked)


def fitting(tags: Sequence[str], most: int) -> list[str]:
    """As many tags as Grafana takes, the first ones first; as it counts them: bytes of a JSON list."""
    chosen: list[str] = []
    length = 1
    for tag in dict.fromkeys(map(_cut, tags)):
        # Two quotes and a comma.
        more = len(tag.encode("utf-8")) + 3
        if length + more <= most:
            chosen.append(tag)
            length += more
    return chosen


def _cut(tag: str) -> str:
    """Grafana splits a tag at its first colon, and keeps so much of either half."""
    key, colon, value = tag.partition(":")
    return f"{key.strip()[:_LONGEST_HALF]}{colon}{value.strip()[:_LONGEST_HALF]}"
