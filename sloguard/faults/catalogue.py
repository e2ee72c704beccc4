"""What faults there are, read from their signatures and docstrings."""

from __future__ import annotations

from sloguard.core.describing import Entry, described
from sloguard.faults.base import Fault, all_faults, find_fault


def catalogue() -> tuple[Entry, ...]:
    """Every fault, by name. Imports all families."""
    return tuple(_entry(made) for made in all_faults())


def entry(name: str) -> Entry:
    """The fault of this name; raises FaultError with the nearest one."""
    return _entry(find_fault(name))


def _entry(made: Fault) -> Entry:
    return described(made.name, made.planner, "action", left_out=("context",))
