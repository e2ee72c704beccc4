"""Faults that were found on clusters, whose runs were dead: what became of them is kept.

Times are seconds since the epoch, UTC.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class OrphanState(StrEnum):
    """What became of a fault that was found."""

    #: It could not be undone yet, and is tried again.
    LEFT = "left"
    UNDONE = "undone"
    #: It could not be undone, and later it was not there any more.
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphan:
    """One fault that was found. ``id``: the same at every look; ``run``: whose it was; ``first_at``: when it was found first,
    ``at``: when it came to be as it is. ``detail``: what was done, or why not; ``by_hand``: how a person would
    undo it."""

    id: str
    cluster: str
    run: str
    fault: str
    target: str
    state: OrphanState
    detail: str = ""
    by_hand: str = ""
    first_at: float = 0.0
    at: float = 0.0


class Orphans(Protocol):
    """Faults that were found on clusters."""

    def keep_orphan(self, orphan: Orphan) -> bool:
        """Keep what became of one; its times are the store's. False: it was known to be so."""
        ...

    def orphans_gone(self, cluster: str, seen: Collection[str]) -> Sequence[Orphan]:
        """Those that were left on a cluster, and are none of these ids any more: now they are ``gone``."""
        ...

    def orphans(
        self, state: OrphanState | None = None, *, run: str = "", limit: int = 100
    ) -> Sequence[Orphan]:
        """Newest first; ``run``: only those of one run."""
        ...

    def orphan_counts(self) -> Mapping[OrphanState, int]:
        """How many there are in each state; every state is there."""
        ...

    def prune_orphans(self, older_than: float) -> int:
        """Forget those that are over since before this time; how many these were."""
        ...
