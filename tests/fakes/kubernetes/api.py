"""Requests to answers: the verbs and subresources of the API, over the state."""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.fakes.kubernetes import applying, reviews, rights, security, selecting
from tests.fakes.kubernetes.answers import (
    Nowhere,
    Refused,
    bad_request,
    modified,
    not_found,
    success,
)
from tests.fakes.kubernetes.defaults import fill, known_fields, refill, validate
from tests.fakes.kubernetes.kinds import Kind
from tests.fakes.kubernetes.patching import json_patch, merge_patch, strategic_patch
from tests.fakes.kubernetes.state import Object, State, stamp

APPLY = "application/apply-patch+yaml"
FOREGROUND = "foregroundDeletion"
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
VERSION = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.2",
    "gitCommit": "98b35193b2ac7a23a673325f5e9b830ecd5ba406",
    "gitTreeState": "clean",
    "buildDate": "2026-08-21T00:00:00Z",
    "goVersion": "go1.26.6",
    "compiler": "gc",
    "platform": "linux/amd64",
}


@dataclass
class Request:
    """One request. ``user`` is who asks, by the token; ``groups``: None where they go by the name."""

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    body: Any = None
    content_type: str = "application/json"
    user: str = rights.ADMIN
    groups: frozenset[str] | None = None


@dataclass
class Target:
    """What a path names."""

    kind: Kind
    version: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""


