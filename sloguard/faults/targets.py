"""Which objects of a cluster a fault hits, and which it spares and why. Pure: lists in, choice out.

The same seed and objects give the same victims, in whatever order the objects come. What matches and is
not spared is a candidate; the blast radius says how many of the candidates are hit at most, and how many
of all that match must be left. A share is rounded down, but is one at the least.
"""

from __future__ import annotations

import datetime
import fnmatch
import math
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sloguard.core.text import format_duration
from sloguard.faults.arguments import percent, whole
from sloguard.faults.base import FaultError
from sloguard.ports import Object, Whereabouts

#: "true": may be hit, where only what opts in may be. "false": is never hit.
ENABLED = "sloguard.io/enabled"
#: Left alone unless they are named, letter by letter.
SYSTEM = ("kube-system", "kube-public", "kube-node-lease")

#: A fault's own reason to leave an object alone, or an empty text.
Spare = Callable[[Object], str]
Spared = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Names and globs of namespaces. Without any, all but the system's and sloguard's own."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    own: str = ""

    @classmethod
    def of(cls, ns: Any, exclude: Any = None, own: str = "") -> Namespaces:
        """From a fault's arguments: a text, a list of texts, or None for all. Raises FaultError."""
        return cls(_texts(ns, "ns"), _texts(exclude, "exclude_ns"), own)

    @property
    def single(self) -> str | None:
        """The one namespace that this means, so that only it has to be read; None where it is several."""
        only = self.include[0] if len(self.include) == 1 else ""
        return only if only and not _is_glob(only) else None

    @property
    def each(self) -> tuple[str | None, ...]:
        """What has to be read, so that rights in these namespaces are enough: each that is named, where all
        are named letter by letter, else all of the cluster (None)."""
        return (None,) if not self.include or any(map(_is_glob, self.include)) else self.include

    def spares(self, name: str) -> str:
        """Why a namespace is left alone; empty where it is not."""
        if any(fnmatch.fnmatchcase(name, glob) for glob in self.exclude):
            return f"namespace {name} is excluded"
        if name in self.include:
            return ""
        if name in SYSTEM or name == self.own:
            whose = "the system's" if name in SYSTEM else "sloguard's own"
            return f"namespace {name} is {whose}, and is hit only if it is named"
        if self.include and not any(fnmatch.fnmatchcase(name, glob) for glob in self.include):
            return f"namespace {name} is not asked for"
        return ""

    def __str__(self) -> str:
        return f"namespace {', '.join(self.include)}" if self.include else "any namespace"


@dataclass(frozen=True, slots=True)
class Radius:
    """How many of the candidates are hit: ``qty``, a ``share`` of them, or all; and who comes first.

    ``up``: a share is rounded up, as chaosk8s does.
    """

    qty: int | None = 1
    share: float | None = None
    rand: bool = False
    order: str = "alphabetic"
    seed: int | None = None
    leave_at_least: int = 0
    up: bool = False

    @classmethod
    def of(
        cls,
        *,
        mode: Any = "fixed",
        qty: Any = 1,
        all: Any = False,
        rand: Any = False,
        order: Any = "alphabetic",
        seed: Any = None,
        leave_at_least: Any = 0,
    ) -> Radius:
        """From a fault's arguments, which are named as in the Chaos Toolkit's. Raises FaultError."""
        up = mode == "percentage-rounded-up"
        if mode not in ("fixed", "percentage") and not up:
            raise FaultError(f"mode: expected fixed or percentage, found {mode!r}")
        if order not in ("alphabetic", "oldest"):
            raise FaultError(f"order: expected alphabetic or oldest, found {order!r}")
        share = percent(qty, "qty") if mode != "fixed" and not all else None
        return cls(
            qty=None if all or share is not None else whole(qty, "qty", least=1),
            share=share,
            rand=bool(rand),
            order=order,
            seed=None if seed is None else whole(seed, "seed"),
            leave_at_least=whole(leave_at_least, "leave_at_least"),
            up=up,
        )

    def most(self, candidates: int, matching: int) -> int:
        """How many may be hit of so many candidates, among so many that match."""
        if self.share is not None:
            # Rounded before it is cut, so that 10% of 30 is 3 whatever the floating point says.
            exact = round(self.share * candidates, 9)
            wanted = math.ceil(exact) if self.up else max(math.floor(exact), 1)
        else:
            wanted = candidates if self.qty is None else self.qty
        return max(min(wanted, candidates, matching - self.leave_at_least), 0)


