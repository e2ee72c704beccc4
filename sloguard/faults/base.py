"""The shape of every fault: plan (look, touch nothing), inject, undo (idempotent, from its record).

A fault is a plan function under a decorator::

    @fault("processes.stop", inject=_inject_stop, undo=_undo_stop)
    def stop(pattern: str | None = None, *, context: Context) -> Plan: ...

The engine calls ``stop.fault`` in the three steps, with the ledger in between. Called plainly, as any
Chaos Toolkit driver's function is, it plans and injects at once and returns what the injections gave;
there is no ledger then, and nobody undoes it later.

The docstring is what ``sloguard discover`` shows: a summary, and a line ``name: text`` an argument.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import importlib
import inspect
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, cast, runtime_checkable

from sloguard.core.model import Json
from sloguard.ports import Clusters, ambient
from sloguard.ports.rights import Needs
from sloguard.ports.silences import Silences

Record = Mapping[str, Json]


class FaultError(Exception):
    """A fault could not be planned, injected or undone. The text is for people."""


class NothingToHit(FaultError):
    """The arguments make sense, but nothing that is there now may be hit."""


class NotNow(FaultError):
    """It may not happen at this time, whatever else has been done before it."""


@dataclass(slots=True)
class Context:
    """What a fault may use while it works.

    ``stop`` is set when the fault has to end early. ``save`` makes a new undo record durable before it
    returns; ``note`` says something to the people watching. ``random`` is seeded from ``seed``.
    ``allow_url`` says why a URL may not be called, or None where it may. ``cluster`` gives the cluster of
    a context, or the one of the settings for None; raises ClusterError where there is none. ``folder``: where
    the experiment's file is, for files beside it; empty for the working directory. ``lasting``: what is changed
    on a cluster is there to stay, so that no way back is left there, and what is so already is no problem.
    ``silences``: the Alertmanager of the settings, None where there is none. ``now``: seconds since the epoch.
    """

    stop: threading.Event = field(default_factory=threading.Event)
    save: Callable[[Record], None] = lambda _record: None
    note: Callable[[str], None] = lambda _message: None
    seed: int = 0
    run: str = ""
    allow_url: Callable[[str], str | None] = lambda _url: None
    cluster: Clusters = ambient.cluster
    silences: Silences | None = None
    now: Callable[[], float] = time.time
    folder: str = ""
    lasting: bool = False
    random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311 - a repeatable choice, not a secret


@dataclass(frozen=True, slots=True)
class Injection:
    """One thing that will be done to one target.

    ``record``: JSON; all that ``undo`` needs, in any later process, plus what ``inject`` needs. It is
    kept as it is, so it holds no secrets: what ``inject`` needs of these is in ``private``, which is
    never written and which ``undo`` does without.
    ``lock``: what no two runs may touch at once. ``removes``: names this takes out of the world, by label.
    ``by_hand``: the command or step with which a person undoes it. ``hits``: what of a cluster suffers, by
    kind, as ``namespace/name`` or a node's name, for those who limit it. ``of``: the fault that injects and
    undoes this, where it is not the one whose plan it is in. ``delay``: seconds to wait before it.
    """

    target: str
    record: Record
    lock: str = ""
    by_hand: str = ""
    removes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    private: Record = field(default_factory=dict, repr=False)
    hits: Mapping[str, frozenset[str]] = field(default_factory=dict)
    of: Fault | None = field(default=None, repr=False)
    delay: float = 0.0

    @property
    def shown(self) -> str:
        """The target for people, with the fault where it is not the plan's."""
        return self.target if self.of is None else f"{self.of.name} on {self.target}"


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
    """A registered fault. ``needs``: the rights that it takes on a cluster; None where it works on none."""

    name: str
    planner: Planner
    injector: Injector
    undoer: Undoer
    needs: Needs | None = None

    def plan(self, arguments: Mapping[str, Any], context: Context) -> Plan:
        """Look, touch nothing. Raises FaultError for arguments that do not fit."""
        signature = inspect.signature(self.planner)
        try:
            signature.bind(**arguments, context=context)
        except TypeError as error:
            known = [name for name in signature.parameters if name != "context"]
            unknown = [name for name in arguments if name not in known]
            near = difflib.get_close_matches(unknown[0], known, n=1) if unknown else []
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise FaultError(
                f"{self.name}: {error}{hint}; see 'sloguard discover {self.name}'"
            ) from error
        return self.planner(**arguments, context=context)

    def inject(self, injection: Injection, context: Context) -> Json:
        """Do it, by the fault that the injection is of. ``context.stop`` ends it early."""
        made = injection.of or self
        return made.injector({**injection.record, **injection.private}, context)

    def undo(self, record: Record, context: Context) -> str:
        """Bring back what was; safe to call again, and before the injection happened."""
        return self.undoer(record, context)


