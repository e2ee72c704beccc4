"""Which of the processes found a fault hits, and which it leaves."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sloguard.faults.arguments import percent, whole
from sloguard.faults.base import FaultError
from sloguard.faults.finding import Candidate, Criteria, Spared, find, nobody


@dataclass(frozen=True, slots=True)
class Choice:
    """How many of the processes found: ``qty``, a share, or all; at random or the oldest first."""

    qty: int | None = None
    share: float | None = None
    all: bool = False
    rand: bool = False
    seed: int | None = None
    leave_at_least: int = 0

    @classmethod
    def of(
        cls,
        *,
        qty: Any = None,
        percentage: Any = None,
        all: bool = False,
        rand: bool = False,
        seed: Any = None,
        leave_at_least: Any = 0,
    ) -> Choice:
        """From a fault's arguments. Raises FaultError."""
        given = [
            n
            for n, v in (("qty", qty), ("percentage", percentage), ("all", all or None))
            if v is not None
        ]
        if len(given) > 1:
            raise FaultError(f"{' and '.join(given)} contradict each other: give one of them")
        return cls(
            qty=None if qty is None else whole(qty, "qty", least=1),
            share=None if percentage is None else percent(percentage, "percentage"),
            all=bool(all),
            rand=bool(rand),
            seed=None if seed is None else whole(seed, "seed"),
            leave_at_least=whole(leave_at_least, "leave_at_least"),
        )

    def count(self, found: int, default: int = 1) -> int:
        """How many of ``found`` to hit; a share is rounded down, but is one at the least."""
        if self.all:
            wanted = found
        elif self.share is not None:
            # Rounded before it is cut, so that 10% of 30 is 3 whatever the floating point says.
            wanted = max(math.floor(round(self.share * found, 9)), 1)
        else:
            wanted = self.qty if self.qty is not None else default
        return max(min(wanted, found - self.leave_at_least), 0)


def choose(
    found: Sequence[Candidate], choice: Choice, fallback: random.Random, default: int = 1
) -> tuple[list[Candidate], list[Candidate]]:
    """Victims and those left, both oldest first. The same seed and processes give the same victims."""
    ordered = sorted(found, key=lambda c: (c.identity.started, c.identity.pid))
    count = choice.count(len(ordered), default)
    if choice.rand:
        source = fallback if choice.seed is None else random.Random(choice.seed)  # noqa: S311 - a repeatable choice, not a secret
        picked = set(source.sample(range(len(ordered)), count))
    else:
        picked = set(range(count))
    victims = [c for i, c in enumerate(ordered) if i in picked]
    return victims, [c for i, c in enumerate(ordered) if i not in picked]


def select(
    criteria: Criteria,
    choice: Choice,
    fallback: random.Random,
    spare: Callable[[Candidate], str] = lambda _candidate: "",
) -> tuple[list[Candidate], Spared]:
    """The processes to hit, at least one, and whom that spares and why. Raises FaultError.

    ``spare`` gives a fault's own reason to leave a process alone, or an empty text.
    """
    found, spared = find(criteria, spare)
    if not found:
        raise FaultError(nobody(criteria, spared))
    # Whoever names pids one by one means all of them.
    default = len(found) if criteria.pid else 1
    victims, left = choose(found, choice, fallback, default)
    if not victims:
        raise FaultError(
            f"{len(found)} {_processes(len(found))} {_match(len(found))} {criteria}, "
            f"and leave_at_least is {choice.leave_at_least}: none may be hit"
        )
    return victims, (*((str(c.identity), "not chosen") for c in left), *spared)


def _processes(count: int) -> str:
    return "process" if count == 1 else "processes"


def _match(count: int) -> str:
    return "matches" if count == 1 else "match"
