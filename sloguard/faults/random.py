"""Random chaos: faults and targets drawn by weight over a whole cluster, within a declared blast radius and
hours. The same seed on the same cluster draws the same; every drawn fault is injected, locked, recorded and
undone as if it had been asked for by itself.
"""

from __future__ import annotations

import difflib
import inspect
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from sloguard.faults.arguments import duration as as_duration
from sloguard.faults.arguments import number, whole
from sloguard.faults.base import (
    Context,
    Fault,
    FaultError,
    Injection,
    NothingToHit,
    NotNow,
    Plan,
    Record,
    fault,
    find_fault,
)
from sloguard.faults.blast import Blast, Limits
from sloguard.faults.hours import Hours
from sloguard.faults.looking import Remembering, found_in
from sloguard.faults.rights import places
from sloguard.faults.targets import Budget, Namespaces
from sloguard.ports import Cluster
from sloguard.ports.resources import BUDGETS, PODS
from sloguard.ports.rights import Call, Need, on

NAME = "random.chaos"
_MOST_TIMES, _LONGEST_PAUSE = 1000, 86400.0
_ENTRY = ("fault", "weight", "arguments")
#: What chooses among targets is drawn here, and what waits or leads elsewhere would not be the draw's.
_OURS = frozenset({"rand", "rand_zone", "qty", "all", "mode", "order", "seed", "count", "wait"})


@dataclass(frozen=True, slots=True)
class _Entry:
    """One line of the menu."""

    fault: Fault
    weight: float
    arguments: Mapping[str, Any]

    def whole(self, common: Mapping[str, Any]) -> dict[str, Any]:
        """Its arguments, with what holds for all, so that it plans for every target that it could hit."""
        known = inspect.signature(self.fault.planner).parameters
        given = {name: value for name, value in common.items() if name in known}
        every = {name: True for name in ("all", "rand") if name in known}
        return {**given, **every, **self.arguments}


@dataclass(slots=True)
class _Menu:
    """What one fault could hit. ``problem``: why there is nothing."""

    entry: _Entry
    candidates: list[Injection]
    spared: tuple[tuple[str, str], ...] = ()
    problem: str = ""


def _needs(call: Call) -> Iterator[Need]:
    entries = _entries(call["faults"])
    limits = Limits.of(call["within"], 1)
    wanted = places(call)
    yield from on(PODS, "list", namespaces=wanted)
    if not limits.ignore_budgets:
        yield from on(BUDGETS, "list", namespaces=wanted)
    common = _common(call.arguments, limits)
    for entry in entries:
        if entry.fault.needs is not None:
            its = Call.of(entry.fault.planner, entry.whole(common))
            yield from entry.fault.needs(replace(call, arguments=its.arguments))


def _never_inject(_record: Record, _context: Context) -> NoReturn:
    raise FaultError(f"{NAME} injects nothing itself: each fault that it draws does")


def _nothing_left(_record: Record, _context: Context) -> str:
    return ""  # each fault that was drawn has a record, and an undo, of its own


@fault(NAME, inject=_never_inject, undo=_nothing_left, needs=_needs)
def chaos(
    faults: list[dict[str, Any]],
    times: int = 1,
    within: dict[str, Any] | None = None,
    hours: dict[str, Any] | None = None,
    ns: str | list[str] = "*",
    exclude_ns: str | list[str] | None = None,
    opt_in: bool = False,
    every: float | str | None = None,
    seed: int | None = None,
    cluster: str | None = None,
    *,
    context: Context,
) -> Plan:
    """Draw faults and their targets at random, over the whole cluster, within limits for all of them together.

    Where fewer can be drawn than asked for, because nothing is left within the limits, it is fewer; where
    none can, nothing is injected.

    faults: What may be drawn: a list of mappings with fault (as pods.terminate_pods), weight (1 if not given)
        and arguments. Arguments that choose targets (rand, qty, all, count …) are not for here: it is drawn.
    times: How many are drawn.
    within: The blast radius: max_pods, max_nodes, max_virtual_services, max_workloads (each as times, if not
        given), max_per_namespace, leave_at_least (ready pods of each workload), ignore_budgets.
    hours: When it may happen: zone (UTC), days (mon-fri), from and to ("09:00"), except (dates, or spans as
        2026-12-24/2026-12-26). At any other time nothing is injected.
    ns: Namespace, a list of them, or globs; * for all but the system's and sloguard's own.
    exclude_ns: Namespaces to leave alone, with globs.
    opt_in: Only targets with the annotation sloguard.io/enabled set to true.
    every: Time between two of them; one right after the other if not given.
    seed: Seed of the draw; the run's own if none is given.
    cluster: Context of the kubeconfig; the one of the settings if not given.
    """
    count = whole(times, "times", least=1, most=_MOST_TIMES)
    pause = 0.0 if every is None else as_duration(every, "every", longest=_LONGEST_PAUSE)
    entries = _entries(faults)
    limits = Limits.of(within, count)
    allowed = None if hours is None else Hours.of(hours)
    chosen = context.seed if seed is None else whole(seed, "seed")
    found = context.cluster(cluster)
    if allowed is not None:
        _check_hours(allowed, found.now(), pause * (count - 1))
    seen = Remembering(found)
    namespaces = Namespaces.of(ns, exclude_ns, found.own_namespace)
    source = random.Random(chosen)  # noqa: S311 - a repeatable choice, not a secret
    common = _common(locals(), limits)
    menus = [_menu(entry, common, seen, context, source.getrandbits(32)) for entry in entries]
    pods = found_in(seen, PODS, namespaces)
    budgets = [] if limits.ignore_budgets else found_in(seen, BUDGETS, namespaces)
    blast = Blast(limits, namespaces, pods, [Budget.of(budget) for budget in budgets])
    drawn = _drawn(menus, count, blast, source)
    spared = _spared(menus, drawn, blast)
    if not drawn:
        shown = "; ".join(f"{name}: {why}" for name, why in spared[:5])
        raise NothingToHit(f"nothing can be drawn within these limits ({shown})")
    injections = tuple(
        replace(one, delay=pause if index else 0.0) for index, one in enumerate(drawn)
    )
    often = f"{len(drawn)} of {count}" if len(drawn) < count else str(count)
    return Plan(injections, spared, f"{often} drawn at random with seed {chosen}")


