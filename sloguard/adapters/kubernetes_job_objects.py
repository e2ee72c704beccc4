"""The Job of one worker: made of the service's own pod template, so that it sees what the service sees.

No claim stands in it: a worker is told by a digest which taking of its job it is for, and reads the claim
from the store, which only those who have the store's URL can. So nothing secret is written to the cluster.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sloguard import __version__
from sloguard.core.text import iso_time
from sloguard.ports import Object
from sloguard.ports.resources import JOBS

#: Labels of Jobs and of their pods.
RUN, EXECUTOR, TAKING = "sloguard.io/run", "sloguard.io/executor", "sloguard.io/taking"
REQUESTS = {"cpu": "100m", "memory": "256Mi"}
LIMITS = {"memory": "1Gi"}
MAIN = "sloguard"
#: Who drains nodes should pass over a pod that has something to undo.
_ANNOTATIONS = {
    "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    "karpenter.sh/do-not-disrupt": "true",
}
#: Of a container that serves; a worker serves nobody.
_SERVING = (
    "ports",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
    "args",
    "tty",
    "stdin",
)
_POD_SECURITY = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "runAsGroup": 65532,
    "fsGroup": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}
_SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
#: By what the entries of these lists are told apart where one is laid over another.
_KEYS = {"volumeMounts": "mountPath", "ports": "containerPort"}
_QUANTITY = re.compile(r"(?P<number>\d+(\.\d+)?([eE][+-]?\d+)?)(?P<unit>[KMGTPE]i|[kMGTPE])?")
_TAINT = re.compile(
    r"(?P<key>[^=:\s]+)(=(?P<value>[^:\s]*))?:(?P<effect>NoSchedule|PreferNoSchedule|NoExecute)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobShape:
    """What the Jobs of a service look like; empty texts and mappings: as its own pod has it.

    ``name``: of the executor. ``grace`` and ``ttl``: seconds. ``over``: a part of a PodTemplateSpec that is laid over
    what is made. ``environ``: variables of every worker beside those of the pod.
    """

    name: str = MAIN
    image: str = ""
    service_account: str = ""
    container: str = ""
    requests: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: Sequence[Object] = ()
    grace: int = 300
    ttl: int = 3600
    over: Mapping[str, Any] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Where the service itself is from. ``template``: the PodTemplateSpec of its pods; ``owner``: an
    ownerReference to what makes them, which outlives every one of its pods; None: there is none."""

    template: Object
    owner: Object | None = None


def job_name(run: str, taking: str) -> str:
    """The same for the same taking of a job, so that it is never made twice."""
    plain = re.sub(r"[^a-z0-9-]+", "-", run.lower()).strip("-")[:30].strip("-")
    return f"sloguard-run-{plain}-{taking}"


def toleration(text: str) -> Object:
    """``KEY=VALUE:EFFECT`` or ``KEY:EFFECT``, as kubectl writes taints. Raises ValueError."""
    found = _TAINT.fullmatch(text)
    if found is None:
        raise ValueError(
            f"expected KEY=VALUE:EFFECT or KEY:EFFECT with an EFFECT of NoSchedule, PreferNoSchedule or "
            f"NoExecute, found '{text}'"
        )
    made = {"key": found["key"], "effect": found["effect"]}
    if found["value"] is None:
        return {**made, "operator": "Exists"}
    return {**made, "operator": "Equal", "value": found["value"]}


def job_object(
    *,
    run: str,
    taking: str,
    namespace: str,
    deadline: float,
    home: Home,
    shape: JobShape,
    expected_by: float = 0.0,
) -> Object:
    """The Job that carries out one taking of a job. ``deadline``: seconds until it is stopped.

    ``expected_by``: when that will be (seconds since the epoch), for people who look at it.
    """
    labels = {
        **shape.labels,
        "app.kubernetes.io/name": MAIN,
        "app.kubernetes.io/component": "run",
        "app.kubernetes.io/instance": shape.name,
        "app.kubernetes.io/version": __version__,
        "app.kubernetes.io/managed-by": MAIN,
        EXECUTOR: shape.name,
        RUN: run,
        TAKING: taking,
    }
    about: Object = {"name": job_name(run, taking), "namespace": namespace, "labels": labels}
    if home.owner is not None:
        about["ownerReferences"] = [home.owner]
    if expected_by:
        about["annotations"] = {"sloguard.io/over-by": iso_time(expected_by)}
    return {
        "apiVersion": JOBS.api_version,
        "kind": JOBS.kind,
        "metadata": about,
        "spec": {
            # A second pod would be a second worker, and its claim is used up.
            "backoffLimit": 0,
            "parallelism": 1,
            "completions": 1,
            "activeDeadlineSeconds": max(int(deadline), 1),
            "ttlSecondsAfterFinished": shape.ttl,
            "template": _template(home.template, labels, run, taking, shape),
        },
    }