class Api:
    """Answers requests. ``suffix`` makes the random ends of names. ``late``: what every namespace gets
    comes by a controller some time after it, as on real servers, and not with it. ``minor``: of 1.x."""

    def __init__(
        self,
        state: State,
        suffix: Callable[[], str] | None = None,
        *,
        late: bool = False,
        minor: int = 36,
    ) -> None:
        self.state, self.late, self.minor = state, late, minor
        self._random = random.Random()
        self.suffix = suffix or (lambda: "".join(self._random.choices(_LETTERS, k=5)))

    def handle(self, request: Request) -> tuple[int, Any]:
        """Status and JSON; raises Refused or Nowhere. Watches and exec are the server's own."""
        with self.state.lock:
            found = self._discovery(request)
            if found is not None:
                return 200, found
            told = self._review(request) if request.method == "POST" else None
            if told is not None:
                return 201, told
            target = self._allowed_target(request)
            self.demand(request, target)
            return self._answer(request, target)

    def _review(self, request: Request) -> Object | None:
        return reviews.review(self.state, request.path, request.user, request.groups, request.body)

    def _allowed_target(self, request: Request) -> Target:
        """What a path names; raises Nowhere, but only to those who may know."""
        try:
            return self.target(request.path)
        except Nowhere:
            asked = rights.Asked(request.method.lower(), path=request.path)
            among = request.path.startswith(("/api/", "/apis/"))
            if among or rights.allowed(self.state, request.user, asked, request.groups)[0]:
                raise
            text = f'forbidden: User "{request.user}" cannot {asked.verb} path "{request.path}"'
            raise Refused(403, "Forbidden", text, {}) from None

    def permit(self, request: Request) -> None:
        """Raises Refused where whoever asks may not; for what the server answers itself."""
        with self.state.lock:
            self.demand(request, self.target(request.path))

    def target(self, path: str) -> Target:
        """What a path names; raises Nowhere."""
        parts = path.strip("/").split("/")
        if parts[0] == "api":
            group, version, rest = "", parts[1], parts[2:]
        elif parts[0] == "apis" and len(parts) > 3:
            group, version, rest = parts[1], parts[2], parts[3:]
        else:
            raise Nowhere
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
            namespace, rest = rest[1], rest[2:]
        for kind in self.state.kinds:
            if (kind.group, kind.plural) == (group, rest[0]) and version in kind.versions:
                name, sub = [*rest, "", ""][1:3]
                return Target(kind, version, namespace, name, sub)
        raise Nowhere

    def demand(self, request: Request, target: Target) -> None:
        """Raises Refused where this user may not."""
        verbs = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
        verb, name = verbs.get(request.method), target.name
        if verb is None:
            verb = "get" if name else "watch" if "watch" in request.query else "list"
        if not name:
            # Whoever looks for one by its name may do so where only that name is theirs.
            found = re.fullmatch(
                r"metadata\.name==?([^,]+)", request.query.get("fieldSelector", "")
            )
            name = found[1] if found else ""
        self._demand(request, target, verb, name)

    def _demand(self, request: Request, target: Target, verb: str, name: str) -> None:
        kind = target.kind
        # A namespace is in itself, so that a Role in it may name it.
        namespace = name if kind.kind == "Namespace" else target.namespace
        asked = rights.Asked(verb, kind.group, kind.plural, target.subresource, namespace, name)
        rights.demand(self.state, request.user, asked, kind, request.groups)

    def _answer(self, request: Request, target: Target) -> tuple[int, Any]:
        method, sub = request.method, target.subresource
        if sub == "eviction":
            return 201, self._evict(request, target)
        if sub == "binding":
            return 201, self._bind(request, target)
        if sub == "scale":
            return 200, self._scale(request, target)
        if method == "GET":
            return 200, self._one(target) if target.name else self._list(request, target)
        if method == "POST":
            return 201, self._create(request, target)
        if method == "PUT":
            return 200, self._shown(target, self._replace(request, target))
        if method == "PATCH" and request.content_type.startswith(APPLY):
            return self._apply(request, target)
        if method == "PATCH":
            return 200, self._shown(target, self._patch(request, target))
        if method == "DELETE":
            return 200, self._delete(request, target)
        raise Refused(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
            {},
        )

    # What every namespace has.

    def furnish(self, namespace: str) -> None:
        """The service account ``default`` and the authority's certificate."""
        if self.state.get("ServiceAccount", "default", namespace) is None:
            about = {"name": "default", "namespace": namespace}
            self.state.add(self.state.kind("ServiceAccount"), {"metadata": about})
        if self.state.get("ConfigMap", "kube-root-ca.crt", namespace) is None:
            about = {"name": "kube-root-ca.crt", "namespace": namespace}
            made = {"metadata": about, "data": {"ca.crt": "a certificate"}}
            self.state.add(self.state.kind("ConfigMap"), made)

    def may_have_pods(self, namespace: str) -> bool:
        """Whether pods are admitted: not before their service account is there."""
        return self.state.get("ServiceAccount", "default", namespace) is not None

    # Reading.

    def _stored(self, target: Target) -> Object:
        found = self.state.get(target.kind.kind, target.name, target.namespace)
        if found is None:
            raise not_found(target.kind, target.name)
        return found

    def _shown(self, target: Target, obj: Object) -> Object:
        body = {k: v for k, v in obj.items() if k not in ("apiVersion", "kind")}
        if self.minor < 34:
            body = _with_null_times(body)
        return {
            "kind": target.kind.kind,
            "apiVersion": target.kind.api_version(target.version),
            **body,
        }

    def _one(self, target: Target) -> Object:
        return self._shown(target, self._stored(target))

    def _list(self, request: Request, target: Target) -> Object:
        query = request.query
        matches = selecting.labels(query.get("labelSelector", ""))
        fits = selecting.fields(target.kind, query.get("fieldSelector", ""))
        namespace = target.namespace or None
        items = [
            item
            for item in self.state.all(target.kind.kind, namespace)
            if matches(item["metadata"].get("labels") or {}) and fits(item)
        ]
        about: Object = {"resourceVersion": str(self.state.version)}
        start = self._start(query.get("continue", ""))
        items = [i for i in items if _place(i) > start]
        limit = int(query.get("limit") or 0)
        if limit and len(items) > limit:
            left, items = len(items) - limit, items[:limit]
            about["continue"] = self._token(_place(items[-1]))
            if not query.get("labelSelector") and not query.get("fieldSelector"):
                about["remainingItemCount"] = left
        custom = target.kind.custom
        shown = [self._shown(target, i) for i in items]
        shown = shown if custom else [_bare(i) for i in shown]
        version = target.kind.api_version(target.version)
        return {
            "kind": f"{target.kind.kind}List",
            "apiVersion": version,
            "metadata": about,
            "items": shown,
        }

    def _token(self, place: tuple[str, str]) -> str:
        content = {"v": "meta.k8s.io/v1", "rv": self.state.version, "start": "/".join(place) + "\0"}
        return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")

    def _start(self, token: str) -> tuple[str, str]:
        if not token:
            return ("", "")
        content = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        if content["rv"] < self.state.oldest:
            raise Refused(
                410,
                "Expired",
                "The provided continue parameter is too old to display a consistent list result.",
            )
        namespace, _, name = content["start"].rstrip("\0").rpartition("/")
        return namespace, name

    # Writing.

    def _create(self, request: Request, target: Target) -> Object:
        kind, body = target.kind, request.body
        if not isinstance(body, dict):
            raise bad_request("the object provided is unrecognized (must be of type object)")
        about = body.setdefault("metadata", {})
        if kind.namespaced:
            if about.get("namespace", target.namespace) != target.namespace:
                raise bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request"
                )
            about["namespace"] = target.namespace
            self._namespace(target, str(about.get("name") or about.get("generateName") or ""))
        suffix = self.suffix() if kind.kind == "Pod" or not about.get("name") else ""
        if not about.get("name"):
            if not about.get("generateName"):
                raise Refused(
                    422,
                    "Invalid",
                    f'{kind.kind} "" is invalid: metadata.name: Required value: name or generateName is required',
                )
            about["name"] = about["generateName"] + suffix
        if self.state.get(kind.kind, about["name"], target.namespace):
            details = {"name": about["name"], "kind": kind.plural}
            if kind.group:
                details = {"name": about["name"], "group": kind.group, "kind": kind.plural}
            raise Refused(
                409, "AlreadyExists", f'{kind.full_name} "{about["name"]}" already exists', details
            )
        strict = request.query.get("fieldValidation") == "Strict"
        if strict:
            known_fields(kind, target.version, body, self.minor)
        made = fill(kind, body, self.suffix() if kind.kind == "Pod" else "")
        made = validate(kind, made, strict)
        self._no_escalation(request, kind, made)
        if kind.kind == "Pod" and not self.may_have_pods(target.namespace):
            name = f"{target.namespace}/default"
            text = f'pods "{about["name"]}" is forbidden: error looking up service account {name}: serviceaccount "default" not found'
            raise Refused(403, "Forbidden", text, {"name": about["name"], "kind": "pods"})
        if kind.kind == "Pod":
            security.admit(self.state, target.namespace, made)
        if "dryRun" in request.query:
            return self._shown(target, made)
        kept = self.state.add(kind, made)
        if kind.kind == "Namespace" and not self.late:
            self.furnish(kept["metadata"]["name"])
        return self._shown(target, kept)

    def _namespace(self, target: Target, name: str) -> None:
        found = self.state.get("Namespace", target.namespace)
        if found is None:
            raise not_found(self.state.kind("Namespace"), target.namespace)
        if found["metadata"].get("deletionTimestamp"):
            text = (
                f'{target.kind.full_name} "{name}" is forbidden: unable to create new content in namespace '
                f"{target.namespace} because it is being terminated"
            )
            raise Refused(403, "Forbidden", text, {"name": name, "kind": target.kind.plural})

    def _replace(self, request: Request, target: Target) -> Object:
        old, new = self._stored(target), dict(request.body)
        if new["metadata"].get("uid") not in (None, old["metadata"]["uid"]):
            raise modified(target.kind, target.name)
        return self._written(request, target, old, new)

    def _patch(self, request: Request, target: Target) -> Object:
        old, kind = self._stored(target), request.content_type.split(";")[0]
        shown = self._shown(target, old)
        if kind == "application/json-patch+json":
            new = json_patch(shown, request.body)
        elif kind == "application/merge-patch+json":
            new = merge_patch(shown, request.body)
        elif kind == "application/strategic-merge-patch+json" and not target.kind.custom:
            new = strategic_patch(shown, request.body)
        else:
            kinds = ["application/json-patch+json", "application/merge-patch+json"]
            if not target.kind.custom:
                kinds.append("application/strategic-merge-patch+json")
            kinds.append(APPLY)
            text = (
                "the body of the request was in an unknown format - accepted media types include: "
            )
            raise Refused(415, "UnsupportedMediaType", text + ", ".join(kinds))
        if new["metadata"].get("name") != target.name:
            raise bad_request("the name of the object does not match the name on the URL")
        return self._written(request, target, old, new)

    def _apply(self, request: Request, target: Target) -> tuple[int, Object]:
        body, kind = request.body, target.kind
        if (body.get("metadata") or {}).get("name") != target.name:
            raise bad_request("the name of the object does not match the name on the URL")
        if request.query.get("fieldValidation") == "Strict":
            known_fields(kind, target.version, body, self.minor)
        live = self.state.get(kind.kind, target.name, target.namespace)
        new = applying.combined(kind, live, body, request.query)
        if live is not None:
            return 200, self._shown(target, self._written(request, target, live, new))
        self._demand(request, target, "create", "")
        managed = new["metadata"]["managedFields"]
        made = self._create(replace(request, body=new), replace(target, name=""))
        made["metadata"]["managedFields"] = managed
        if "dryRun" not in request.query:
            kept = self.state.get(kind.kind, target.name, target.namespace)
            assert kept is not None
            kept["metadata"]["managedFields"] = managed
            made = self._shown(target, self.state.put(kind, kept, same_generation=True))
        return 201, made

    def _no_escalation(self, request: Request, kind: Kind, made: Object) -> None:
        if kind.group == rights.GROUP:
            rights.no_escalation(self.state, request.user, kind, made, request.groups)

    def _written(self, request: Request, target: Target, old: Object, new: Object) -> Object:
        wanted = new["metadata"].get("resourceVersion")
        if wanted and wanted != old["metadata"]["resourceVersion"]:
            raise modified(target.kind, target.name)
        if new["metadata"].get("uid") not in (None, old["metadata"]["uid"]):
            # A PUT has its uid as a precondition, which is a conflict; a patch has not.
            raise _other_uid(target, new["metadata"]["uid"])
        result = refill(_combined(target, old, new))
        result = validate(target.kind, result, request.query.get("fieldValidation") == "Strict")
        self._no_escalation(request, target.kind, result)
        if target.kind.kind == "Pod" and not target.subresource:
            _only_what_pods_allow(target, old, result)
        if "dryRun" in request.query:
            return result
        written = self.state.put(target.kind, result)
        about = written["metadata"]
        if (
            about.get("deletionTimestamp")
            and not about.get("finalizers")
            and target.kind.kind not in ("Pod", "Namespace")
        ):
            self.state.remove(target.kind, written)
        return written

    def _bind(self, request: Request, target: Target) -> Object:
        pod = self._stored(target)
        if pod["spec"].get("nodeName"):
            raise Refused(409, "Conflict", f"pod {target.name} is already assigned to a node")
        pod["spec"]["nodeName"] = request.body["target"]["name"]
        self.state.put(target.kind, pod, same_generation=True)
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "code": 201,
        }

    def _scale(self, request: Request, target: Target) -> Object:
        if not target.kind.scale:
            raise Nowhere
        old = self._stored(target)
        if request.method in ("PATCH", "PUT"):
            change = request.body
            if request.method == "PATCH" and request.content_type.startswith(
                "application/json-patch"
            ):
                change = json_patch(self._scale_of(old), change)
            wanted = (change.get("metadata") or {}).get("resourceVersion")
            if wanted and wanted != old["metadata"]["resourceVersion"]:
                raise modified(target.kind, target.name)
            new = json.loads(json.dumps(old))
            new["spec"]["replicas"] = change["spec"]["replicas"]
            old = self.state.put(target.kind, validate(target.kind, new, strict=False))
        return self._scale_of(old)

    def _scale_of(self, obj: Object) -> Object:
        keep = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
        wanted = obj["spec"]["selector"].get("matchLabels") or {}
        return {
            "kind": "Scale",
            "apiVersion": "autoscaling/v1",
            "metadata": {k: obj["metadata"][k] for k in keep},
            "spec": {"replicas": obj["spec"]["replicas"]} if obj["spec"]["replicas"] else {},
            "status": {
                "replicas": int(obj.get("status", {}).get("replicas") or 0),
                "selector": ",".join(f"{k}={v}" for k, v in sorted(wanted.items())),
            },
        }

    # Deleting.

    def _delete(self, request: Request, target: Target) -> Object:
        if not target.name:
            raise Refused(
                405,
                "MethodNotAllowed",
                "the server does not allow this method on the requested resource",
                {},
            )
        found, options = self._stored(target), request.body or {}
        dry = "dryRun" in request.query or bool(options.get("dryRun"))
        self._preconditions(target, found, options.get("preconditions") or {})
        grace = options.get("gracePeriodSeconds", request.query.get("gracePeriodSeconds"))
        return self._deleted(target, found, None if grace is None else int(grace), options, dry)

    def _preconditions(self, target: Target, found: Object, wanted: Object) -> None:
        about = found["metadata"]
        problem = ""
        if wanted.get("uid") and wanted["uid"] != about["uid"]:
            problem = (
                f"the UID in the precondition ({wanted['uid']}) does not match the UID in record "
                f"({about['uid']}). The object might have been deleted and then recreated"
            )
        elif (
            wanted.get("resourceVersion") and wanted["resourceVersion"] != about["resourceVersion"]
        ):
            problem = (
                f"the ResourceVersion in the precondition ({wanted['resourceVersion']}) does not match the "
                f"ResourceVersion in record ({about['resourceVersion']}). The object might have been modified"
            )
        if problem:
            text = f'Operation cannot be fulfilled on {target.kind.kind} "{target.name}": {problem}'
            details = {"name": target.name, "kind": target.kind.kind}
            if target.kind.group:
                text = text.replace(target.kind.kind, f"{target.kind.kind}.{target.kind.group}", 1)
                details = {
                    "name": target.name,
                    "group": target.kind.group,
                    "kind": target.kind.kind,
                }
            raise Refused(409, "Conflict", text, details)

    def _deleted(
        self, target: Target, found: Object, grace: int | None, options: Object, dry: bool
    ) -> Object:
        kind, about = target.kind, found["metadata"]
        if kind.kind == "Pod":
            return self._deleted_pod(target, found, grace, dry)
        done = success(kind, target.name, about["uid"])
        if dry:
            return self._shown(target, found) if kind.gives_object else done
        # Jobs of batch/v1 leave their pods, where nothing is said.
        policy = options.get("propagationPolicy", "Orphan" if kind.kind == "Job" else "Background")
        if policy == "Foreground" and kind.kind != "Namespace":
            about["finalizers"] = sorted({*about.get("finalizers", []), FOREGROUND})
        if kind.kind == "Namespace" or about.get("finalizers"):
            about.setdefault("deletionTimestamp", stamp())
            if kind.kind == "Namespace":
                found["status"]["phase"] = "Terminating"
            return self._shown(target, self.state.put(kind, found))
        gone = self.state.remove(kind, found)
        if policy == "Orphan":
            self._orphan(about["uid"])
        return self._shown(target, gone) if kind.gives_object else done

    def _orphan(self, uid: str) -> None:
        for kind in self.state.kinds:
            for obj in self.state.all(kind.kind):
                owners = obj["metadata"].get("ownerReferences") or []
                left = [o for o in owners if o["uid"] != uid]
                if len(left) != len(owners):
                    obj["metadata"]["ownerReferences"] = left
                    self.state.put(kind, obj)

    def _deleted_pod(self, target: Target, found: Object, grace: int | None, dry: bool) -> Object:
        about = found["metadata"]
        seconds = (
            int(found["spec"].get("terminationGracePeriodSeconds", 30)) if grace is None else grace
        )
        if not found["spec"].get("nodeName"):
            seconds = 0
        if not about.get("deletionTimestamp"):
            about["generation"] = int(about.get("generation", 1)) + 1
        elif seconds >= int(about.get("deletionGracePeriodSeconds", 0)) and seconds:
            return self._shown(target, found)
        about["deletionTimestamp"] = stamp(seconds)
        about["deletionGracePeriodSeconds"] = seconds
        if dry:
            return self._shown(target, found)
        written = self.state.put(target.kind, found)
        if seconds == 0 and not about.get("finalizers"):
            self.state.remove(target.kind, written)
        return self._shown(target, written)

    def _evict(self, request: Request, target: Target) -> Object:
        pod, options = self._stored(target), request.body.get("deleteOptions") or {}
        self._preconditions(target, pod, options.get("preconditions") or {})
        dry = "dryRun" in request.query or bool(options.get("dryRun"))
        # Pods that wait, have ended or are ending disturb nobody: no budget is asked.
        running = pod["status"].get("phase") not in ("Pending", "Succeeded", "Failed")
        if running and not pod["metadata"].get("deletionTimestamp"):
            self._ask_budgets(pod, dry)
        self._deleted_pod(target, pod, options.get("gracePeriodSeconds"), dry)
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "code": 201,
        }

    def _ask_budgets(self, pod: Object, dry: bool) -> None:
        labels = pod["metadata"].get("labels") or {}
        budgets = [
            b
            for b in self.state.all("PodDisruptionBudget", pod["metadata"]["namespace"])
            if selecting.of_object(b["spec"].get("selector"))(labels)
        ]
        if len(budgets) > 1:
            text = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
            raise Refused(500, "", text)  # a Status without a reason
        if not budgets:
            return
        budget, status = budgets[0], budgets[0]["status"]
        if not _is_ready(pod) and status["currentHealthy"] >= status["desiredHealthy"] > 0:
            return  # it is not among those that the budget counts, and they are enough
        if status.get("observedGeneration", 0) < budget["metadata"]["generation"]:
            raise self._too_many(
                f"The disruption budget {budget['metadata']['name']} is still being processed by the server.",
                retry=10,
            )
        if status["disruptionsAllowed"] <= 0:
            needs, has = status["desiredHealthy"], status["currentHealthy"]
            raise self._too_many(
                f"The disruption budget {budget['metadata']['name']} needs {needs} healthy pods and has {has} currently"
            )
        if dry:
            return
        status["disruptionsAllowed"] -= 1
        status.setdefault("disruptedPods", {})[pod["metadata"]["name"]] = stamp()
        self.state.put(self.state.kind("PodDisruptionBudget"), budget)

    def _too_many(self, message: str, retry: int = 0) -> Refused:
        details: Object = {"causes": [{"reason": "DisruptionBudget", "message": message}]}
        if retry:
            details["retryAfterSeconds"] = retry
        text = "Cannot evict pod as it would violate the pod's disruption budget."
        headers = {"Retry-After": str(retry)} if retry else {}
        return Refused(429, "TooManyRequests", text, details, headers=headers)

    # What is asked about the API itself.

    def _discovery(self, request: Request) -> Object | None:
        parts = request.path.strip("/").split("/")
        if request.path == "/version":
            minor = str(self.minor)
            return {**VERSION, "minor": minor, "gitVersion": f"v1.{minor}.2"}
        if request.path == "/apis":
            groups = sorted({k.group for k in self.state.kinds if k.group})
            return {
                "kind": "APIGroupList",
                "apiVersion": "v1",
                "groups": [self._group(g) for g in groups],
            }
        if request.path == "/api":
            return {"kind": "APIVersions", "versions": ["v1"]}
        if len(parts) == 2 and parts[0] == "apis":
            return {"kind": "APIGroup", "apiVersion": "v1", **self._group(parts[1])}
        if len(parts) == 2 and parts[0] == "api":
            return self._resources("", parts[1])
        if len(parts) == 3 and parts[0] == "apis":
            return self._resources(parts[1], parts[2])
        return None

    def _group(self, group: str) -> Object:
        versions: list[str] = []
        for kind in self.state.kinds:
            if kind.group == group:
                versions += [v for v in kind.versions if v not in versions]
        if not versions:
            raise Nowhere
        shown = [{"groupVersion": f"{group}/{v}", "version": v} for v in versions]
        return {"name": group, "versions": shown, "preferredVersion": shown[0]}

    def _resources(self, group: str, version: str) -> Object:
        found = [k for k in self.state.kinds if k.group == group and version in k.versions]
        if not found:
            raise Nowhere
        verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
        shown = []
        for kind in found:
            entry = {
                "name": kind.plural,
                "singularName": kind.kind.lower(),
                "namespaced": kind.namespaced,
                "kind": kind.kind,
            }
            shown.append({**entry, "verbs": verbs})
            if kind.scale:
                shown.append(
                    {
                        **entry,
                        "name": f"{kind.plural}/scale",
                        "kind": "Scale",
                        "verbs": ["get", "patch", "update"],
                    }
                )
        name = f"{group}/{version}" if group else version
        return {
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": name,
            "resources": shown,
        }


