"""What the API server adds to an object that is created."""

from __future__ import annotations

import base64
from typing import Any

from tests.fakes.kubernetes import definitions, istio, jobs
from tests.fakes.kubernetes.answers import Refused
from tests.fakes.kubernetes.copying import copied
from tests.fakes.kubernetes.kinds import Kind

Object = dict[str, Any]

NOT_READY = "node.kubernetes.io/not-ready"
_TOLERATED = [
    {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    for key in ("not-ready", "unreachable")
]  # fmt: skip


def fill(kind: Kind, body: Object, suffix: str) -> Object:
    """The object as kept, with its defaults and its first status. ``suffix``: of generated names."""
    obj = copied(body)
    about = obj.setdefault("metadata", {})
    for key in (
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "managedFields",
        "selfLink",
    ):
        about.pop(key, None)
    filler = {
        "Deployment": _deployment,
        "ReplicaSet": _workload,
        "StatefulSet": _stateful_set,
        "Job": _job,
        "DaemonSet": _daemon_set,
        "PodDisruptionBudget": _budget,
        "Node": _node,
        "Namespace": _namespace,
        "Service": _service,
        "NetworkPolicy": _network_policy,
    }.get(kind.kind)
    if kind.kind == "Pod":
        _pod(obj, suffix)
    elif filler:
        filler(obj)
    elif kind.status and not kind.custom:
        obj["status"] = {}
    return obj


def refill(obj: Object) -> Object:
    """What the server adds to an object that is changed: the defaults of what has come into its template."""
    template = (obj.get("spec") or {}).get("template")
    if isinstance(template, dict) and isinstance(template.get("spec"), dict):
        pod_template(template["spec"])
    return obj


def pod_template(spec: Object) -> None:
    """The defaults of a pod's spec, in a template too."""
    for container in spec.get("containers", []):
        container.setdefault("resources", {})
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")
        latest = ":" not in container.get("image", "").rsplit("/", 1)[-1]
        container.setdefault("imagePullPolicy", "Always" if latest else "IfNotPresent")
        for port in container.get("ports", []):
            port.setdefault("protocol", "TCP")
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("securityContext", {})
    spec.setdefault("schedulerName", "default-scheduler")


def _pod(obj: Object, suffix: str) -> None:
    spec = obj.setdefault("spec", {})
    pod_template(spec)
    spec.setdefault("serviceAccountName", "default")
    spec["serviceAccount"] = spec["serviceAccountName"]
    tolerations = spec.setdefault("tolerations", [])
    have = {t.get("key") for t in tolerations}
    tolerations += [copied(t) for t in _TOLERATED if t["key"] not in have]
    spec.setdefault("priority", 0)
    spec.setdefault("enableServiceLinks", True)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    _token_volume(spec, f"kube-api-access-{suffix}")
    obj["status"] = {"phase": "Pending", "qosClass": "BestEffort"}


def _token_volume(spec: Object, name: str) -> None:
    downward = [
        {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    ]
    sources = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": downward}},
    ]
    volumes = spec.setdefault("volumes", [])
    volumes.append({"name": name, "projected": {"sources": sources, "defaultMode": 420}})
    mount = {
        "name": name,
        "readOnly": True,
        "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
    }
    for container in spec.get("containers", []):
        container.setdefault("volumeMounts", []).append(dict(mount))


def _workload(obj: Object) -> None:
    spec = obj["spec"]
    spec.setdefault("replicas", 1)
    pod_template(spec["template"].setdefault("spec", {}))
    obj["status"] = {}


def _deployment(obj: Object) -> None:
    _workload(obj)
    strategy = obj["spec"].setdefault("strategy", {"type": "RollingUpdate"})
    if strategy.get("type") == "RollingUpdate":
        strategy.setdefault("rollingUpdate", {"maxUnavailable": "25%", "maxSurge": "25%"})
    obj["spec"].setdefault("revisionHistoryLimit", 10)
    obj["spec"].setdefault("progressDeadlineSeconds", 600)


def _stateful_set(obj: Object) -> None:
    _workload(obj)
    spec = obj["spec"]
    spec.setdefault("podManagementPolicy", "OrderedReady")
    spec.setdefault("updateStrategy", {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}})
    spec.setdefault("revisionHistoryLimit", 10)
    retained = {"whenDeleted": "Retain", "whenScaled": "Retain"}
    spec.setdefault("persistentVolumeClaimRetentionPolicy", retained)
    obj["status"] = {"replicas": 0, "availableReplicas": 0}


def _job(obj: Object) -> None:
    jobs.fill(obj)
    pod_spec = obj["spec"]["template"].setdefault("spec", {})
    # What is not said here is refused, and not filled in.
    policy = pod_spec.get("restartPolicy")
    pod_template(pod_spec)
    pod_spec["restartPolicy"] = policy or "Always"


def _daemon_set(obj: Object) -> None:
    spec = obj["spec"]
    pod_template(spec["template"].setdefault("spec", {}))
    rolling = {"maxUnavailable": 1, "maxSurge": 0}
    spec.setdefault("updateStrategy", {"type": "RollingUpdate", "rollingUpdate": rolling})
    spec.setdefault("revisionHistoryLimit", 10)
    obj["metadata"].setdefault("annotations", {})["deprecated.daemonset.template.generation"] = "1"
    counts = (
        "currentNumberScheduled",
        "numberMisscheduled",
        "desiredNumberScheduled",
        "numberReady",
    )
    obj["status"] = dict.fromkeys(counts, 0)


def _budget(obj: Object) -> None:
    counts = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
    obj["status"] = dict.fromkeys(counts, 0)


