"""How a function of a driver is entered into the table of what stands in for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

#: Packages, and how they are installed.
DRIVERS = {"chaosk8s": "chaostoolkit-kubernetes", "chaosistio": "chaostoolkit-istio"}

Arguments = Mapping[str, Any]
Mapped = Callable[..., Arguments]
FAULTS, RESTORING = "sloguard.faults", "sloguard.faults.restoring"
UNDONE = ": leave it out, as a run undoes its own faults by itself"


@dataclass(frozen=True, slots=True)
class Alias:
    """``target``: dotted name of the function in sloguard, for the method and the hypothesis; empty where there
    is none there. ``rollback_target``: the one for rollbacks; empty where there is none there.

    ``mapping``: from the driver's arguments to the target's; ``in_rollbacks`` adapts these where it is
    called as a rollback. ``hint``: what to do where there is none.
    """

    module: str
    func: str
    target: str
    rollback_target: str
    mapping: Mapped
    in_rollbacks: Callable[[Arguments], Arguments] | None = None
    hint: str = ""

    @property
    def name(self) -> str:
        """As the experiment names it."""
        return f"{self.module}.{self.func}"

    def target_in(self, rollback: bool) -> str:
        """What is called; empty where nothing of sloguard's can be."""
        return self.rollback_target if rollback else self.target


TABLE: dict[tuple[str, str], Alias] = {}


def alias(
    module: str,
    target: str,
    *,
    rollback: str | None = None,
    in_rollbacks: Callable[[Arguments], Arguments] | None = None,
    hint: str = "",
) -> Callable[[Mapped], Mapped]:
    """Enter a function of a driver. ``rollback``: what is called in rollbacks, if it is another one."""

    def enter(mapping: Mapped) -> Mapped:
        TABLE[module, mapping.__name__] = Alias(
            module,
            mapping.__name__,
            target,
            target if rollback is None else rollback,
            mapping,
            in_rollbacks,
            hint,
        )
        return mapping

    return enter


def given(**arguments: Any) -> dict[str, Any]:
    """Without what was not given."""
    return {name: value for name, value in arguments.items() if value is not None}


def own_only(arguments: Arguments) -> Arguments:
    """What others have put there stays: a rollback is not undone."""
    return {**arguments, "foreign": False}
