"""Faults on the routes of VirtualServices, planned and injected; what was there before stands in the record."""

from __future__ import annotations

import uuid
from dataclasses import replace

from sloguard.core.model import Json
from sloguard.faults import marking
from sloguard.faults.base import Context, Injection, NothingToHit, Plan, Record
from sloguard.faults.istio_routes import edits_of, in_words
from sloguard.faults.istio_selection import Whom, counted, lock_of, matching, nobody, served, unfit
from sloguard.faults.targets import choose, consenting, named, not_going, title, within
from sloguard.ports import Cluster, Object, Resource


def plan(
    fault_name: str,
    whom: Whom,
    wanted: dict[str, Json],
    version: str | None,
    context_name: str | None,
    context: Context,
) -> Plan:
    """A fault as ``istio_routes.wanted_of`` has it, on as many VirtualServices as are meant; nothing is touched."""
    cluster = context.cluster(context_name)
    resource = served(cluster, version)
    namespaces = replace(whom.namespaces, own=cluster.own_namespace)
    found = matching(cluster, resource, whom.name, namespaces, whom.labels)
    rules = [
        within(namespaces),
        named(whom.pattern),
        consenting(whom.opt_in),
        not_going,
        lambda obj: unfit(obj, wanted, all_of_it=whom.name is not None),
    ]
    chosen = choose(found, whom.radius, fallback=context.random, spare=rules)
    if not chosen.victims:
        raise NothingToHit(nobody(whom, namespaces, chosen.spared))
    injections = tuple(
        _injection(fault_name, cluster, resource, obj, wanted, context) for obj in chosen.victims
    )
    what = " and ".join(in_words(kind, value) for kind, value in wanted["fault"].items())
    return Plan(injections, chosen.spared, f"{what} by {counted(injections)}")


def inject(record: Record, context: Context) -> Json:
    """Put the fault of a record on its VirtualService, with what undoes it."""
    changed = marking.inject(record, context, lambda obj: edits_of(obj, record["wanted"]))
    return {"virtual_service": title(changed), "fault": record["wanted"]["fault"]}


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
