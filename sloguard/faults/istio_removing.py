"""Faults taken away from the routes of VirtualServices before a run's end."""

from __future__ import annotations

from typing import Any

from sloguard.core.model import Json
from sloguard.faults import marking
from sloguard.faults.base import Context, Injection, NothingToHit, Plan, Record
from sloguard.faults.istio_routes import changes_of_kind, destinations_of, removals_of
from sloguard.faults.istio_selection import counted, lock_of, matching, served
from sloguard.faults.targets import Namespaces, title, within
from sloguard.faults.undo_records import entries, marked, unmarked
from sloguard.ports import Object


def take_away(record: Record, context: Context) -> Json:
    """Inject. What it takes away of sloguard's own was to be undone anyway; what was others' undo puts back."""
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


def removal(
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
    """What sloguard has put there, of a kind (``abort``, ``delay``, empty: both); ``foreign``: what others have, too."""
    cluster = context.cluster(context_name)
    resource = served(cluster, version)
    rules = Namespaces.of(ns, own=cluster.own_namespace)
    meant = [
        obj for obj in matching(cluster, resource, name, rules, labels) if not within(rules)(obj)
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
    return Plan(injections, summary=f"take away {whose} from {counted(meant)}")