def _common(arguments: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
    """The arguments that hold for every fault."""
    common = {name: arguments[name] for name in ("ns", "exclude_ns", "opt_in", "cluster")}
    return {**common, "ignore_budgets": limits.ignore_budgets}


def _check_hours(hours: Hours, now: float, span: float) -> None:
    refusal = hours.refusal(now)
    if refusal:
        raise NotNow(f"hours: {refusal}")
    late = hours.refusal(now + span)
    if late:
        raise NotNow(f"hours: the last one would come {late}")


def _entries(given: Any) -> list[_Entry]:
    """The menu as written. Raises FaultError."""
    if not isinstance(given, list | tuple) or not given:
        raise FaultError(
            "faults: expected a list such as [{fault: pods.terminate_pods, weight: 3}], "
            f"found {given!r}"
        )
    return [_entry(one, f"faults[{index}]") for index, one in enumerate(given)]


def _entry(given: Any, where: str) -> _Entry:
    if isinstance(given, str):
        given = {"fault": given}
    if not isinstance(given, Mapping) or not isinstance(given.get("fault"), str):
        raise FaultError(f"{where}: expected a mapping with fault, weight and arguments")
    for key in given:
        if key not in _ENTRY:
            near = difflib.get_close_matches(str(key), _ENTRY, n=1)
            hint = f"did you mean {near[0]}?" if near else f"expected {', '.join(_ENTRY)}"
            raise FaultError(f"{where}: there is no {key}; {hint}")
    # As its name, or as the module and function of an experiment.
    name = str(given["fault"]).removeprefix("sloguard.faults.")
    if name == NAME:
        raise FaultError(f"{where}: fault: random chaos cannot be drawn by random chaos")
    try:
        found = find_fault(name)
    except FaultError as error:
        raise FaultError(f"{where}: fault: {error}") from None
    if found.needs is None:
        raise FaultError(f"{where}: fault: {name} hits nothing of a cluster")
    weight = number(given.get("weight", 1), f"{where}: weight", above=0, most=1e6)
    return _Entry(found, weight, _arguments(found, given.get("arguments"), where))


def _arguments(found: Fault, given: Any, where: str) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise FaultError(f"{where}: arguments: expected a mapping, found {given!r}")
    known = inspect.signature(found.planner).parameters
    # Of nodes a percentage is a choice; of requests it is the fault.
    ours = {*_OURS, "percentage"} if "count" in known else _OURS
    for name in given:
        if name == "cluster":
            raise FaultError(f"{where}: arguments: cluster is one for all: name it beside faults")
        if name in ours and name in known:
            raise FaultError(
                f"{where}: arguments: {name} is not for here: targets are drawn; say how many with "
                "times, and within which limits with within"
            )
    return dict(given)


def _menu(
    entry: _Entry, common: Mapping[str, Any], cluster: Cluster, context: Context, seed: int
) -> _Menu:
    """All that this fault could hit now; each target by itself."""
    its = Context(
        stop=context.stop,
        note=context.note,
        seed=seed,
        run=context.run,
        allow_url=context.allow_url,
        cluster=lambda _context: cluster,
        folder=context.folder,
    )
    try:
        plan = entry.fault.plan(entry.whole(common), its)
    except NothingToHit as error:
        return _Menu(entry, [], problem=str(error))
    made = [replace(one, of=one.of or entry.fault) for one in plan.injections]
    return _Menu(entry, sorted(made, key=lambda one: one.target), plan.spared)


def _drawn(
    menus: Sequence[_Menu], times: int, blast: Blast, source: random.Random
) -> list[Injection]:
    """One fault by weight, then one of its targets, as often as asked for and as long as there is one."""
    left = [list(menu.candidates) for menu in menus]
    drawn: list[Injection] = []
    while len(drawn) < times:
        # What does not fit now never will: limits only get narrower.
        left = [[one for one in some if not blast.problem(one)] for some in left]
        weights = [menu.entry.weight if left[i] else 0.0 for i, menu in enumerate(menus)]
        if not any(weights):
            break
        (index,) = source.choices(range(len(menus)), weights)
        one = left[index].pop(source.randrange(len(left[index])))
        blast.take(one)
        drawn.append(one)
    return drawn


def _spared(
    menus: Sequence[_Menu], drawn: Sequence[Injection], blast: Blast
) -> tuple[tuple[str, str], ...]:
    """Every target that is not hit, by the fault that could have, and why."""
    hit = {id(one) for one in drawn}
    found: list[tuple[str, str]] = []
    for menu in menus:
        name = menu.entry.fault.name
        if menu.problem:
            found.append((name, menu.problem))
        found += [(f"{name} on {target}", why) for target, why in menu.spared]
        found += [
            (f"{name} on {one.target}", blast.problem(one) or "not drawn")
            for one in menu.candidates
            if id(one) not in hit
        ]
    return tuple(found)
