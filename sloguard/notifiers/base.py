"""What all channels have in common: notices read back, silence kept, pictures where they are wanted."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sloguard.ports import OutsideError
from sloguard.ports.outbox import Delivery, DeliveryError, Message
from sloguard.ports.service import ServiceError

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Under this name a channel remembers when which event was last sent in a stream.
_SENT = "sent"


@dataclass(frozen=True, slots=True)
class Left:
    """A fault that is still there."""

    fault: str
    target: str
    detail: str = ""
    by_hand: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What is told (see ``service.notices``), with defaults for whatever an older version left out.

    All texts are other people's: whoever shows them escapes them.
    """

    event: str
    headline: str
    at: float = 0.0
    run: str = ""
    experiment: str = ""
    title: str = ""
    kind: str = ""
    outcome: str = ""
    reason: str = ""
    tone: str = "info"
    action: str = ""
    worst: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    left: tuple[Left, ...] = ()
    link: str = ""
    chart: str = ""
    tags: tuple[str, ...] = ()
    payload: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> Notice:
        """As it was kept."""
        texts = ("run", "experiment", "title", "kind", "reason", "action", "link", "chart")
        worst = payload.get("worst") or {}
        return cls(
            event=str(payload.get("event", "")),
            headline=str(payload.get("headline", "")),
            at=float(payload.get("at") or 0.0),
            outcome=str(payload.get("outcome") or ""),
            tone=str(payload.get("tone") or "info"),
            worst=str(worst.get("reason") or ""),
            facts=tuple((str(name), str(value)) for name, value in payload.get("facts") or ()),
            left=tuple(
                Left(**{k: str(v) for k, v in one.items()}) for one in payload.get("left") or ()
            ),
            tags=tuple(map(str, payload.get("tags") or ())),
            payload=payload,
            **{name: str(payload.get(name) or "") for name in texts},
        )

    @property
    def because(self) -> str:
        """Why, in one text: the reason, and the worst SLO where that says more."""
        told = self.worst and self.worst not in self.reason
        return "\n".join(filter(None, (self.reason, self.worst if told else "")))


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart. ``spark``: the same in one line of text; ``alt``: what it shows, in words."""

    png: bytes
    spark: str
    alt: str


#: The chart of a notice in a size of CSS pixels, or None where there is none.
Illustrate = Callable[[Notice, tuple[int, int]], Picture | None]


#: The one-time link of an ask for a channel: (ask, run, channel) -> address, or an empty text.
Links = Callable[[str, str, str], str]


def no_link(_ask: str, _run: str, _channel: str) -> str:
    """For those who have none."""
    return ""


def cut(text: str, most: int) -> str:
    """At most so many characters, with an ellipsis where some are left out."""
    stripped = text.strip()
    return stripped if len(stripped) <= most else stripped[: most - 1] + "…"


def whole(command: str, most: int, run: str) -> str:
    """A command, or where the whole of it is: half a command does harm."""
    if len(command) <= most:
        return command
    return f"the command is too long for here: sloguard runs show {run}"


def awaited(
    look: Callable[[], T | None], seconds: float = 5.0, wait: Callable[[float], object] = time.sleep
) -> T | None:
    """What a run leaves in the store a moment after its end was told; None where it does not come."""
    deadline = time.monotonic() + seconds
    while (found := look()) is None and time.monotonic() < deadline:
        wait(0.1)
    return found


def no_picture(_notice: Notice, _size: tuple[int, int]) -> Picture | None:
    """For channels that want none."""
    return None


class Notifier(ABC):
    """A channel that tells people. ``name``: as in the outbox."""

    def __init__(self, name: str, *, illustrate: Illustrate = no_picture) -> None:
        self.name = name
        self.illustrate = illustrate
        self.links: Links = no_link

    def deliver(self, message: Message, delivery: Delivery) -> Mapping[str, Any]:
        """Send it, unless the same was said of the same experiment not long ago."""
        earlier = delivery.earlier()
        sent = dict((earlier.memory if earlier is not None else {}).get(_SENT) or {})
        quiet = float(message.payload.get("quiet") or 0.0)
        last = sent.get(message.kind)
        if quiet and last is not None and 0 <= message.created_at - float(last) < quiet:
            return {_SENT: sent, "quiet": True}
        try:
            payload = self._linked(message.payload)
        except ServiceError as error:
            # Decided, or too late: nobody is asked any more.
            log.info("%s: not asked: %s", self.name, error)
            return {_SENT: sent}
        memory = self.send(Notice.of(payload), message, delivery)
        return {**memory, _SENT: {**sent, message.kind: message.created_at}}

    def _linked(self, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """With the link by which this channel may approve. It is made for this one attempt, and kept nowhere."""
        ask = payload.get("ask")
        if not ask:
            return payload
        try:
            link = self.links(str(ask), str(payload.get("run", "")), self.name)
        except ServiceError:
            raise
        except OutsideError as error:
            raise DeliveryError(f"there is no link to approve by: {error}") from None
        return {**payload, "link": link or payload.get("link", "")}

    @abstractmethod
    def send(self, notice: Notice, message: Message, delivery: Delivery) -> Mapping[str, Any]:
        """Send it; what to remember of it. Raises DeliveryError."""
