"""Faults of Istio: requests aborted or delayed by the routes of VirtualServices.

Which VirtualServices: by name, by label, or at random. Which of their routes: those to the destinations
of ``routes``, those of ``route_names``, or all; and of these, only requests that bear ``headers``. What
was there before, someone else's fault too, is put back on undo, also from the object alone.
"""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sloguard.core.model import Json
from sloguard.faults import marking
from sloguard.faults.base import (
    Context,
    FaultError,
    Injection,
    NothingToHit,
    Plan,
    Planner,
    Record,
    fault,
)
from sloguard.faults.istio_routes import (
    abort,
    changes_of_kind,
    chosen_routes,
    delay,
    destinations_of,
    edits_of,
    in_words,
    no_route,
    removals_of,
    unmatched,
    wanted_of,
    whole_fault,
)
from sloguard.faults.looking import found_in, named_in
from sloguard.faults.rights import changing, choosing, locking, places
from sloguard.faults.targets import (
    Namespaces,
    Radius,
    choose,
    consenting,
    named,
    not_going,
    title,
    within,
)
from sloguard.faults.undo_records import entries, marked, unmarked
from sloguard.ports import Cluster, Object, Resource
from sloguard.ports.resources import ISTIO, ISTIO_VERSIONS, virtual_services
from sloguard.ports.rights import Call, Need

_SHARE = "percentage: Share of the requests, all of them if not given.\n"
_WHOM = f"""

virtual_service_name: Name of the VirtualService; without one, all that match are meant, as far as qty goes.
routes: Only routes to these destinations, as in the VirtualService: a list of mappings with
    destination, host and subset. All routes if not given.
{_SHARE}ns: Namespace, a list of them, or globs.
version: Version of Istio's API, as chaosistio takes it; another one that the cluster serves will do.
label_selector: Only VirtualServices with these labels.
name_pattern: Only VirtualServices in whose names this regular expression is found.
route_names: Only routes of these names.
headers: Only requests with these headers, names with exact values.
rand: Choose at random, repeatably by the seed; else the first by name.
qty: How many VirtualServices at most.
all: Every VirtualService that matches.
seed: Seed of that choice; the run's own if none is given.
opt_in: Only VirtualServices with the annotation sloguard.io/enabled set to true.
cluster: Context of the kubeconfig; the one of the settings if not given."""


def _whom(planner: Planner) -> Planner:
    """Adds what the faults have in common to their documentation."""
    whom = _WHOM
    if "percentage" not in inspect.signature(planner).parameters:
        whom = whom.replace(_SHARE, "")
    planner.__doc__ = (planner.__doc__ or "").rstrip() + whom.replace("\n", "\n    ")
    return planner


def _needs(call: Call) -> Iterator[Need]:
    # Rights hold for all versions of a kind.
    resource, wanted = virtual_services(ISTIO_VERSIONS[0]), places(call)
    name, labels = call["virtual_service_name"], call["label_selector"]
    yield from choosing(resource, wanted, name, labels)
    yield from changing(resource, wanted, name)
    yield from locking(wanted)


def _inject(record: Record, context: Context) -> Json:
    changed = marking.inject(record, context, lambda obj: edits_of(obj, record["wanted"]))
    return {"virtual_service": title(changed), "fault": record["wanted"]["fault"]}


@fault("istio.add_abort_fault", inject=_inject, undo=marking.undo, needs=_needs)
@_whom
def add_abort_fault(
    virtual_service_name: str | None = None,
    http_status: int = 500,
    routes: list[dict[str, Any]] | None = None,
    percentage: float | str | None = None,
    ns: str | list[str] = "default",
    version: str | None = None,
    label_selector: str = "",
    name_pattern: str | None = None,
    route_names: list[str] | None = None,
    headers: dict[str, str] | None = None,
    rand: bool = False,
    qty: int = 1,
    all: bool = False,
    seed: int | None = None,
    opt_in: bool = False,
    cluster: str | None = None,
    *,
    context: Context,
) -> Plan:
    """Answer requests with an error in place of the service, by Istio.

    http_status: The status that is answered, 200 to 599.
    """
    faults = {"abort": abort(http_status, percentage)}
    whom = _Whom.of(
        virtual_service_name, ns, label_selector, name_pattern, rand, qty, all, seed, opt_in
    )
    return _plan(
        "istio.add_abort_fault",
        whom,
        wanted_of(faults, routes, route_names, headers),
        version,
        cluster,
        context,
    )


