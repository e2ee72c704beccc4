"""What all faults of one plan together may hit, whatever each of them would. Pure."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sloguard.faults.arguments import whole
from sloguard.faults.base import FaultError, Injection
from sloguard.faults.pod_selection import controller_of, is_ready
from sloguard.faults.targets import Budget, Namespaces, consenting, title
from sloguard.ports import Object

_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")


@dataclass(frozen=True, slots=True)
class Limits:
    """The declared blast radius. ``max_…``: so many of a kind; ``leave_at_least``: ready pods of each
    workload that are left; ``ignore_budgets``: also beyond what PodDisruptionBudgets allow."""

    max_pods: int
    max_nodes: int
    max_virtual_services: int
    max_workloads: int
    max_per_namespace: int | None = None
    leave_at_least: int = 0
    ignore_budgets: bool = False

    @classmethod
    def of(cls, given: Any, times: int) -> Limits:
        """From an argument; a kind that it does not name is hit no more often than ``times``. Raises FaultError."""
        if given is None:
            given = {}
        names = [field.name for field in fields(cls)]
        if not isinstance(given, Mapping):
            raise FaultError(f"within: expected a mapping of {', '.join(names)}, found {given!r}")
        for key in given:
            if key not in names:
                near = difflib.get_close_matches(str(key), names, n=1)
                hint = f"did you mean {near[0]}?" if near else f"expected {', '.join(names)}"
                raise FaultError(f"within: there is no {key}; {hint}")
        ignore = given.get("ignore_budgets", False)
        if not isinstance(ignore, bool):
            raise FaultError(f"within: ignore_budgets: expected true or false, found {ignore!r}")
        numbers = {
            name: whole(given[name], f"within: {name}")
            for name in names
            if name != "ignore_budgets" and given.get(name) is not None
        }
        usual = dict.fromkeys(names[:4], times)
        return cls(**{**usual, **numbers}, ignore_budgets=ignore)

    def most(self, kind: str) -> tuple[str, int] | None:
        """The name of the limit of a kind of objects, and the limit; None where there is none."""
        if kind in _WORKLOADS:
            return "max_workloads", self.max_workloads
        return {
            "Pod": ("max_pods", self.max_pods),
            "Node": ("max_nodes", self.max_nodes),
            "VirtualService": ("max_virtual_services", self.max_virtual_services),
        }.get(kind)


class Blast:
    """What has been hit so far, and what may still be. ``pods``: all of the namespaces in question."""

    def __init__(
        self,
        limits: Limits,
        namespaces: Namespaces,
        pods: Iterable[Object],
        budgets: Sequence[Budget] = (),
    ) -> None:
        self._limits, self._namespaces, self._budgets = limits, namespaces, budgets
        self._pods = {title(pod): pod for pod in pods}
        self._ready = Counter(_owner(pod) for pod in self._pods.values() if is_ready(pod))
        self._hit: dict[str, set[str]] = {}
        self._per_namespace: Counter[str] = Counter()
        self._may = consenting(opt_in=False)

    def take(self, injection: Injection) -> None:
        """It will be hit."""
        for kind, names in injection.hits.items():
            self._hit.setdefault(kind, set()).update(names)
        self._per_namespace.update(_namespaces(injection))

    def problem(self, injection: Injection) -> str:
        """Why it may not be hit as well; empty where it may."""
        if not injection.hits:
            return "it does not say what it hits, so that no blast radius could be kept"
        return (
            self._elsewhere(injection)
            or self._twice(injection)
            or self._too_many(injection)
            or self._of_pods(injection.hits.get("Pod", frozenset()))
        )

    def _elsewhere(self, injection: Injection) -> str:
        for namespace in sorted(_namespaces(injection)):
            reason = self._namespaces.spares(namespace)
            if reason:
                return f"it hits what is not meant: {reason}"
        return ""

    def _twice(self, injection: Injection) -> str:
        for kind, names in injection.hits.items():
            again = sorted(names & self._hit.get(kind, set()))
            if again:
                return f"{kind} {again[0]} is hit already"
        return ""

    def _too_many(self, injection: Injection) -> str:
        for kind, names in injection.hits.items():
            limit = self._limits.most(kind)
            if limit is None:
                return f"there is no limit for what is a {kind}"
            kinds = _WORKLOADS if kind in _WORKLOADS else (kind,)
            count = sum(len(self._hit.get(k, ())) for k in kinds) + len(names)
            if count > limit[1]:
                return f"{limit[0]} is {limit[1]}, and it would be {count}"
        most = self._limits.max_per_namespace
        for namespace in sorted(_namespaces(injection)):
            if most is not None and self._per_namespace[namespace] >= most:
                return f"max_per_namespace is {most}, and so many are hit in {namespace}"
        return ""

    def _of_pods(self, names: frozenset[str]) -> str:
        hit = [self._pods[n] for n in sorted(self._hit.get("Pod", set())) if n in self._pods]
        more = [self._pods[name] for name in sorted(names) if name in self._pods]
        for pod in more:
            reason = self._may(pod)
            if reason:
                return f"pod {title(pod)}: {reason}"
        return self._too_few_left([*hit, *more], more) or self._over_budget([*hit, *more], more)

    def _too_few_left(self, hit: Sequence[Object], more: Sequence[Object]) -> str:
        least = self._limits.leave_at_least
        lost = Counter(_owner(pod) for pod in hit if is_ready(pod))
        for pod in more:
            owner = _owner(pod)
            left = self._ready[owner] - lost[owner]
            if left < least:
                return f"leave_at_least is {least}, and of the pods with {title(pod)} {left} would be left"
        return ""

    def _over_budget(self, hit: Sequence[Object], more: Sequence[Object]) -> str:
        if self._limits.ignore_budgets:
            return ""
        for budget in self._budgets:
            if any(map(budget.has, more)) and sum(map(budget.has, hit)) > budget.allowed:
                return (
                    f"the disruption budget {budget.name} allows {budget.allowed} missing, not more"
                )
        return ""


def _owner(pod: Object) -> str:
    return str((controller_of(pod) or pod["metadata"]).get("uid"))


def _namespaces(injection: Injection) -> frozenset[str]:
    names = (name for hit in injection.hits.values() for name in hit)
    return frozenset(name.partition("/")[0] for name in names if "/" in name)