@dataclass(frozen=True, slots=True)
class Budget:
    """A PodDisruptionBudget: how many of the pods that it covers may be missing now."""

    name: str
    namespace: str
    allowed: int
    covers: Callable[[Mapping[str, str]], bool]

    @classmethod
    def of(cls, budget: Object) -> Budget:
        """From the API's object."""
        about, status = budget["metadata"], budget.get("status") or {}
        # One that has not been looked at yet by its controller allows nothing.
        fresh = status.get("observedGeneration", 0) >= about.get("generation", 1)
        allowed = int(status.get("disruptionsAllowed") or 0) if fresh else 0
        selector = (budget.get("spec") or {}).get("selector")
        return cls(str(about["name"]), str(about["namespace"]), allowed, matcher(selector))

    def has(self, pod: Object) -> bool:
        """Whether it covers this pod."""
        about = pod["metadata"]
        return about.get("namespace") == self.namespace and self.covers(about.get("labels") or {})


@dataclass(frozen=True, slots=True)
class Chosen:
    """``victims`` in the order in which they are hit; ``matching``: how many there were to choose from."""

    victims: tuple[Object, ...]
    spared: Spared
    matching: int


def choose(
    objects: Sequence[Object],
    radius: Radius,
    *,
    fallback: random.Random,
    spare: Sequence[Spare] = (),
    budgets: Sequence[Budget] = (),
) -> Chosen:
    """The victims among objects that match. ``fallback`` chooses where no seed is given."""
    ordered = sorted(objects, key=_place)
    reasons = [(obj, next(filter(None, (rule(obj) for rule in spare)), "")) for obj in ordered]
    candidates = [obj for obj, reason in reasons if not reason]
    spared = [(title(obj), reason) for obj, reason in reasons if reason]
    if radius.rand:
        source = fallback if radius.seed is None else random.Random(radius.seed)  # noqa: S311 - a repeatable choice, not a secret
        source.shuffle(candidates)
    elif radius.order == "oldest":
        candidates.sort(key=_born)
    alive = sum(not obj["metadata"].get("deletionTimestamp") for obj in objects)
    most = radius.most(len(candidates), alive)
    victims: list[Object] = []
    used: dict[int, int] = {}
    for obj in candidates:
        reason = "not chosen" if len(victims) >= most else _over_budget(obj, budgets, used)
        if reason:
            spared.append((title(obj), _floor(reason, radius, alive, victims)))
        else:
            victims.append(obj)
    return Chosen(tuple(victims), tuple(spared), alive)


def _floor(reason: str, radius: Radius, alive: int, victims: Sequence[Object]) -> str:
    """Says so where it is the floor of survivors that spares an object."""
    if (
        reason == "not chosen"
        and radius.leave_at_least
        and alive - len(victims) <= radius.leave_at_least
    ):
        return f"leave_at_least is {radius.leave_at_least}, and {alive} match"
    return reason


def _over_budget(obj: Object, budgets: Sequence[Budget], used: dict[int, int]) -> str:
    mine = [(index, budget) for index, budget in enumerate(budgets) if budget.has(obj)]
    for index, budget in mine:
        if used.get(index, 0) >= budget.allowed:
            return f"the disruption budget {budget.name} allows {budget.allowed} missing, not more"
    for index, _ in mine:
        used[index] = used.get(index, 0) + 1
    return ""