@fault("istio.add_delay_fault", inject=_inject, undo=marking.undo, needs=_needs)
@_whom
def add_delay_fault(
    virtual_service_name: str | None = None,
    fixed_delay: str | float = "5s",
    routes: list[dict[str, Any]] | None = None,
    percentage: float | str | None = None,
    ns: str | list[str] = "default",
    version: str | None = None,
    label_selector: str = "",
    name_pattern: str | None = None,
    route_names: list[str] | None = None,
    headers: dict[str, str] | None = None,
    rand: bool = False,
    qty: int = 1,
    all: bool = False,
    seed: int | None = None,
    opt_in: bool = False,
    cluster: str | None = None,
    *,
    context: Context,
) -> Plan:
    """Hold requests back before they are forwarded, by Istio.

    fixed_delay: How long, as 5s or a number of seconds.
    """
    faults = {"delay": delay(fixed_delay, percentage)}
    whom = _Whom.of(
        virtual_service_name, ns, label_selector, name_pattern, rand, qty, all, seed, opt_in
    )
    return _plan(
        "istio.add_delay_fault",
        whom,
        wanted_of(faults, routes, route_names, headers),
        version,
        cluster,
        context,
    )


@fault("istio.add_abort_and_delay_fault", inject=_inject, undo=marking.undo, needs=_needs)
@_whom
def add_abort_and_delay_fault(
    virtual_service_name: str | None = None,
    http_status: int = 500,
    fixed_delay: str | float = "5s",
    routes: list[dict[str, Any]] | None = None,
    percentage: float | str | None = None,
    delay_percentage: float | str | None = None,
    ns: str | list[str] = "default",
    version: str | None = None,
    label_selector: str = "",
    name_pattern: str | None = None,
    route_names: list[str] | None = None,
    headers: dict[str, str] | None = None,
    rand: bool = False,
    qty: int = 1,
    all: bool = False,
    seed: int | None = None,
    opt_in: bool = False,
    cluster: str | None = None,
    *,
    context: Context,
) -> Plan:
    """Hold requests back and answer some of them with an error, by Istio, in one change.

    http_status: The status that is answered, 200 to 599.
    fixed_delay: How long requests are held back, as 5s or a number of seconds.
    delay_percentage: Share of the requests that are held back, all of them if not given.
    """
    faults = {
        "abort": abort(http_status, percentage),
        "delay": delay(fixed_delay, delay_percentage, "delay_percentage"),
    }
    whom = _Whom.of(
        virtual_service_name, ns, label_selector, name_pattern, rand, qty, all, seed, opt_in
    )
    return _plan(
        "istio.add_abort_and_delay_fault",
        whom,
        wanted_of(faults, routes, route_names, headers),
        version,
        cluster,
        context,
    )


@fault("istio.set_fault", inject=_inject, undo=marking.undo, needs=_needs)
@_whom
def set_fault(
    virtual_service_name: str | None = None,
    routes: list[dict[str, Any]] | None = None,
    fault: dict[str, Any] | None = None,
    ns: str | list[str] = "default",
    version: str | None = None,
    label_selector: str = "",
    name_pattern: str | None = None,
    route_names: list[str] | None = None,
    headers: dict[str, str] | None = None,
    rand: bool = False,
    qty: int = 1,
    all: bool = False,
    seed: int | None = None,
    opt_in: bool = False,
    cluster: str | None = None,
    *,
    context: Context,
) -> Plan:
    """Abort requests, hold them back, or both, as it would stand in a VirtualService.

    fault: As Istio has it, {abort: {httpStatus: 503, percentage: {value: 50}}, delay: {fixedDelay: 5s}}.
    """
    faults = whole_fault(fault)
    whom = _Whom.of(
        virtual_service_name, ns, label_selector, name_pattern, rand, qty, all, seed, opt_in
    )
    return _plan(
        "istio.set_fault",
        whom,
        wanted_of(faults, routes, route_names, headers),
        version,
        cluster,
        context,
    )


def _inject_removal(record: Record, context: Context) -> Json:
    removed: list[str] = []

    def change(obj: Object) -> Object:
        removed.clear()
        for entry in entries(obj):
            meant = changes_of_kind(obj, record)
            obj, done = unmarked(obj, str(entry["id"]), which=meant)
            removed.extend([str(entry["fault"])] if done else [])
        edits = removals_of(obj, record) if record["foreign"] else []
        if edits:
            removed.append("somebody else's")
            obj = marked(obj, record["entry"], edits)
        return obj

    changed = marking.alter(record, context, change)
    return {"virtual_service": title(changed), "removed": list(removed)}


def _undo_removal(record: Record, context: Context) -> str:
    # What it takes away of sloguard's own was to be undone anyway; what was others' is put back.
    return marking.undo(record, context)


