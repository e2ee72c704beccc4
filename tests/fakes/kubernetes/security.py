"""The Pod Security Standard ``restricted``: which pods a namespace that enforces it does not admit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.fakes.kubernetes.answers import Refused
from tests.fakes.kubernetes.state import Object, State

ENFORCE = "pod-security.kubernetes.io/enforce"
_VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected",
    "secret",
}  # fmt: skip


def admit(state: State, namespace: str, pod: Object) -> None:
    """Refuse with 403 what the namespace of a pod does not allow."""
    found = state.get("Namespace", namespace) or {"metadata": {}}
    if (found["metadata"].get("labels") or {}).get(ENFORCE) != "restricted":
        return
    problems = list(violations(pod["spec"]))
    if problems:
        name = pod["metadata"]["name"]
        text = f'pods "{name}" is forbidden: violates PodSecurity "restricted:latest": {", ".join(problems)}'
        raise Refused(403, "Forbidden", text, {"name": name, "kind": "pods"})


def violations(spec: Any) -> Iterator[str]:
    """What is not restricted enough."""
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(key):
            yield f"host namespaces ({key}=true)"
    for volume in spec.get("volumes") or []:
        if not _VOLUMES & set(volume):
            yield f'restricted volume types (volume "{volume["name"]}")'
    whole = spec.get("securityContext") or {}
    containers = [*spec.get("initContainers", []), *spec["containers"]]
    for container in containers:
        own = container.get("securityContext") or {}
        for problem in _of(whole, own, container):
            yield f'{problem} (container "{container["name"]}")'


def _of(whole: Any, own: Any, container: Any) -> Iterator[str]:
    if own.get("privileged"):
        yield "privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation != false"
    capabilities = own.get("capabilities") or {}
    if "ALL" not in (capabilities.get("drop") or []):
        yield "unrestricted capabilities"
    if set(capabilities.get("add") or []) - {"NET_BIND_SERVICE"}:
        yield "unrestricted capabilities"
    if own.get("runAsNonRoot", whole.get("runAsNonRoot")) is not True:
        yield "runAsNonRoot != true"
    if own.get("runAsUser", whole.get("runAsUser")) == 0:
        yield "runAsUser=0"
    profile = own.get("seccompProfile", whole.get("seccompProfile")) or {}
    if profile.get("type") not in ("RuntimeDefault", "Localhost"):
        yield "seccompProfile"
    if any(port.get("hostPort") for port in container.get("ports") or []):
        yield "hostPort"
