"""Any manifest as a fault: what it makes is deleted on undo, what it changes is put back.

With it sloguard judges faults that other tools inject, a NetworkChaos of Chaos Mesh for example.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sloguard.faults import applying, marking
from sloguard.faults.arguments import duration as as_duration
from sloguard.faults.base import Context, FaultError, Injection, Plan, fault
from sloguard.faults.manifests import Manifest, read_manifests
from sloguard.faults.rights import locking, locking_nodes
from sloguard.faults.targets import Namespaces, consenting, not_going, title
from sloguard.faults.waiting_for import texts_of
from sloguard.ports import Cluster, ClusterConflict, ClusterNotFound, Object, Resource
from sloguard.ports.resources import CONFIG_MAPS, NAMESPACES, NODES
from sloguard.ports.rights import Call, Need, on

_LONGEST_WAIT = 3600.0
_TRIES = 5
_ANY = ("get", "create", "patch", "delete")


def _needs(call: Call) -> Iterator[Need]:
    given = read_manifests(call["manifest"], call.folder)
    coming = _coming(given)
    for one in given:
        resource = call.resource(one.api_version, one.kind)
        namespace = (one.namespace or str(call["ns"])) if resource.namespaced else None
        name = one.name if one.named else None
        there = call.is_there(resource, namespace, one.name) if one.named else False
        # What is there is changed and changed back, what is not is created and deleted.
        verbs = {None: _ANY, True: ("get", "patch"), False: ("get", "create", "delete")}[there]
        yield from on(resource, *verbs, namespaces=(namespace,), name=name)
        beside = (namespace or call.own_namespace,)
        yield from on(CONFIG_MAPS, "create", "get", "delete", namespaces=beside)
        if resource == NODES:
            yield from locking_nodes(call, name)
        elif namespace in coming:
            yield from on(NAMESPACES, "get", name=namespace)
            yield from locking((namespace, call.own_namespace))
        else:
            yield from locking(beside)


def _coming(given: Sequence[Manifest]) -> frozenset[str]:
    """The namespaces that are among the manifests."""
    return frozenset(one.name for one in given if one.kind == NAMESPACES.kind)


@fault("kubernetes.apply", inject=applying.inject, undo=applying.undo, needs=_needs)
def apply(
    manifest: str | dict[str, Any] | list[Any],
    ns: str = "default",
    wait_for: str | list[str] | dict[str, Any] | None = None,
    timeout: float | str = 60,
    cluster: str | None = None,
    *,
    context: Context,
) -> Plan:
    """Apply any manifest, and wait for it; what was not there is deleted on undo, what was is put back.

    Kinds are looked up on the cluster, so custom resources will do, as a NetworkChaos of Chaos Mesh. The
    objects are applied in their order, each waited for before the next, and undone in the opposite one; what
    is deleted is waited for until its finalizers have let it go. Into an object that is there already the
    manifest is merged: mappings part by part, lists as a whole, null removes.

    manifest: A mapping, a YAML text (several documents will do), the path of a file, beside the experiment
        if it is a relative one, or a list of these.
    ns: Namespace of what names none itself.
    wait_for: What has to hold of each object before the fault counts as injected, as kubectl wait takes it:
        condition=AllInjected, condition=Ready=False, jsonpath={.status.phase}=Running, a list of these, or a
        mapping from kinds to them.
    timeout: How long each object is waited for, in seconds.
    cluster: Context of the kubeconfig; the one of the settings if not given.
    """
    given = read_manifests(manifest, context.folder)
    seconds = as_duration(timeout, "timeout", longest=_LONGEST_WAIT)
    namespace = Namespaces.of(ns).single
    if namespace is None:
        raise FaultError(f"ns: expected the name of one namespace, found {ns!r}")
    kinds = frozenset(one.kind for one in given)
    waits = [texts_of(wait_for, one.kind, kinds) for one in given]
    found = context.cluster(cluster)
    coming = _coming(given)
    injections: list[Injection] = []
    spared: list[tuple[str, str]] = []
    for one, texts in zip(given, waits, strict=True):
        resource, body = _placed(found, one, namespace)
        made = _injection(found, resource, body, (texts, seconds), coming, context)
        if made is None:
            spared.append(
                (f"{resource.kind} {title(body)}", "it is as the manifest wants it already")
            )
        else:
            injections.append(made)
    if not injections and not context.lasting:
        raise FaultError("manifest: all of it is there already, as it is wanted")
    return Plan(tuple(injections), tuple(spared), _summary(injections))


def _summary(injections: Sequence[Injection]) -> str:
    created = sum(i.record["uid"] is None for i in injections)
    parts = [(created, "create"), (len(injections) - created, "change")]
    return " and ".join(
        f"{verb} {count} {'object' if count == 1 else 'objects'}" for count, verb in parts if count
    )


def _placed(cluster: Cluster, manifest: Manifest, namespace: str) -> tuple[Resource, Object]:
    try:
        resource = cluster.resource(manifest.api_version, manifest.kind)
    except ClusterNotFound as error:
        raise FaultError(f"{manifest.where}: {error}") from error
    body = manifest.body
    if resource.namespaced:
        body["metadata"].setdefault("namespace", namespace)
    elif body["metadata"].pop("namespace", None) is not None:
        raise FaultError(f"{manifest.where}: a {manifest.kind} is in no namespace")
    return resource, body


def _injection(
    cluster: Cluster,
    resource: Resource,
    body: Object,
    wait: tuple[list[str], float],
    coming: frozenset[str],
    context: Context,
) -> Injection | None:
    """What one manifest comes to; None where it changes nothing. ``coming``: namespaces among them."""
    entry = {"id": uuid.uuid4().hex, "run": context.run, "fault": "kubernetes.apply"}
    there = applying.may_change(cluster, resource, body)
    uid = None
    if there is None:
        made = applying.made_of(body, entry)
        # What is to be in a namespace that is not there yet cannot be tried out.
        if body["metadata"].get("namespace") not in coming or _exists(cluster, body):
            applying.try_out(cluster, resource, made)
        command = "kubectl delete {object}"
    else:
        for spare in (not_going, consenting(False)):
            if why := spare({**there, "status": {}}):
                raise FaultError(f"{resource.kind} {title(there)} may not be changed: {why}")
        there = _tried(cluster, resource, there, body, entry)
        if there is None:
            return None
        uid = str(there["metadata"]["uid"])
        command = "kubectl edit {object}: put back what its annotation sloguard.io/undo tells"
    return Injection(
        target=f"{resource.kind} {title(body)}",
        record=applying.record_of(cluster, resource, body, uid, entry, *wait),
        lock=_lock(cluster, resource, body, coming),
        by_hand=marking.by_hand(cluster, resource, body, command),
        private={"manifest": body},
    )


def _tried(
    cluster: Cluster, resource: Resource, obj: Object, body: Object, entry: Mapping[str, Any]
) -> Object | None:
    """The object, if the manifest would change it; None if not. Raises FaultError where it may not."""
    for _ in range(_TRIES):
        try:
            return obj if applying.changed_of(cluster, resource, obj, body, entry) != obj else None
        except ClusterConflict:
            # Somebody has written to it in between.
            obj = cluster.get(resource, body["metadata"]["name"], body["metadata"].get("namespace"))
    raise FaultError(f"{resource.kind} {title(obj)} is changed by others all the time")


def _exists(cluster: Cluster, body: Object) -> bool:
    try:
        cluster.get(NAMESPACES, str(body["metadata"].get("namespace")))
    except ClusterNotFound:
        return False
    return True


def _lock(cluster: Cluster, resource: Resource, body: Object, coming: frozenset[str]) -> str:
    """The namespace; of what is in none, or in one that is yet to come, sloguard's own."""
    about = body["metadata"]
    if resource == NODES:
        return f"node:{cluster.name}/{about['name']}"
    namespace = about.get("namespace")
    if namespace is None or (namespace in coming and not _exists(cluster, body)):
        namespace = cluster.own_namespace
    return f"namespace:{cluster.name}/{namespace}"