def _node(obj: Object) -> None:
    # The admission plug-in TaintNodesByCondition: not to be used before somebody says that it is ready.
    spec = obj.setdefault("spec", {})
    taints = spec.setdefault("taints", [])
    if not any(t["key"] == NOT_READY for t in taints):
        taints.append({"key": NOT_READY, "effect": "NoSchedule"})
    obj.setdefault("status", {})


def _namespace(obj: Object) -> None:
    labels = obj["metadata"].setdefault("labels", {})
    labels["kubernetes.io/metadata.name"] = obj["metadata"]["name"]
    obj["spec"] = {"finalizers": ["kubernetes"]}
    obj["status"] = {"phase": "Active"}


def _service(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    for port in spec.get("ports", []):
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port["port"])
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    obj["status"] = {"loadBalancer": {}}


def _network_policy(obj: Object) -> None:
    spec = obj["spec"]
    spec.setdefault("podSelector", {})
    spec.setdefault("policyTypes", ["Ingress", "Egress"] if "egress" in spec else ["Ingress"])


def known_fields(kind: Kind, version: str, obj: Object, minor: int) -> None:
    """Refuse fields that this version of Kubernetes does not know, for who asks for that; of built-in kinds."""
    if kind.custom:
        return
    from tests.support.schemas import VERSIONS, kubernetes

    known = f"1.{minor}"
    schema = kubernetes(known if known in VERSIONS else VERSIONS[-1])
    body = {k: v for k, v in obj.items() if k != "status"}
    found = schema.unknown({**body, "apiVersion": kind.api_version(version), "kind": kind.kind})
    if found:
        said = ", ".join(f'unknown field "{path}"' for path in found)
        title = f'{kind.kind} in version "{version}" cannot be handled as a {kind.kind}'
        raise Refused(400, "BadRequest", f"{title}: strict decoding error: {said}")


def validate(kind: Kind, obj: Object, strict: bool) -> Object:
    """Refuse what does not fit the schema; gives what is kept of it."""
    name = str(obj["metadata"].get("name") or "")
    spec = obj.get("spec") or {}
    if kind.kind == "VirtualService":
        return _virtual_service(kind, obj, strict)
    if kind.kind == "Secret" and "stringData" in obj:
        # Written only; nobody ever reads it back.
        told = {k: base64.b64encode(v.encode()).decode() for k, v in obj["stringData"].items()}
        rest = {k: v for k, v in obj.items() if k != "stringData"}
        return {**rest, "data": {**(obj.get("data") or {}), **told}}
    if kind.schema is not None:
        return definitions.validated(kind, obj, strict)
    problems = []
    if "replicas" in spec:
        if not isinstance(spec["replicas"], int):
            raise Refused(
                400,
                "BadRequest",
                f'{kind.kind} in version "v1" cannot be handled as a {kind.kind}: json: cannot unmarshal',
            )
        if spec["replicas"] < 0:
            found = spec["replicas"]
            problems.append(
                (
                    "spec.replicas",
                    "FieldValueInvalid",
                    f"Invalid value: {found}: must be greater than or equal to 0",
                )
            )
    if kind.kind in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"):
        wanted = (spec.get("selector") or {}).get("matchLabels") or {}
        have = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
        if any(have.get(k) != v for k, v in wanted.items()):
            problems.append(("spec.template.metadata.labels", "FieldValueInvalid", "Invalid value: `selector` does not match template `labels`"))  # fmt: skip
    problems += [
        (
            f"spec.taints[{index}].effect",
            "FieldValueNotSupported",
            f'Unsupported value: "{taint.get("effect")}"',
        )
        for index, taint in enumerate(spec.get("taints") or [])
        if taint.get("effect") not in ("NoSchedule", "PreferNoSchedule", "NoExecute")
    ]
    problems += jobs.problems(spec) if kind.kind == "Job" else []
    if problems:
        raise _invalid(kind, name, problems)
    return obj


def _invalid(kind: Kind, name: str, problems: list[tuple[str, str, str]]) -> Refused:
    shown = [f"{field}: {text}" for field, _, text in problems]
    text = shown[0] if len(shown) == 1 else "[" + ", ".join(shown) + "]"
    causes = [
        {"reason": reason, "message": text, "field": field} for field, reason, text in problems
    ]
    title = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    details: dict[str, Any] = {"name": name, "kind": kind.kind, "causes": causes}
    if kind.group:
        details["group"] = kind.group
    return Refused(422, "Invalid", f'{title} "{name}" is invalid: {text}', details)


def _virtual_service(kind: Kind, obj: Object, strict: bool) -> Object:
    name, spec = str(obj["metadata"]["name"]), obj.get("spec") or {}
    unknown = istio.unknown_fields(spec)
    if strict and unknown:
        import json

        said = f'strict decoding error: unknown field "{unknown[0]}"'
        cause = f"Invalid value: {json.dumps(json.dumps(obj, sort_keys=True))}: {said}"
        causes = [{"reason": "FieldValueInvalid", "message": cause, "field": "patch"}]
        raise Refused(422, "Invalid", f' "" is invalid: patch: {cause}', {"causes": causes})
    wrong = istio.wrong_types(spec)
    if wrong:
        problems = [
            (path, "FieldValueTypeInvalid", f'Invalid value: "{found}": {path} in body must be of type {wanted}: "{found}"')
            for path, found, wanted in wrong
        ]  # fmt: skip
        rest = "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation"
        raise _invalid(kind, name, [*problems, ("<nil>", "FieldValueInvalid", rest)])
    return {**obj, "spec": istio.pruned(spec)}