#: Where each family lives; a family is imported when one of its faults is first asked for.
FAMILIES: dict[str, str] = {
    "processes": "sloguard.faults.processes",
    "load": "sloguard.faults.load",
    "network": "sloguard.faults.network",
    "istio": "sloguard.faults.istio",
    "pods": "sloguard.faults.pods",
    "nodes": "sloguard.faults.nodes",
    "deployments": "sloguard.faults.deployments",
    "netpol": "sloguard.faults.netpol",
    "kubernetes": "sloguard.faults.kubernetes",
    "random": "sloguard.faults.random",
}

_registry: dict[str, Fault] = {}


def fault(
    name: str, *, inject: Injector, undo: Undoer, needs: Needs | None = None
) -> Callable[[Planner], FaultFunction]:
    """Make a plan function a fault, registered under ``family.function``.

    ``needs``: what it does on a cluster, at any step, as rights; every fault on a cluster declares them.
    """

    def decorate(planner: Planner) -> FaultFunction:
        made = Fault(name, planner, inject, undo, needs)
        _registry[name] = made

        # Other runners look for a function, and at its signature, and pass arguments by name.
        @functools.wraps(planner)
        def called(*args: Any, **arguments: Any) -> list[Json]:
            bound = signature.bind_partial(*args).arguments
            return at_once(made, {**bound, **arguments}, Context())

        whole = inspect.signature(planner, eval_str=True)
        kept = [p for p in whole.parameters.values() if p.name != "context"]
        signature = whole.replace(parameters=kept, return_annotation=list[Json])
        attributes = cast(Any, called)
        attributes.fault = made
        attributes.needs = needs
        attributes.__signature__ = signature
        return cast(FaultFunction, called)

    return decorate


@runtime_checkable
class FaultFunction(Protocol):
    """A fault as a plain function, for those who call it without an engine; a real function, too."""

    fault: Fault

    def __call__(self, *args: Any, **arguments: Any) -> list[Json]: ...


def at_once(made: Fault, arguments: Mapping[str, Any], context: Context) -> list[Json]:
    """Plan and inject, without a ledger; gives what the injections gave.

    If an injection fails half-way, what was injected is undone first, unless it is there to stay.
    """
    undoers: list[Fault] = []
    records: list[Record] = []
    outputs: list[Json] = []
    try:
        for injection in made.plan(arguments, context).injections:
            context.stop.wait(injection.delay)
            undoers.append(injection.of or made)
            records.append(injection.record)
            context.save = functools.partial(records.__setitem__, len(records) - 1)
            outputs.append(made.inject(injection, context))
    except BaseException:
        for undoer, record in reversed(list(zip(undoers, records, strict=True))):
            # The first error is the one to tell.
            with contextlib.suppress(FaultError):
                if not context.lasting:
                    undoer.undo(record, Context(cluster=context.cluster))
        raise
    return outputs


def find_fault(name: str) -> Fault:
    """The fault of this name (``processes.stop``); raises FaultError with the nearest names."""
    family = name.split(".", 1)[0]
    if name not in _registry and family in FAMILIES:
        importlib.import_module(FAMILIES[family])
    if name in _registry:
        return _registry[name]
    near = difflib.get_close_matches(name, sorted(_registry), n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"families: {', '.join(sorted(FAMILIES))}"
    raise FaultError(f"no fault named '{name}'; {hint}")


def all_faults() -> list[Fault]:
    """Every fault of every family, by name."""
    for module in FAMILIES.values():
        importlib.import_module(module)
    return [_registry[name] for name in sorted(_registry) if name.partition(".")[0] in FAMILIES]
