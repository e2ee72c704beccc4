"""Controllers, scheduler and kubelets, enough that a cluster comes back to what was asked of it."""

from __future__ import annotations

import hashlib
import json
import math
import random
import time
from collections.abc import Callable
from typing import Any

from tests.fakes.kubernetes import definitions, jobs, selecting
from tests.fakes.kubernetes.api import FOREGROUND, Api
from tests.fakes.kubernetes.copying import copied
from tests.fakes.kubernetes.defaults import fill
from tests.fakes.kubernetes.kinds import Kind
from tests.fakes.kubernetes.state import Object, State, stamp

UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
NOT_READY = "node.kubernetes.io/not-ready"
ZONE = "topology.kubernetes.io/zone"


def template_hash(template: Object) -> str:
    """The double's own; real ones differ, and nothing may depend on them."""
    text = json.dumps(template, sort_keys=True).encode()
    return (
        hashlib.sha256(text)
        .hexdigest()[:9]
        .translate(str.maketrans("0123456789aeiou", "bcdfghjklm46789"))
    )


class Lag:
    """How late everybody is: seconds, from and to. What a kubelet does takes longer than a look."""

    def __init__(
        self,
        look: tuple[float, float] = (0.05, 0.3),
        kubelet: tuple[float, float] = (0.5, 2.0),
        namespace: tuple[float, float] = (1.0, 3.0),
        discovery: tuple[float, float] = (10.0, 30.0),
    ) -> None:
        self.look, self.kubelet, self.namespace = look, kubelet, namespace
        # The garbage collector looks for new kinds twice a minute.
        self.discovery = discovery
        self._due: dict[object, float] = {}

    def over(self, key: object, span: tuple[float, float]) -> bool:
        """Whether what began when this was first asked has taken its time by now."""
        now = time.monotonic()
        if now < self._due.setdefault(key, now + random.uniform(*span)):
            return False
        del self._due[key]
        return True