# Reasons to spare, to be given to ``choose``.


def within(namespaces: Namespaces) -> Spare:
    """Only what is in these namespaces."""
    return lambda obj: namespaces.spares(str(obj["metadata"].get("namespace") or ""))


def named(pattern: str | None) -> Spare:
    """Only names in which the pattern is found. Raises FaultError for one that is none."""
    if pattern is None:
        return lambda _obj: ""
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise FaultError(
            f"name_pattern: {pattern!r} is not a regular expression: {error}"
        ) from None
    return lambda obj: (
        "" if expression.search(obj["metadata"]["name"]) else f"its name does not match {pattern}"
    )


def consenting(opt_in: bool) -> Spare:
    """Never what opts out; where ``opt_in``, only what opts in."""

    def spare(obj: Object) -> str:
        said = str((obj["metadata"].get("annotations") or {}).get(ENABLED, "")).lower()
        if said == "false":
            return f"it opts out ({ENABLED}: false)"
        return f"it does not opt in ({ENABLED}: true)" if opt_in and said != "true" else ""

    return spare


def older_than(seconds: float, now: float) -> Spare:
    """Only what has been there for so long."""

    def spare(obj: Object) -> str:
        age = now - _born(obj)[0]
        if age >= seconds:
            return ""
        return f"it is {format_duration(max(age, 0.0))} old, less than {format_duration(seconds)}"

    return spare if seconds > 0 else lambda _obj: ""


def not_going(obj: Object) -> str:
    """Not what is being deleted already, nor a pod that has ended."""
    if obj["metadata"].get("deletionTimestamp"):
        return "it is being deleted already"
    phase = (obj.get("status") or {}).get("phase")
    return f"it has ended ({phase})" if phase in ("Succeeded", "Failed") else ""


def not_myself(here: Whereabouts) -> Spare:
    """Never the pod that sloguard runs in."""

    def spare(obj: Object) -> str:
        about = obj["metadata"]
        mine = here.pod and (about.get("namespace"), about["name"]) == (here.namespace, here.pod)
        return "sloguard itself runs in it" if mine else ""

    return spare


def title(obj: Object) -> str:
    """``namespace/name``, or the name alone."""
    about = obj["metadata"]
    return f"{about['namespace']}/{about['name']}" if about.get("namespace") else str(about["name"])


def matcher(selector: Mapping[str, Any] | None) -> Callable[[Mapping[str, str]], bool]:
    """A selector of the API (matchLabels, matchExpressions); an empty one matches all, None nothing."""
    if selector is None:
        return lambda _labels: False
    wanted: Mapping[str, str] = selector.get("matchLabels") or {}
    rules: Sequence[Mapping[str, Any]] = selector.get("matchExpressions") or ()
    return lambda labels: (
        all(labels.get(key) == value for key, value in wanted.items())
        and all(_holds(rule, labels) for rule in rules)
    )


def _holds(rule: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = str(rule["key"]), rule.get("values") or ()
    match rule.get("operator"):
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    return False


def _place(obj: Object) -> tuple[str, str, str]:
    about = obj["metadata"]
    return str(about.get("namespace") or ""), str(about["name"]), str(about.get("uid") or "")


def _born(obj: Object) -> tuple[float, tuple[str, str, str]]:
    written = str(obj["metadata"].get("creationTimestamp") or "")
    try:
        born = datetime.datetime.fromisoformat(written).timestamp()
    except ValueError:
        born = 0.0
    return born, _place(obj)


def _texts(value: Any, name: str) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list | tuple) or not all(isinstance(v, str) and v for v in found):
        raise FaultError(f"{name}: expected a namespace or a list of them, found {value!r}")
    return tuple(part.strip() for text in found for part in text.split(",") if part.strip())


def _is_glob(text: str) -> bool:
    return any(character in text for character in "*?[")