@fault("istio.remove_abort_fault", inject=_inject_removal, undo=_undo_removal, needs=_needs)
def remove_abort_fault(
    virtual_service_name: str | None = None,
    routes: list[dict[str, Any]] | None = None,
    ns: str | list[str] = "default",
    version: str | None = None,
    label_selector: str = "",
    foreign: bool = False,
    cluster: str | None = None,
    *,
    context: Context,
) -> Plan:
    """Take away the aborts that sloguard has put on VirtualServices; those of others only if asked for.

    A run undoes its faults by itself, so this is for a method that ends one early. What is sloguard's own
    is not put back on undo: it was to be undone anyway.

    virtual_service_name: Name of the VirtualService; all in the namespace if not given.
    routes: Only from routes to these destinations; from all if not given.
    ns: Namespace, a list of them, or globs.
    version: Version of Istio's API; another one that the cluster serves will do.
    label_selector: Only VirtualServices with these labels.
    foreign: Take away what others have put there, too; that is put back on undo.
    cluster: Context of the kubeconfig; the one of the settings if not given.
    """
    return _removal(
        "abort",
        virtual_service_name,
        routes,
        ns,
        label_selector,
        version,
        foreign,
        cluster,
        context,
    )


@fault("istio.unset_fault", inject=_inject_removal, undo=_undo_removal, needs=_needs)
def unset_fault(
    virtual_service_name: str | None = None,
    routes: list[dict[str, Any]] | None = None,
    ns: str | list[str] = "default",
    version: str | None = None,
    label_selector: str = "",
    foreign: bool = False,
    cluster: str | None = None,
    *,
    context: Context,
) -> Plan:
    """Take away the aborts and delays that sloguard has put on VirtualServices; those of others only if asked for.

    A run undoes its faults by itself, so this is for a method that ends one early. What is sloguard's own
    is not put back on undo: it was to be undone anyway.

    virtual_service_name: Name of the VirtualService; all in the namespace if not given.
    routes: Only from routes to these destinations; from all if not given.
    ns: Namespace, a list of them, or globs.
    version: Version of Istio's API; another one that the cluster serves will do.
    label_selector: Only VirtualServices with these labels.
    foreign: Take away what others have put there, too; that is put back on undo.
    cluster: Context of the kubeconfig; the one of the settings if not given.
    """
    return _removal(
        "",
        virtual_service_name,
        routes,
        ns,
        label_selector,
        version,
        foreign,
        cluster,
        context,
    )


@fault("istio.remove_delay_fault", inject=_inject_removal, undo=_undo_removal, needs=_needs)
def remove_delay_fault(
    virtual_service_name: str | None = None,
    routes: list[dict[str, Any]] | None = None,
    ns: str | list[str] = "default",
    version: str | None = None,
    label_selector: str = "",
    foreign: bool = False,
    cluster: str | None = None,
    *,
    context: Context,
) -> Plan:
    """Take away the delays that sloguard has put on VirtualServices; those of others only if asked for.

    A run undoes its faults by itself, so this is for a method that ends one early. What is sloguard's own
    is not put back on undo: it was to be undone anyway.

    virtual_service_name: Name of the VirtualService; all in the namespace if not given.
    routes: Only from routes to these destinations; from all if not given.
    ns: Namespace, a list of them, or globs.
    version: Version of Istio's API; another one that the cluster serves will do.
    label_selector: Only VirtualServices with these labels.
    foreign: Take away what others have put there, too; that is put back on undo.
    cluster: Context of the kubeconfig; the one of the settings if not given.
    """
    return _removal(
        "delay",
        virtual_service_name,
        routes,
        ns,
        label_selector,
        version,
        foreign,
        cluster,
        context,
    )


def _removal(
    kind: str,
    name: str | None,
    routes: Any,
    ns: Any,
    labels: str,
    version: str | None,
    foreign: bool,
    context_name: str | None,
    context: Context,
) -> Plan:
    cluster = context.cluster(context_name)
    resource = served(cluster, version)
    rules = Namespaces.of(ns, own=cluster.own_namespace)
    meant = [
        obj for obj in _found(cluster, resource, name, rules, labels) if not within(rules)(obj)
    ]
    if not meant:
        which = f" named {name}" if name else f" with {labels}" if labels else ""
        raise NothingToHit(f"no VirtualService{which} in {rules}")
    kinds = [kind] if kind else ["abort", "delay"]
    more = {"kinds": kinds, "destinations": destinations_of(routes), "foreign": bool(foreign)}
    fault_name = f"istio.remove_{kind}_fault" if kind else "istio.unset_fault"
    text = "kubectl edit {object}: put back what its annotation sloguard.io/undo tells"
    injections = tuple(
        Injection(
            target=title(obj),
            # What will be there once sloguard's own is gone is seen only then.
            record=marking.record_of(cluster, resource, obj, fault_name, context.run, (), **more),
            lock=lock_of(cluster, obj),
            by_hand=marking.by_hand(cluster, resource, obj, text) if foreign else "",
        )
        for obj in meant
    )
    what = " and ".join(f"{one}s" for one in kinds)
    whose = f"all {what}" if foreign else f"sloguard's {what}"
    return Plan(injections, summary=f"take away {whose} from {_counted(meant)}")