def _template(
    template: Object, labels: Mapping[str, str], run: str, taking: str, shape: JobShape
) -> Object:
    spec: Object = dict(template.get("spec") or {})
    given: list[Object] = list(spec.get("containers") or [])
    container = _container(given, run, taking, shape)
    for name in ("topologySpreadConstraints", "activeDeadlineSeconds", "nodeName", "hostname"):
        spec.pop(name, None)
    # What keeps replicas of the service apart says nothing of a worker.
    where = {k: v for k, v in (spec.pop("affinity", None) or {}).items() if k == "nodeAffinity"}
    spec |= {"affinity": where} if where else {}
    spec |= {
        "containers": [container],
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": shape.grace,
        "securityContext": {**_POD_SECURITY, **(spec.get("securityContext") or {})},
    }
    if shape.service_account:
        spec.pop("serviceAccount", None)
        spec["serviceAccountName"] = shape.service_account
    if shape.node_selector:
        spec["nodeSelector"] = dict(shape.node_selector)
    if shape.tolerations:
        spec["tolerations"] = [*(spec.get("tolerations") or []), *shape.tolerations]
    _give_scratch(spec, container)
    about = {"labels": dict(labels), "annotations": {**_ANNOTATIONS, **shape.annotations}}
    made: Object = laid_over({"metadata": about, "spec": spec}, shape.over)
    # What the service finds its workers by is nobody else's to change.
    made["metadata"]["labels"] |= {key: labels[key] for key in (EXECUTOR, RUN, TAKING)}
    return made


def _container(given: Sequence[Object], run: str, taking: str, shape: JobShape) -> Object:
    wanted = shape.container or MAIN
    found = next((one for one in given if one.get("name") == wanted), None)
    if found is None:
        if shape.container and given:
            names = ", ".join(str(one.get("name")) for one in given)
            raise ValueError(
                f"executor.container: the service's pod has no container '{shape.container}'; it has {names}"
            )
        found = given[0] if given else {"name": MAIN}
    kept = {key: value for key, value in found.items() if key not in _SERVING}
    named = set(shape.environ)
    env = [one for one in kept.get("env") or [] if one.get("name") not in named]
    env += [{"name": name, "value": value} for name, value in sorted(shape.environ.items())]
    image = shape.image or kept.get("image")
    if not image:
        raise ValueError(
            "executor.image: the service does not run in a pod, so it has to be told which image workers have"
        )
    return {
        **kept,
        "image": image,
        "args": ["worker", "job", run, "--taking", taking],
        "env": env,
        "resources": {
            "requests": dict(shape.requests) or REQUESTS,
            "limits": dict(shape.limits) or _limits(shape.requests),
        },
        "securityContext": {**_SECURITY, **(kept.get("securityContext") or {})},
        # What it said last is in the pod's status, and so in the job's detail.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _limits(requests: Mapping[str, str]) -> Mapping[str, str]:
    """The usual ones, and no less than what is asked for: such a pod would be refused."""
    asked, usual = (_amount(given.get("memory", "")) for given in (requests, LIMITS))
    return {**LIMITS, "memory": requests["memory"]} if asked > usual else LIMITS


def _amount(quantity: str) -> float:
    """Of a quantity as Kubernetes writes it; 0 for what is none, which the server refuses by itself."""
    found = _QUANTITY.fullmatch(quantity.strip())
    if found is None:
        return 0.0
    unit = found["unit"] or " "
    base = 1024.0 if unit.endswith("i") else 1000.0
    return float(found["number"]) * math.pow(base, " KMGTPE".find(unit[0].upper()))


def _give_scratch(spec: Object, container: Object) -> None:
    """A /tmp of its own: the root file system cannot be written."""
    mounts = list(container.get("volumeMounts") or [])
    if any(mount.get("mountPath") == "/tmp" for mount in mounts):  # noqa: S108 - the container's
        return
    container["volumeMounts"] = [*mounts, {"name": "scratch", "mountPath": "/tmp"}]  # noqa: S108 - as above
    spec["volumes"] = [
        *(spec.get("volumes") or []),
        {"name": "scratch", "emptyDir": {"sizeLimit": "256Mi"}},
    ]


def laid_over(below: Any, above: Any, key: str = "name") -> Any:
    """``above`` on ``below``: mappings are joined, None removes; lists of named things by their names."""
    if isinstance(below, Mapping) and isinstance(above, Mapping):
        joined = dict(below)
        for name, value in above.items():
            if value is None:
                joined.pop(name, None)
            elif name in joined:
                joined[name] = laid_over(joined[name], value, _KEYS.get(str(name), "name"))
            else:
                joined[name] = value
        return joined
    if _are_named(below, key) and _are_named(above, key):
        made = {one[key]: one for one in below}
        for one in above:
            made[one[key]] = laid_over(made[one[key]], one) if one[key] in made else one
        return list(made.values())
    return above


def _are_named(value: Any, key: str) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(one, Mapping) and key in one for one in value)
    )