class Controllers:
    """``starts``: kubelets bring pods to Running and Ready; ``ends``: they end pods that are deleted.
    ``attended``: there is somebody at all who schedules pods and says of nodes that they are ready.

    ``lag``: they take their time, each its own, as real ones do; None: they are there at once.
    """

    def __init__(
        self,
        state: State,
        api: Api,
        hashed: Callable[[Object], str] = template_hash,
        lag: Lag | None = None,
    ) -> None:
        self._state, self._api, self._hash, self._lag = state, api, hashed, lag
        self.starts = True
        self.ends = True
        self.attended = True
        self._address = 1
        self._seen: dict[str, int] = {}
        self._discovered: set[str] = set()

    def settle(self) -> None:
        """Until nothing changes any more."""
        for _ in range(100):
            before = self._state.version
            self.step()
            if self._state.version == before:
                return
        raise AssertionError("the double's controllers do not come to rest")

    def step(self) -> None:
        """Each controller once. What they read and write is one moment to others."""
        with self._state.lock:
            for part in self._parts():
                part()

    def late_step(self) -> None:
        """Each controller that has something new to look at, once its time has come."""
        assert self._lag is not None
        for part in self._parts():
            name = part.__name__
            waits = part in (self._kubelets, self._namespaces, self._garbage)
            with self._state.lock:
                version = self._state.version
                if self._seen.get(name) == version and not waits:
                    continue
                if self._lag.over(name, self._lag.look):
                    self._seen[name] = version
                    part()

    def _parts(self) -> tuple[Callable[[], None], ...]:
        return (
            self._definitions,
            self._nodes,
            self._tainted,
            self._accounts,
            self._garbage,
            self._deployments,
            self._replica_sets,
            self._stateful_sets,
            self._daemon_sets,
            self._jobs,
            self._schedule,
            self._kubelets,
            self._budgets,
            self._endpoints,
            self._statuses,
            self._namespaces,
        )

    def _is_new(self, kind: str) -> bool:
        """Whether the garbage collector has not heard of a kind yet."""
        if kind not in self._discovered and not self._late(("kind", kind), "discovery"):
            self._discovered.add(kind)
        return kind not in self._discovered

    def _late(self, key: object, span: str) -> bool:
        """Whether this is still under way."""
        return self._lag is not None and not self._lag.over(key, getattr(self._lag, span))

    def _put(self, kind: str, obj: Object) -> Object:
        return self._state.put(self._state.kind(kind), obj)

    def _remove(self, kind: str, obj: Object) -> None:
        self._state.remove(self._state.kind(kind), obj)

    def _make(self, kind: str, obj: Object) -> Object:
        made = fill(self._state.kind(kind), obj, self._api.suffix() if kind == "Pod" else "")
        return self._state.add(self._state.kind(kind), made)

    def _definitions(self) -> None:
        definitions.step(self._state)

    # Nodes and what is left behind.

    def _tainted(self) -> None:
        """What a node does not bear any more is ended, without asking budgets."""
        for node in self._state.all("Node"):
            bans = [t for t in node["spec"].get("taints") or [] if t["effect"] == "NoExecute"]
            for pod in self._state.all("Pod") if bans else []:
                here = pod["spec"].get("nodeName") == node["metadata"]["name"]
                if here and not all(_tolerates(pod, ban) for ban in bans):
                    self._end(pod)

    def _accounts(self) -> None:
        for namespace in self._state.all("Namespace"):
            if not namespace["metadata"].get("deletionTimestamp"):
                self._api.furnish(namespace["metadata"]["name"])

    def _nodes(self) -> None:
        for node in self._state.all("Node"):
            spec = node["spec"]
            if _is_ready(node) and any(t["key"] == NOT_READY for t in spec.get("taints") or []):
                # The node lifecycle controller takes away what was put there at creation.
                spec["taints"] = [t for t in spec["taints"] if t["key"] != NOT_READY]
                if not spec["taints"]:
                    del spec["taints"]
                self._put("Node", node)
                continue
            about = node["metadata"].setdefault("annotations", {})
            if "node.alpha.kubernetes.io/ttl" not in about:
                # Some write to a node when its tests have long begun.
                about["node.alpha.kubernetes.io/ttl"] = "0"
                self._put("Node", node)
                continue
            taints = [t for t in spec.get("taints") or [] if t["key"] != UNSCHEDULABLE]
            had = len(taints) != len(spec.get("taints") or [])
            if spec.get("unschedulable") and not had:
                taint = {"key": UNSCHEDULABLE, "effect": "NoSchedule", "timeAdded": stamp()}
                spec["taints"] = [*taints, taint]
                self._put("Node", node)
            elif had and not spec.get("unschedulable"):
                spec["taints"] = taints
                if not taints:
                    del spec["taints"]
                self._put("Node", node)

    def _garbage(self) -> None:
        """Pods of nodes that are gone, and what belongs to owners that are gone."""
        nodes = {n["metadata"]["name"] for n in self._state.all("Node")}
        for pod in self._state.all("Pod"):
            if not pod["spec"].get("nodeName") or pod["spec"]["nodeName"] in nodes:
                continue
            if not pod["metadata"].get("finalizers"):
                self._remove("Pod", pod)
            elif pod["status"].get("phase") not in ("Succeeded", "Failed"):
                # A Job's is counted first.
                why = {"reason": "DeletionByPodGC", "message": "PodGC: node no longer exists"}
                pod["status"]["conditions"] = [
                    *(pod["status"].get("conditions") or []),
                    {**_condition("DisruptionTarget"), **why},
                ]
                pod["status"]["phase"] = "Failed"
                self._put("Pod", pod)
        uids = {o["metadata"]["uid"] for k in self._state.kinds for o in self._state.all(k.kind)}
        for kind in self._state.kinds:
            for obj in self._state.all(kind.kind):
                owners = obj["metadata"].get("ownerReferences") or []
                if owners and not any(o["uid"] in uids for o in owners):
                    # Pods are given the time that they ask for, whoever deletes them.
                    if kind.kind == "Pod":
                        self._end(obj)
                    else:
                        definitions.remove(self._state, kind, obj)
                elif FOREGROUND in (obj["metadata"].get("finalizers") or []):
                    if kind.schema is not None and self._is_new(kind.full_name):
                        continue
                    self._foreground(kind, obj)

    def _foreground(self, kind: Kind, owner: Object) -> None:
        """What belongs to it goes first; then it is let go."""
        about, left = owner["metadata"], False
        for other in self._state.kinds:
            for obj in self._state.all(other.kind):
                owners = obj["metadata"].get("ownerReferences") or []
                if not any(o["uid"] == about["uid"] for o in owners):
                    continue
                left = left or any(o.get("blockOwnerDeletion") for o in owners)
                if other.kind == "Pod":
                    self._end(obj)
                else:
                    definitions.remove(self._state, other, obj)
        if not left:
            about["finalizers"].remove(FOREGROUND)
            written = self._state.put(kind, owner)
            if not about["finalizers"]:
                self._state.remove(kind, written)

    def _namespaces(self) -> None:
        for namespace in self._state.all("Namespace"):
            if not namespace["metadata"].get("deletionTimestamp"):
                continue
            name = namespace["metadata"]["name"]
            if self._late(("namespace", name), "namespace"):
                continue
            for kind in self._state.kinds:
                for obj in self._state.all(kind.kind, name) if kind.namespaced else []:
                    definitions.remove(self._state, kind, obj)
            if not any(self._state.all(k.kind, name) for k in self._state.kinds if k.namespaced):
                self._remove("Namespace", namespace)

    # Workloads.

    def _kept(self, kind: str) -> list[Object]:
        """Those that are not being deleted: controllers do no more for the others."""
        return [o for o in self._state.all(kind) if not o["metadata"].get("deletionTimestamp")]

    def _owned(self, kind: str, owner: Object) -> list[Object]:
        return [
            o
            for o in self._state.all(kind, owner["metadata"].get("namespace"))
            if any(
                r["uid"] == owner["metadata"]["uid"]
                for r in o["metadata"].get("ownerReferences") or []
            )
        ]

    def _pods_of(self, owner: Object) -> list[Object]:
        pods = self._owned("Pod", owner)
        return [
            p
            for p in pods
            if not p["metadata"].get("deletionTimestamp")
            and p["status"].get("phase") not in ("Failed", "Succeeded")
        ]

    def _deployments(self) -> None:
        for deployment in self._kept("Deployment"):
            spec, template = deployment["spec"], deployment["spec"]["template"]
            wanted = int(spec["replicas"])
            name = f"{deployment['metadata']['name']}-{self._hash(template)}"
            sets = self._owned("ReplicaSet", deployment)
            current = next((s for s in sets if s["metadata"]["name"] == name), None)
            revisions = [
                int(s["metadata"]["annotations"]["deployment.kubernetes.io/revision"]) for s in sets
            ]
            if current is None:
                made = self._replica_set(deployment, name, max(revisions, default=0) + 1)
                current = self._make("ReplicaSet", made)
            about = deployment["metadata"].setdefault("annotations", {})
            revision = current["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
            if about.get("deployment.kubernetes.io/revision") != revision:
                about["deployment.kubernetes.io/revision"] = revision
                self._put("Deployment", deployment)
            ready = sum(map(_is_ready, self._pods_of(current)))
            for old in sets:
                keep = 0 if old is not current else wanted
                if old["metadata"]["name"] != name:
                    keep = max(wanted - ready, 0) if old["spec"]["replicas"] else 0
                    keep = min(keep, old["spec"]["replicas"])
                self._set_replicas(old, keep)
            self._set_replicas(current, wanted)

    def _set_replicas(self, replica_set: Object, wanted: int) -> None:
        if replica_set["spec"]["replicas"] != wanted:
            replica_set["spec"]["replicas"] = wanted
            self._put("ReplicaSet", replica_set)

    def _replica_set(self, deployment: Object, name: str, revision: int) -> Object:
        about, spec = deployment["metadata"], deployment["spec"]
        template = copied(spec["template"])
        hashed = {"pod-template-hash": name.rsplit("-", 1)[1]}
        labels = {**template["metadata"].get("labels", {}), **hashed}
        template["metadata"]["labels"] = labels
        selector = copied(spec["selector"])
        selector["matchLabels"] = {**selector.get("matchLabels", {}), **hashed}
        return {
            "metadata": {
                "name": name,
                "namespace": about["namespace"],
                "labels": labels,
                "annotations": {"deployment.kubernetes.io/revision": str(revision)},
                "ownerReferences": [_reference("apps/v1", "Deployment", about)],
            },
            "spec": {"replicas": spec["replicas"], "selector": selector, "template": template},
        }

    def _replica_sets(self) -> None:
        for owner in self._kept("ReplicaSet"):
            pods, wanted = self._pods_of(owner), int(owner["spec"]["replicas"])
            for _ in range(wanted - len(pods)):
                self._make_pod("ReplicaSet", owner)
            unready_first = sorted(pods, key=lambda p: (_is_ready(p), -int(p["metadata"]["resourceVersion"])))  # fmt: skip
            for pod in unready_first[: max(len(pods) - wanted, 0)]:
                self._end(pod)

    def _stateful_sets(self) -> None:
        for owner in self._kept("StatefulSet"):
            wanted = int(owner["spec"]["replicas"])
            title = owner["metadata"]["name"]
            there = {p["metadata"]["name"]: p for p in self._owned("Pod", owner)}
            for ordinal in range(wanted):
                if f"{title}-{ordinal}" not in there:
                    self._make_pod("StatefulSet", owner, f"{title}-{ordinal}")
                    break
                if not _is_ready(there[f"{title}-{ordinal}"]):
                    break
            for name, pod in there.items():
                if int(name.rsplit("-", 1)[1]) >= wanted:
                    self._end(pod)

    def _daemon_sets(self) -> None:
        for owner in self._kept("DaemonSet"):
            nodes = self._nodes_of(owner)
            on = {p["spec"].get("nodeName"): p for p in self._owned("Pod", owner)}
            for node in sorted(nodes - on.keys()):
                self._make_pod("DaemonSet", owner, node=node)
            for node in on.keys() - nodes:
                self._end(on[node])

    def _nodes_of(self, daemon_set: Object) -> set[str]:
        selector = daemon_set["spec"]["template"]["spec"].get("nodeSelector") or {}
        return {
            str(node["metadata"]["name"])
            for node in self._state.all("Node")
            if selector.items() <= (node["metadata"].get("labels") or {}).items()
        }

    def _jobs(self) -> None:
        jobs.step(
            self._state,
            lambda job: self._make("Pod", jobs.pod_of(job, self._api.suffix())),
            self._end,
        )

    def _make_pod(self, kind: str, owner: Object, name: str = "", node: str = "") -> None:
        if not self._api.may_have_pods(owner["metadata"]["namespace"]):
            return  # refused; tried again with the next change
        about, template = owner["metadata"], copied(owner["spec"]["template"])
        metadata: Object = {"namespace": about["namespace"], **template.get("metadata", {})}
        if name:
            metadata["name"] = name
            index = name.rsplit("-", 1)[1]
            metadata["labels"] = {**metadata.get("labels", {}), "statefulset.kubernetes.io/pod-name": name, "apps.kubernetes.io/pod-index": index}  # fmt: skip
        else:
            metadata["generateName"] = f"{about['name']}-"
            metadata["name"] = metadata["generateName"] + self._api.suffix()
        metadata["ownerReferences"] = [_reference("apps/v1", kind, about)]
        pod = self._make("Pod", {"metadata": metadata, "spec": template["spec"]})
        if node:
            tolerations = [{"key": UNSCHEDULABLE, "operator": "Exists", "effect": "NoSchedule"}]
            pod["spec"]["tolerations"] = pod["spec"].get("tolerations", []) + tolerations
            self._bind(pod, node)

    def _end(self, pod: Object) -> None:
        if not pod["metadata"].get("deletionTimestamp"):
            seconds = int(pod["spec"].get("terminationGracePeriodSeconds", 30))
            pod["metadata"]["deletionTimestamp"] = stamp(seconds)
            pod["metadata"]["deletionGracePeriodSeconds"] = seconds
            self._put("Pod", pod)

    # Scheduler and kubelets.

    def _schedule(self) -> None:
        nodes = self._state.all("Node") if self.attended else []
        for pod in sorted(
            self._state.all("Pod"), key=lambda p: int(p["metadata"]["resourceVersion"])
        ):
            if pod["spec"].get("nodeName") or pod["metadata"].get("deletionTimestamp"):
                continue
            fitting = [n for n in nodes if _fits(pod, n)]
            if not fitting:
                continue
            load: dict[str, int] = {}
            for other in self._state.all("Pod"):
                if other["metadata"].get("deletionTimestamp"):
                    continue
                where = other["spec"].get("nodeName", "")
                load[where] = load.get(where, 0) + 1
            names = sorted(
                (load.get(n["metadata"]["name"], 0), n["metadata"]["name"]) for n in fitting
            )
            self._bind(pod, names[0][1])

    def _bind(self, pod: Object, node: str) -> None:
        labels = (self._state.get("Node", node) or {"metadata": {}})["metadata"].get("labels") or {}
        if ZONE in labels:
            pod["metadata"].setdefault("labels", {})[ZONE] = labels[ZONE]
        pod["spec"]["nodeName"] = node
        pod["status"]["conditions"] = [_condition("PodScheduled")]
        # Being bound is no change of what was asked for.
        self._state.put(self._state.kind("Pod"), pod, same_generation=True)

    def _kubelets(self) -> None:
        for node in self._state.all("Node") if self.attended else []:
            if not _is_ready(node) and not self._late(node["metadata"]["uid"], "kubelet"):
                node["status"] = _node_status(node["status"])
                self._put("Node", node)
        for pod in self._state.all("Pod"):
            uid = pod["metadata"]["uid"]
            if pod["metadata"].get("deletionTimestamp"):
                ends = self.ends and not pod["metadata"].get("finalizers")
                if ends and not self._late((uid, "end"), "kubelet"):
                    self._remove("Pod", pod)
            elif (
                self.starts
                and pod["spec"].get("nodeName")
                and pod["status"]["phase"] == "Pending"
                and not self._late((uid, "start"), "kubelet")
            ):
                pod["status"] = self._running(pod)
                self._put("Pod", pod)
            elif self._is_simulated_job(pod) and not self._late((uid, "complete"), "kubelet"):
                pod["status"]["phase"] = "Succeeded"
                for container in pod["status"]["containerStatuses"]:
                    ended = {"exitCode": 0, "reason": "Completed", "finishedAt": stamp()}
                    container.update({"ready": False, "state": {"terminated": ended}})
                for condition in pod["status"]["conditions"]:
                    if condition["type"] in ("Ready", "ContainersReady"):
                        condition["status"] = "False"
                self._put("Pod", pod)

    def _is_simulated_job(self, pod: Object) -> bool:
        """kwok lets pods of Jobs succeed as soon as they run; so does a double that is late as it is."""
        owners = pod["metadata"].get("ownerReferences") or []
        running = self.starts and pod["status"].get("phase") == "Running"
        return self._lag is not None and running and any(o["kind"] == "Job" for o in owners)

    def _running(self, pod: Object) -> Object:
        self._address += 1
        address = f"10.244.{self._address // 250}.{self._address % 250 + 1}"
        containers = [
            {
                "name": c["name"],
                "state": {"running": {"startedAt": stamp()}},
                "lastState": {},
                "ready": True,
                "restartCount": 0,
                "image": c["image"],
                "imageID": "",
            }
            for c in pod["spec"]["containers"]
        ]
        return {
            "phase": "Running",
            "conditions": [
                _condition(t) for t in ("Initialized", "Ready", "ContainersReady", "PodScheduled")
            ],
            "hostIP": "127.0.0.1",
            "hostIPs": [{"ip": "127.0.0.1"}],
            "podIP": address,
            "podIPs": [{"ip": address}],
            "startTime": stamp(),
            "containerStatuses": containers,
            "qosClass": "BestEffort",
        }

    # Budgets, endpoints, statuses.

    def _budgets(self) -> None:
        for budget in self._state.all("PodDisruptionBudget"):
            spec, namespace = budget["spec"], budget["metadata"]["namespace"]
            matches = selecting.of_object(spec.get("selector"))
            pods = [
                p
                for p in self._state.all("Pod", namespace)
                if matches(p["metadata"].get("labels") or {})
            ]
            healthy = sum(_is_ready(p) and not p["metadata"].get("deletionTimestamp") for p in pods)
            expected = self._expected(pods) if _needs_scale(spec) else len(pods)
            if "maxUnavailable" in spec:
                desired = max(expected - _share(spec["maxUnavailable"], expected), 0)
            else:
                desired = _share(spec.get("minAvailable", 0), expected)
            allowed = max(healthy - desired, 0) if expected else 0
            old = budget["status"].get("conditions") or [{}]
            state = "True" if allowed else "False"
            since = old[0].get("lastTransitionTime") if old[0].get("status") == state else None
            budget["status"] = {
                "observedGeneration": budget["metadata"]["generation"],
                "disruptionsAllowed": allowed,
                "currentHealthy": healthy,
                "desiredHealthy": desired,
                "expectedPods": expected,
                "conditions": [
                    {
                        "type": "DisruptionAllowed",
                        "status": state,
                        "observedGeneration": budget["metadata"]["generation"],
                        "lastTransitionTime": since or stamp(),
                        "reason": "SufficientPods" if allowed else "InsufficientPods",
                        "message": "",
                    }
                ],
            }
            self._put("PodDisruptionBudget", budget)

    def _expected(self, pods: list[Object]) -> int:
        owners = {}
        for pod in pods:
            for reference in pod["metadata"].get("ownerReferences") or []:
                owner = self._state.get(
                    reference["kind"], reference["name"], pod["metadata"]["namespace"]
                )
                if owner:
                    owners[reference["uid"]] = int(owner["spec"].get("replicas", 1))
        return sum(owners.values())

    def _endpoints(self) -> None:
        for service in self._state.all("Service"):
            about, spec = service["metadata"], service["spec"]
            if not spec.get("selector"):
                continue
            matches = selecting.of_object({"matchLabels": spec["selector"]})
            pods = [
                p
                for p in self._state.all("Pod", about["namespace"])
                if matches(p["metadata"].get("labels") or {}) and p["status"].get("podIP")
            ]
            self._write_slice(service, pods)
            self._write_endpoints(service, pods)

    def _write_slice(self, service: Object, pods: list[Object]) -> None:
        about, ports = service["metadata"], _ports(service)
        endpoints = [
            {
                "addresses": [p["status"]["podIP"]],
                "conditions": {
                    "ready": _is_ready(p),
                    "serving": _is_ready(p),
                    "terminating": bool(p["metadata"].get("deletionTimestamp")),
                },
                "nodeName": p["spec"].get("nodeName", ""),
                "targetRef": _target(p),
            }
            for p in pods
        ]
        found = next(iter(self._owned("EndpointSlice", service)), None)
        if found is None:
            labels = {"kubernetes.io/service-name": about["name"], "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}  # fmt: skip
            self._make("EndpointSlice", {
                "metadata": {
                    "name": f"{about['name']}-{self._api.suffix()}",
                    "namespace": about["namespace"],
                    "labels": labels,
                    "ownerReferences": [_reference("v1", "Service", about)],
                },
                "addressType": "IPv4", "endpoints": endpoints, "ports": ports,
            })  # fmt: skip
            return
        self._put("EndpointSlice", {**found, "endpoints": endpoints, "ports": ports})

    def _write_endpoints(self, service: Object, pods: list[Object]) -> None:
        about = service["metadata"]
        sides: Object = {}
        for pod in pods:
            side = "addresses" if _is_ready(pod) else "notReadyAddresses"
            entry = {
                "ip": pod["status"]["podIP"],
                "nodeName": pod["spec"].get("nodeName", ""),
                "targetRef": _target(pod),
            }
            sides.setdefault(side, []).append(entry)
        subsets = [{**sides, "ports": _ports(service)}] if sides else []
        found = self._state.get("Endpoints", about["name"], about["namespace"])
        if found is None:
            metadata = {
                "name": about["name"],
                "namespace": about["namespace"],
                "ownerReferences": [_reference("v1", "Service", about)],
            }
            self._make(
                "Endpoints", {"metadata": metadata, **({"subsets": subsets} if subsets else {})}
            )
            return
        found.pop("subsets", None)
        self._put("Endpoints", {**found, **({"subsets": subsets} if subsets else {})})

    def _statuses(self) -> None:
        for kind in ("ReplicaSet", "StatefulSet"):
            for owner in self._state.all(kind):
                owner["status"] = _counted(owner, self._pods_of(owner))
                self._put(kind, owner)
        for deployment in self._state.all("Deployment"):
            sets = self._owned("ReplicaSet", deployment)
            pods = [p for s in sets for p in self._pods_of(s)]
            hashed = self._hash(deployment["spec"]["template"])
            updated = [
                p for p in pods if p["metadata"]["labels"].get("pod-template-hash") == hashed
            ]
            deployment["status"] = _deployment_status(deployment, pods, updated)
            self._put("Deployment", deployment)
        for owner in self._state.all("DaemonSet"):
            pods = self._owned("Pod", owner)
            wanted = len(self._nodes_of(owner))
            ready = sum(map(_is_ready, pods))
            owner["status"] = {
                "currentNumberScheduled": len(pods),
                "numberMisscheduled": 0,
                "desiredNumberScheduled": wanted,
                "numberReady": ready,
                "numberAvailable": ready,
                "observedGeneration": owner["metadata"]["generation"],
            }
            self._put("DaemonSet", owner)


def _deployment_status(deployment: Object, pods: list[Object], updated: list[Object]) -> Object:
    wanted, ready = int(deployment["spec"]["replicas"]), sum(map(_is_ready, pods))
    old = {c["type"]: c for c in deployment["status"].get("conditions") or []}
    available = ready >= wanted - math.floor(wanted * 0.25)
    name = pods[0]["metadata"]["ownerReferences"][0]["name"] if pods else ""
    progress = (
        old.get("Progressing", {}).get("message")
        or f'ReplicaSet "{name}" has successfully progressed.'
    )
    conditions = [
        _dated(old.get("Progressing"), "Progressing", "True", "NewReplicaSetAvailable", progress),
        _dated(old.get("Available"), "Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
        if available
        else _dated(old.get("Available"), "Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."),
    ]  # fmt: skip
    counts = {
        "replicas": len(pods),
        "updatedReplicas": len(updated),
        "readyReplicas": ready,
        "availableReplicas": ready,
        "unavailableReplicas": max(wanted - ready, 0),
    }
    return {
        "observedGeneration": deployment["metadata"]["generation"],
        **{k: v for k, v in counts.items() if v},
        "terminatingReplicas": 0,
        "conditions": conditions,
    }


def _dated(old: Object | None, kind: str, status: str, reason: str, message: str) -> Object:
    if old and old["status"] == status:
        return old
    now = stamp()
    return {"type": kind, "status": status, "lastUpdateTime": now, "lastTransitionTime": now, "reason": reason, "message": message}  # fmt: skip


def _counted(owner: Object, pods: list[Object]) -> Object:
    ready = sum(map(_is_ready, pods))
    counts = {"readyReplicas": ready, "availableReplicas": ready, "fullyLabeledReplicas": len(pods)}
    return {
        "replicas": len(pods),
        **{k: v for k, v in counts.items() if v},
        "observedGeneration": owner["metadata"]["generation"],
    }


def _is_ready(obj: Object) -> bool:
    """Of a pod or a node."""
    return any(
        c["type"] == "Ready" and c["status"] == "True"
        for c in (obj.get("status") or {}).get("conditions") or []
    )


def _node_status(status: Object) -> Object:
    """What a kubelet says of its node when it comes up."""
    capacity = {"cpu": "32", "memory": "256Gi", "pods": "110"}
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status"}  # fmt: skip
    rest = [c for c in status.get("conditions") or [] if c["type"] != "Ready"]
    now = {"lastHeartbeatTime": stamp(), "lastTransitionTime": stamp()}
    return {
        "capacity": capacity,
        "allocatable": capacity,
        **status,
        "conditions": [{**ready, **now}, *rest],
    }


def _condition(kind: str) -> Object:
    return {"type": kind, "status": "True", "lastProbeTime": None, "lastTransitionTime": stamp()}


def _reference(version: str, kind: str, about: Object) -> Object:
    return {
        "apiVersion": version,
        "kind": kind,
        "name": about["name"],
        "uid": about["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _tolerates(pod: Object, taint: Object) -> bool:
    return any(
        t.get("key") == taint["key"] and t.get("effect", taint["effect"]) == taint["effect"]
        for t in pod["spec"].get("tolerations") or []
    )


def _fits(pod: Object, node: Object) -> bool:
    if node["spec"].get("unschedulable"):
        return False
    selector = pod["spec"].get("nodeSelector") or {}
    labels = node["metadata"].get("labels") or {}
    if any(labels.get(k) != v for k, v in selector.items()):
        return False
    taints = [
        t for t in node["spec"].get("taints") or [] if t["effect"] in ("NoSchedule", "NoExecute")
    ]
    return all(_tolerates(pod, taint) for taint in taints)


def _needs_scale(spec: Object) -> bool:
    return "maxUnavailable" in spec or isinstance(spec.get("minAvailable"), str)


def _share(value: Any, of: int) -> int:
    if isinstance(value, str):
        return math.ceil(float(value.rstrip("%")) / 100 * of)
    return int(value)


def _ports(service: Object) -> list[Object]:
    return [
        {"name": p.get("name", ""), "port": p.get("targetPort", p["port"]), "protocol": p.get("protocol", "TCP")}
        for p in service["spec"].get("ports") or []
    ]  # fmt: skip


def _target(pod: Object) -> Object:
    about = pod["metadata"]
    return {
        "kind": "Pod",
        "name": about["name"],
        "namespace": about["namespace"],
        "uid": about["uid"],
    }