# Whom and what.


@dataclass(frozen=True, slots=True)
class _Whom:
    """Which VirtualServices."""

    name: str | None
    namespaces: Namespaces
    labels: str
    pattern: str | None
    radius: Radius
    opt_in: bool

    @classmethod
    def of(
        cls,
        name: str | None,
        ns: Any,
        labels: str,
        pattern: str | None,
        rand: bool,
        qty: Any,
        all: bool,
        seed: Any,
        opt_in: bool,
    ) -> _Whom:
        if name is None and not (labels or pattern or rand or all):
            raise FaultError(
                "say which VirtualServices: virtual_service_name, label_selector, name_pattern, rand or all"
            )
        radius = Radius.of(qty=qty, all=all or name is not None, rand=rand, seed=seed)
        return cls(name, Namespaces.of(ns), labels, pattern, radius, opt_in)


def _plan(
    fault_name: str,
    whom: _Whom,
    wanted: dict[str, Json],
    version: str | None,
    context_name: str | None,
    context: Context,
) -> Plan:
    cluster = context.cluster(context_name)
    resource = served(cluster, version)
    namespaces = replace(whom.namespaces, own=cluster.own_namespace)
    found = _found(cluster, resource, whom.name, namespaces, whom.labels)
    rules = [
        within(namespaces),
        named(whom.pattern),
        consenting(whom.opt_in),
        not_going,
        lambda obj: _unfit(obj, wanted, all_of_it=whom.name is not None),
    ]
    chosen = choose(found, whom.radius, fallback=context.random, spare=rules)
    if not chosen.victims:
        raise NothingToHit(_nobody(whom, namespaces, chosen.spared))
    injections = tuple(
        _injection(fault_name, cluster, resource, obj, wanted, context) for obj in chosen.victims
    )
    what = " and ".join(in_words(kind, value) for kind, value in wanted["fault"].items())
    return Plan(injections, chosen.spared, f"{what} by {_counted(injections)}")


def _unfit(obj: Object, wanted: dict[str, Json], *, all_of_it: bool) -> str:
    """Why a VirtualService cannot be hit. One that is named has to have all that is asked for; of others
    this is a choice among their routes, and one will do."""
    missing = unmatched(obj, wanted)
    if missing and (all_of_it or not chosen_routes(obj, wanted)):
        return missing
    return "" if chosen_routes(obj, wanted) else no_route(wanted)


def _found(
    cluster: Cluster, resource: Resource, name: str | None, namespaces: Namespaces, labels: str
) -> list[Object]:
    if name is not None:
        return named_in(cluster, resource, name, namespaces, labels=labels)
    return found_in(cluster, resource, namespaces, labels=labels)


def _injection(
    fault_name: str,
    cluster: Cluster,
    resource: Resource,
    obj: Object,
    wanted: dict[str, Json],
    context: Context,
) -> Injection:
    wanted = {**wanted, "label": f"sloguard-{uuid.uuid4().hex[:8]}"}
    record = marking.record_of(
        cluster, resource, obj, fault_name, context.run, edits_of(obj, wanted), wanted=wanted
    )
    text = "kubectl edit {object}: put back what its annotation sloguard.io/undo tells"
    return Injection(
        target=title(obj),
        record=record,
        lock=lock_of(cluster, obj),
        by_hand=marking.by_hand(cluster, resource, obj, text),
        hits={resource.kind: frozenset({title(obj)})},
    )


def _counted(of: Sequence[Any]) -> str:
    return f"{len(of)} VirtualService{'' if len(of) == 1 else 's'}"


def lock_of(cluster: Cluster, obj: Object) -> str:
    """The lock of an object's namespace."""
    return f"namespace:{cluster.name}/{obj['metadata']['namespace']}"


def served(cluster: Cluster, version: str | None = None) -> Resource:
    """VirtualServices in the version asked for, or another one that the cluster serves."""
    wanted = (version or "").rpartition("/")[2]
    versions = cluster.versions(ISTIO)
    if not versions:
        raise FaultError(f"{cluster.name} serves no {ISTIO}: is Istio installed?")
    return virtual_services(wanted if wanted in versions else versions[0])


def _nobody(whom: _Whom, namespaces: Namespaces, spared: Sequence[tuple[str, str]]) -> str:
    which = f"named {whom.name}" if whom.name else f"with {whom.labels}" if whom.labels else ""
    text = f"no VirtualService {which} to hit in {namespaces}".replace("  ", " ")
    reasons = "; ".join(f"{name}: {why}" for name, why in spared[:5])
    return f"{text} ({reasons})" if reasons else text
