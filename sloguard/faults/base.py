"""The shape of every fault: plan (look, touch nothing), inject, undo (idempotent, from its record).

A fault is a plan function under a decorator::

    @fault("processes.stop", inject=_inject_stop, undo=_undo_stop)
    def stop(pattern: str | None = None, *, context: Context) -> Plan: ...

The engine calls ``stop.fault`` in the three steps, with the ledger in between. Called plainly, as any
Chaos Toolkit driver's function is, it plans and injects at once and returns what the injections gave.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sloguard.core.model import Json

Record = Mapping[str, Json]


class FaultError(Exception):
    """A fault could not be planned, injected or undone. The text is for people."""


@dataclass(slots=True)
class Context:
    """What a fault may use while it works.

    ``stop`` is set when the fault has to end early. ``save`` makes a new undo record durable before it
    returns; ``note`` says something to the people watching. ``random`` is seeded from ``seed``.
    """

    stop: threading.Event = field(default_factory=threading.Event)
    save: Callable[[Record], None] = lambda _record: None
    note: Callable[[str], None] = lambda _message: None
    seed: int = 0
    run: str = ""
    random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311 - a repeatable choice, not a secret


@dataclass(frozen=True, slots=True)
class Injection:
    """One thing that will be done to one target.

    ``record``: JSON; all that ``undo`` needs, in any later process, plus what ``inject`` needs.
    ``lock``: what no two runs may touch at once. ``removes``: names this takes out of the world, by label.
    ``by_hand``: the command or step with which a person undoes it.
    """

    target: str
    record: Record
    lock: str = ""
    by_hand: str = ""
    removes: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be hit, what will be spared and why (name, reason), and a sentence for people."""

    injections: tuple[Injection, ...]
    spared: tuple[tuple[str, str], ...] = ()
    summary: str = ""


Planner = Callable[..., Plan]
Injector = Callable[[Record, Context], Json]
#: Returns what was done in words; an empty text means that there was nothing to undo.
Undoer = Callable[[Record, Context], str]


@dataclass(frozen=True, slots=True)
class Fault:
    """A registered fault."""

    name: str
    planner: Planner
    injector: Injector
    undoer: Undoer

    def plan(self, arguments: Mapping[str, Any], context: Context) -> Plan:
        """Look, touch nothing. Raises FaultError for arguments that do not fit."""
        try:
            inspect.signature(self.planner).bind(**arguments, context=context)
        except TypeError as error:
            raise FaultError(
                f"{self.name}: {error}; see 'sloguard discover {self.name}'"
            ) from error
        return self.planner(**arguments, context=context)

    def inject(self, injection: Injection, context: Context) -> Json:
        """Do it. ``context.stop`` ends it early."""
        return self.injector(injection.record, context)

    def undo(self, record: Record, context: Context) -> str:
        """Bring back what was; safe to call again, and before the injection happened."""
        return self.undoer(record, context)


#: Where each family lives; a family is imported when one of its faults is first asked for.
FAMILIES: dict[str, str] = {
    "processes": "sloguard.faults.processes",
    "load": "sloguard.faults.load",
    "network": "sloguard.faults.network",
}

_registry: dict[str, Fault] = {}


def fault(name: str, *, inject: Injector, undo: Undoer) -> Callable[[Planner], FaultFunction]:
    """Make a plan function a fault, registered under ``family.function``."""

    def decorate(planner: Planner) -> FaultFunction:
        made = Fault(name, planner, inject, undo)
        _registry[name] = made
        return FaultFunction(made)

    return decorate


class FaultFunction:
    """A fault as a plain function, for those who call it without an engine."""

    def __init__(self, made: Fault) -> None:
        self.fault = made
        functools.update_wrapper(self, made.planner)
        # Other runners pass arguments by name after looking at the signature.
        signature = inspect.signature(made.planner)
        kept = [p for p in signature.parameters.values() if p.name != "context"]
        self.__signature__ = signature.replace(parameters=kept, return_annotation=Any)

    def __call__(self, **arguments: Any) -> list[Json]:
        context = Context()
        plan = self.fault.plan(arguments, context)
        return [self.fault.inject(injection, context) for injection in plan.injections]


def find_fault(name: str) -> Fault:
    """The fault of this name (``processes.stop``); raises FaultError with the families there are."""
    family = name.split(".", 1)[0]
    if name not in _registry and family in FAMILIES:
        importlib.import_module(FAMILIES[family])
    if name not in _registry:
        raise FaultError(f"no fault named '{name}'; families: {', '.join(sorted(FAMILIES))}")
    return _registry[name]