def _bare(obj: Object) -> Object:
    return {k: v for k, v in obj.items() if k not in ("apiVersion", "kind")}


def _with_null_times(body: Object) -> Object:
    """Servers before 1.34 show templates with a creationTimestamp that is null."""
    template = (body.get("spec") or {}).get("template")
    if not isinstance(template, dict):
        return body
    about = {"creationTimestamp": None, **(template.get("metadata") or {})}
    return {**body, "spec": {**body["spec"], "template": {**template, "metadata": about}}}


def _other_uid(target: Target, uid: str) -> Refused:
    """An object that was made anew is no conflict to a patch: the uid is just not to be changed."""
    said = f'Invalid value: "{uid}": field is immutable'
    title = f"{target.kind.kind}.{target.kind.group}" if target.kind.group else target.kind.kind
    cause = {"reason": "FieldValueInvalid", "message": said, "field": "metadata.uid"}
    details = {"name": target.name, "kind": target.kind.kind, "causes": [cause]}
    if target.kind.group:
        details["group"] = target.kind.group
    return Refused(
        422, "Invalid", f'{title} "{target.name}" is invalid: metadata.uid: {said}', details
    )


def _place(obj: Object) -> tuple[str, str]:
    return str(obj["metadata"].get("namespace") or ""), str(obj["metadata"]["name"])


