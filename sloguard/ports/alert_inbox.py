"""What Alertmanager sends: kept as it came, worked off afterwards, and tied to runs.

Times are seconds since the epoch, UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sloguard.core.deliveries import Delivered, Telling
from sloguard.core.episodes import AlertEpisode


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A webhook's payload as it came. ``number`` orders them; 0: it has none yet.

    ``sender``: who showed credentials; ``address``: from where. ``alerts``: how many it says to hold. ``size``: its
    bytes, of which ``body`` may be the beginning alone. ``reason``: why it was refused, empty where it was not.
    """

    received_at: float
    sender: str
    address: str
    body: bytes
    size: int
    alerts: int = 0
    reason: str = ""
    number: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkedOff:
    """What came of a payload. ``refused``: why it, or a part of it, could not be taken; it is kept then."""

    payload: Received
    told: Telling | None
    refused: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxState:
    """``waiting`` payloads, the oldest of which came ``oldest_at``; ``refused`` ones that are kept."""

    waiting: int
    oldest_at: float | None
    refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A group of which Alertmanager has not sent everything: more alerts than its ``max_alerts``.

    ``most``: so many were missing at once; ``payloads``: how often, from ``first_at`` to ``last_at``.
    """

    receiver: str
    group: str
    first_at: float
    last_at: float
    payloads: int
    most: int


@dataclass(frozen=True, slots=True)
class KeptEpisode:
    """An episode as it is kept; ``number`` names it on pages."""

    number: int
    episode: Delivered


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpan:
    """A run and the time in which alerts concern it. ``outcome`` empty: there is none yet."""

    run: str
    title: str
    experiment: str
    outcome: str
    ended: bool
    start: float
    end: float


class AlertInbox(Protocol):
    """Payloads on their way to becoming episodes. Safe for several processes and machines at once."""

    def keep_payload(self, payload: Received) -> None:
        """Keep it, on disk before this returns; one with a reason as refused. Raises OutsideError."""
        ...

    def waiting_payloads(self, limit: int, *, alerts: int | None = None) -> Sequence[Received]:
        """The oldest ones that were not worked off, with no more ``alerts`` than these, but at least one."""
        ...

    def settle_payloads(self, done: Sequence[WorkedOff]) -> int:
        """Write down what came of payloads, all or nothing, and take them from the inbox.

        One that somebody else has settled meanwhile is left out. How many episodes are new or changed.
        """
        ...

    def runs_to_amend(self, limit: int) -> Sequence[tuple[str, int]]:
        """Ended runs whose alerts may have changed since, with the turn in which that was found."""
        ...

    def amend_run(self, run: str, turn: int, amend: Amend) -> bool:
        """Hand a run's document to ``amend`` with the episodes of its time, and keep what it returns (None: as it
        is). Whether it was changed."""
        ...

    def prune_alerts(
        self, *, episodes_before: float, refused_before: float, most_refused: int
    ) -> int:
        """Forget what is older; how many episodes these were."""
        ...


#: A run's document and the episodes of its time -> the document amended, or None.
Amend = Callable[[Mapping[str, Any], Sequence[AlertEpisode]], Mapping[str, Any] | None]
