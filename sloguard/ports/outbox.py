"""What has to be told to others, kept until it is.

A message is written in the same place as what it tells of, durably, and delivered by whoever is there: the
run itself when it ends, a later one, or the service. Times are seconds since the epoch, UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from sloguard.ports.base import OutsideError


class DeliveryError(OutsideError):
    """A message was not delivered. The text is for people and holds no secret.

    ``permanent``: trying again will not help. ``retry_after``: seconds that the other side asked for.
    """

    def __init__(
        self, message: str, *, permanent: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retry_after = retry_after


class MessageState(StrEnum):
    """Where a message stands."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    #: Given up: refused for good, or too old. It stands in nobody's way any more, and is shown.
    FAILED = "failed"
    #: A person has looked at it and wants it no more.
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A message to be kept. The same ``channel`` and ``key`` twice is one message.

    ``channel``: who delivers it, such as ``grafana`` or ``slack:ops``. ``stream``: messages of one channel
    and stream are delivered one after another, in the order in which they were kept; a run's id, say.
    An empty one orders nothing: such a message stands in no other's way. ``payload``: JSON, without
    secrets. ``not_before``: when it is due. ``expires_at``: after this nobody wants it any more; None: as
    long as the settings say.
    """

    channel: str
    key: str
    kind: str
    stream: str = ""
    payload: Mapping[str, Any] = field(default_factory=dict)
    not_before: float = 0.0
    expires_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message(Draft):
    """A message as it is kept.

    ``number`` orders them. ``memory``: what the channel wants to know at the next attempt, or of the
    messages of this stream that follow (the id that Grafana gave, say). ``attempts``: how often it was
    taken, this time included, since a person made it due. ``ended_at``: when it was delivered, given up or dropped. ``held_until``:
    whoever took it has it for so long (0: nobody).
    """

    number: int
    created_at: float
    state: MessageState = MessageState.WAITING
    attempts: int = 0
    next_at: float = 0.0
    ended_at: float | None = None
    held_until: float = 0.0
    error: str = ""
    memory: Mapping[str, Any] = field(default_factory=dict)


class Outbox(Protocol):
    """Messages on their way. Safe for several processes and machines at once."""

    def put(self, drafts: Sequence[Draft]) -> int:
        """Keep messages, durably, all or none; how many were new."""
        ...

    def take(self, channels: Sequence[str], *, holder: str, seconds: float) -> Message | None:
        """The first message of any stream of these channels that is due, for ``seconds`` nobody else's.

        None where nothing is due. What comes after a waiting message of its stream is not due.
        """
        ...

    def delivered(self, number: int, holder: str, memory: Mapping[str, Any] | None = None) -> bool:
        """It has arrived. False: it is not this holder's any more."""
        ...

    def remember(self, number: int, holder: str, memory: Mapping[str, Any]) -> bool:
        """Keep what the next attempt has to know, before something is sent. False: not this holder's."""
        ...

    def postpone(self, number: int, holder: str, error: str, *, until: float) -> bool:
        """It did not arrive, and is due again at ``until``."""
        ...

    def give_up(self, number: int, holder: str, error: str) -> bool:
        """It will never arrive."""
        ...

    def last_delivered(self, channel: str, stream: str) -> Message | None:
        """The last message of a stream that has arrived."""
        ...

    def messages(
        self,
        *,
        states: Sequence[MessageState] = (),
        channel: str | None = None,
        stream: str | None = None,
        limit: int = 100,
        before: int | None = None,
    ) -> Sequence[Message]:
        """Newest first; ``before``: the number of the page before's last."""
        ...

    def message(self, number: int) -> Message | None:
        """The message of this number, or None."""
        ...

    def message_counts(self) -> Mapping[tuple[str, MessageState], int]:
        """How many there are by channel and state."""
        ...

    def oldest_waiting(self) -> Mapping[str, float]:
        """When the oldest message that waits was kept, by channel."""
        ...

    def retry_message(self, number: int) -> bool:
        """Make a message that waits, was given up or dropped due now. False: there is none such, it has
        arrived, or somebody is delivering it."""
        ...

    def drop_message(self, number: int) -> bool:
        """A person wants it no more: it waits no longer, and its key stays known. False: as above."""
        ...

    def expire_messages(self, older_than: float) -> int:
        """Give up what waits, whosever it is, and is past its ``expires_at`` or was kept before this time;
        how many these were."""
        ...

    def prune_messages(self, older_than: float) -> int:
        """Forget what ended before this time, but nothing of a stream where something waits; how many
        these were."""
        ...


class Channel(Protocol):
    """Delivers messages to one place outside."""

    name: str

    def deliver(self, message: Message, delivery: Delivery) -> Mapping[str, Any]:
        """Send it; what to remember of it. Raises DeliveryError. Every call outside has a deadline."""
        ...


class Delivery(Protocol):
    """What a channel may ask while it delivers."""

    def remember(self, memory: Mapping[str, Any]) -> None:
        """Keep this durably before going on, so that an attempt after a crash knows it."""
        ...

    def earlier(self) -> Message | None:
        """The last message of this stream that has arrived."""
        ...