def _is_ready(pod: Object) -> bool:
    return any(
        c["type"] == "Ready" and c["status"] == "True"
        for c in pod["status"].get("conditions") or []
    )


def _combined(target: Target, old: Object, new: Object) -> Object:
    """What a write may change: the status by its subresource only, everything else without it."""
    if target.subresource == "status":
        return {**old, "status": new.get("status", {})}
    result = {k: v for k, v in new.items() if k not in ("apiVersion", "kind")}
    kept = ("uid", "creationTimestamp", "generation", "resourceVersion", "namespace", "name")
    kept += ("deletionTimestamp", "deletionGracePeriodSeconds", "generateName")
    for key in kept:
        if key in old["metadata"]:
            result["metadata"][key] = old["metadata"][key]
        else:
            result["metadata"].pop(key, None)
    for key in ("labels", "annotations"):
        if result["metadata"].get(key) == {}:
            del result["metadata"][key]
    if target.kind.status:
        result.pop("status", None)
        if "status" in old:
            result["status"] = old["status"]
    return result


def _only_what_pods_allow(target: Target, old: Object, new: Object) -> None:
    before, after = dict(old["spec"]), dict(new["spec"])
    for spec in (before, after):
        spec.pop("tolerations", None)
        spec.pop("activeDeadlineSeconds", None)
        spec["containers"] = [{**c, "image": ""} for c in spec["containers"]]
    if before != after:
        text = "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.tolerations`"
        causes = [{"reason": "FieldValueForbidden", "message": text, "field": "spec"}]
        details = {"name": target.name, "kind": "Pod", "causes": causes}
        raise Refused(422, "Invalid", f'Pod "{target.name}" is invalid: spec: {text}', details)
