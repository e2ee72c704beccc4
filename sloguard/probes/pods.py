"""Pods: how many, in which phase and condition, and what they have logged."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from sloguard.core.objective import ObjectiveError, parse_duration
from sloguard.ports import Object
from sloguard.ports.resources import PODS
from sloguard.ports.rights import Call, Need, on
from sloguard.probes.base import (
    Names,
    ProbeError,
    Secrets,
    cluster_of,
    labelled,
    listed,
    listing,
    places,
    probe,
)

_BY_NAME = "name in ({name})"
_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
_AGO = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(second|sec|minute|min|hour|day)s?(?:\s+ago)?\s*", re.I)
_SECONDS = {"second": 1, "sec": 1, "minute": 60, "min": 60, "hour": 3600, "day": 86400}


@probe(listing(PODS))
def count_pods(
    label_selector: str | None = None,
    phase: str | None = None,
    ns: Names = "default",
    cluster: str | None = None,
    secrets: Secrets = None,
) -> int:
    """How many pods there are.

    label_selector: Only pods with these labels, as kubectl takes them.
    phase: Only pods in this phase: Pending, Running, Succeeded, Failed or Unknown.
    ns: Namespace, a list of them, or * for all.
    """
    found = listed(cluster_of(cluster, secrets), PODS, ns, label_selector)
    return sum(phase is None or _phase(pod) == phase for pod in found)


@probe(listing(PODS))
def count_min_pods(
    label_selector: str | None = None,
    phase: str | None = "Running",
    min_count: int = 2,
    ns: Names = "default",
    cluster: str | None = None,
    secrets: Secrets = None,
) -> bool:
    """Whether there are enough pods in a phase.

    label_selector: Only pods with these labels, as kubectl takes them.
    phase: Only pods in this phase.
    min_count: How many are enough.
    ns: Namespace, a list of them, or * for all.
    """
    return count_pods(label_selector, phase, ns, cluster, secrets) >= int(min_count)


@probe(listing(PODS))
def pods_in_phase(
    label_selector: str | None = None,
    phase: str = "Running",
    ns: Names = "default",
    cluster: str | None = None,
    secrets: Secrets = None,
) -> bool:
    """Whether all pods are in a phase; false where there is no pod.

    label_selector: Only pods with these labels, as kubectl takes them.
    phase: Pending, Running, Succeeded, Failed or Unknown.
    ns: Namespace, a list of them, or * for all.
    """
    found = listed(cluster_of(cluster, secrets), PODS, ns, label_selector)
    return bool(found) and all(_phase(pod) == phase for pod in found)


@probe(listing(PODS))
def pods_not_in_phase(
    label_selector: str | None = None,
    phase: str = "Running",
    ns: Names = "default",
    cluster: str | None = None,
    secrets: Secrets = None,
) -> bool:
    """Whether no pod is in a phase; false where there is no pod.

    label_selector: Only pods with these labels, as kubectl takes them.
    phase: Pending, Running, Succeeded, Failed or Unknown.
    ns: Namespace, a list of them, or * for all.
    """
    found = listed(cluster_of(cluster, secrets), PODS, ns, label_selector)
    return bool(found) and all(_phase(pod) != phase for pod in found)


@probe(listing(PODS))
def pods_in_conditions(
    label_selector: str | None = None,
    conditions: list[dict[str, str]] | None = None,
    ns: Names = "default",
    cluster: str | None = None,
    secrets: Secrets = None,
) -> bool:
    """Whether all pods are in all of these conditions; false where there is no pod.

    label_selector: Only pods with these labels, as kubectl takes them.
    conditions: What has to be true of each pod, a list of mappings as {type: Ready, status: "True"}.
    ns: Namespace, a list of them, or * for all.
    """
    wanted = _conditions(conditions)
    found = listed(cluster_of(cluster, secrets), PODS, ns, label_selector)
    return bool(found) and all(_has(pod, one) for pod in found for one in wanted)


@probe(listing(PODS))
def pod_is_not_available(
    name: str,
    ns: Names = "default",
    label_selector: str = _BY_NAME,
    cluster: str | None = None,
    secrets: Secrets = None,
) -> bool:
    """Whether no pod is running that bears this name in its label ``name``.

    name: Value of the label.
    ns: Namespace, a list of them, or * for all.
    label_selector: Other labels to look for; {name} stands for the name.
    """
    found = listed(cluster_of(cluster, secrets), PODS, ns, labelled(label_selector, name))
    return not any(_phase(pod) == "Running" for pod in found)


@probe(listing(PODS))
def all_pods_healthy(
    ns: Names = "default",
    label_selector: str | None = None,
    ready: bool = False,
    cluster: str | None = None,
    secrets: Secrets = None,
) -> bool:
    """Whether all pods run, or have ended well; false where there is no pod.

    ns: Namespace, a list of them, or * for all.
    label_selector: Only pods with these labels, as kubectl takes them.
    ready: Whether those that run have to be Ready, too. A pod whose container breaks again and again runs.
    """
    found = listed(cluster_of(cluster, secrets), PODS, ns, label_selector)
    return bool(found) and all(_healthy(pod, ready) for pod in found)


def _logs_need(call: Call) -> Iterator[Need]:
    namespaces = places(call["ns"])
    yield from on(PODS, "list", namespaces=namespaces)
    yield from on(PODS, "get", namespaces=namespaces, subresource="log")


@probe(_logs_need)
def read_pod_logs(
    name: str | None = None,
    last: str | float | None = None,
    ns: Names = "default",
    from_previous: bool = False,
    label_selector: str = _BY_NAME,
    container_name: str | None = None,
    cluster: str | None = None,
    secrets: Secrets = None,
) -> dict[str, str]:
    """What pods have logged, by the pod's name; the last 4 MiB of each.

    name: Value of the label ``name`` of the pods.
    last: Only of this time until now: 30s, 5m, or 10 minutes.
    ns: Namespace, a list of them, or * for all.
    from_previous: Of the container that was there before its last restart.
    label_selector: Other labels to look for; {name} stands for the name.
    container_name: The container; the pod's default one, else its first, if not given.
    """
    since, asked = _since(last), cluster_of(cluster, secrets)
    logs: dict[str, str] = {}
    for pod in listed(asked, PODS, ns, labelled(label_selector, name)):
        about = pod["metadata"]
        logs[str(about["name"])] = asked.logs(
            about["name"],
            about["namespace"],
            container=container_name or _container(pod),
            previous=bool(from_previous),
            since=since,
        )
    return logs


@probe()
def should_be_found_in_logs(
    pattern: str,
    all_containers: bool = True,
    value: dict[str, str] | None = None,
) -> bool:
    """Whether a pattern is found in logs; for the tolerance of read_pod_logs. False where there are none.

    pattern: A regular expression.
    all_containers: Whether it has to be in the log of every pod, or only of one.
    value: The logs by name, as read_pod_logs gives them; filled in where this is a tolerance.
    """
    try:
        expression = re.compile(pattern)
    except (re.error, TypeError) as error:
        raise ProbeError(f"pattern: {pattern!r} is not a regular expression: {error}") from None
    if value is not None and not isinstance(value, Mapping):
        raise ProbeError(f"value: expected logs by the pod's name, found {value!r}")
    found = [expression.search(str(text)) is not None for text in (value or {}).values()]
    return bool(found) and (all(found) if all_containers else any(found))


def _phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase") or "")


def _healthy(pod: Object, ready: bool) -> bool:
    phase = _phase(pod)
    if phase == "Running" and ready:
        return _has(pod, {"type": "Ready", "status": "True"})
    return phase in ("Running", "Succeeded")


def _has(pod: Object, wanted: Mapping[str, str]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(all(one.get(k) == v for k, v in wanted.items()) for one in conditions)


def _conditions(given: Any) -> list[dict[str, str]]:
    conditions = [given] if isinstance(given, Mapping) else given
    if (
        not isinstance(conditions, list)
        or not conditions
        or not all(isinstance(one, Mapping) and one for one in conditions)
    ):
        raise ProbeError(
            f'conditions: expected a list of mappings as {{type: Ready, status: "True"}}, found {given!r}'
        )
    # YAML makes a truth value of an unquoted True, where the API has a text.
    return [{str(k): str(v) for k, v in one.items()} for one in conditions]


def _container(pod: Object) -> str:
    annotations = pod["metadata"].get("annotations") or {}
    return str(annotations.get(_DEFAULT_CONTAINER) or pod["spec"]["containers"][0]["name"])


def _since(last: Any) -> float | None:
    if last is None or last == "":
        return None
    words = _AGO.fullmatch(last) if isinstance(last, str) else None
    if words:
        return float(words[1]) * _SECONDS[words[2].lower()]
    try:
        return parse_duration(last)
    except ObjectiveError as error:
        raise ProbeError(f"last: {error}, or 10 minutes") from None
