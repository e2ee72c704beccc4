"""``budget``: how much of the error budget has to be left before a run, and how much it may spend."""

# ruff: noqa: ARG002 - one signature for all rules

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sloguard.core.model import Budget, Slo
from sloguard.documents.problems import did_you_mean
from sloguard.documents.tree import Node
from sloguard.spec import scalars as s
from sloguard.spec.errors import Reader
from sloguard.spec.shapes import Json, Key, ListOf
from sloguard.spec.tables import Table


class AnyOf:
    """At least one of some keys, without which a table says nothing."""

    def __init__(self, *keys: str, beside: tuple[str, ...] = ()) -> None:
        self.keys, self.beside = keys, beside

    def check(self, node: Node, values: Mapping[str, Any], path: str, reader: Reader) -> None:
        given = set(node.value)
        # A key that is none may be one of these misspelt, which is told where it stands.
        if given <= set(self.beside):
            expected = " or ".join(f"'{key}'" for key in self.keys)
            reader.problem(node, path, "it says nothing as it stands", expected)

    def schema(self) -> Json:
        return {"anyOf": [{"required": [key]} for key in self.keys]}


class BudgetedSlos:
    """The SLOs that ``budget`` names exist, and at least one of those it is about has a budget."""

    def check(self, node: Node, values: Mapping[str, Any], path: str, reader: Reader) -> None:
        place = node.get("budget")
        slos = (values.get("steady-state-hypothesis") or {}).get("slos") or ()
        read = isinstance(values.get("budget"), Budget) or place is not None
        if not read or place is None or not all(isinstance(slo, Slo) for slo in slos):
            return
        budgeted = [slo.name for slo in slos if slo.has_budget]
        wanted = place.get("slos") if place.is_mapping else None
        if wanted is None or not wanted.is_list:
            if not budgeted and self._all_read(node, slos, reader):
                message = "no SLO has an error budget"
                reader.problem(place, "budget", message, "an SLO with 'target' and 'period'")
            return
        names = [slo.name for slo in slos]
        for index, child in enumerate(wanted.value):
            name = str(reader.resolve(child).value).strip()
            where = f"budget.slos[{index}]"
            if name in budgeted:
                continue
            if name in names:
                message = f"the SLO '{name}' has no error budget"
                reader.problem(child, where, message, "'target' and 'period' of that SLO")
            elif self._all_read(node, slos, reader):
                hint = did_you_mean(name, budgeted)
                expected = ", ".join(budgeted) or "an SLO with 'target' and 'period'"
                reader.problem(child, where, f"there is no SLO '{name}'", expected, hint)

    def _all_read(self, node: Node, slos: Any, reader: Reader) -> bool:
        """Whether no SLO was left out for a problem of its own, or of a file, which is told where it is."""
        if any(one.path.startswith("steady-state-hypothesis.slos") for one in reader.problems):
            return False
        hypothesis = node.get("steady-state-hypothesis")
        declared = hypothesis.get("slos") if hypothesis is not None else None
        if declared is None:
            return True
        return declared.is_list and len(slos) >= len(declared.value)

    def schema(self) -> Json:
        return {}


def _budget(values: dict[str, Any]) -> Budget:
    guard = values.pop("abort_when", None) or {}
    names = tuple(values.pop("slos", ()))
    renamed = {"spent": "abort_spent", "burn_rate": "abort_burn_rate", "for": "hold_for"}
    return Budget(slos=names, **values, **{renamed[key]: value for key, value in guard.items()})


ABORT_WHEN = Table(
    "budget-guard",
    "When the run is stopped and undone for what it costs; judged while it goes on, and again at the end.",
    (
        Key(
            "spent",
            s.POSITIVE_SHARE,
            "Share of an SLO's whole error budget that this run may not spend.",
            examples=("5%",),
            mistaken=("budget", "spend", "used", "burned"),
        ),
        Key(
            "burn_rate",
            s.BURN_RATE,
            "How many times faster than its period lasts a budget may not burn. At 1 it lasts just that long.",
            examples=(10,),
            mistaken=("burn", "rate", "burnrate", "burn-rate"),
        ),
        Key(
            "for",
            s.DURATION,
            "How long the burn rate has to be above 'burn_rate' before the run is stopped.",
            default="0s",
            examples=("30s",),
            mistaken=("hold", "duration", "tolerate"),
        ),
    ),
    rules=(AnyOf("spent", "burn_rate", beside=("for",)),),
)

BUDGET = Table(
    "budget",
    "What the experiment may cost of the error budgets of its SLOs that have a target and a period.",
    (
        Key(
            "keep_at_least",
            s.SHARE,
            "Share of the whole budget that has to be left: with less, or where that cannot be told, the "
            "run does not start.",
            examples=("20%",),
            mistaken=("keep", "min", "minimum", "at-least", "left"),
        ),
        Key(
            "min_history",
            s.SHARE,
            "Share of the period that Prometheus has to know for the gate to believe what is left.",
            default="90%",
            examples=("50%",),
            mistaken=("history", "min-coverage"),
        ),
        Key(
            "slos",
            ListOf(s.NAME, "names of SLOs", length=None),
            "Names of the SLOs that this is about; without it all that have a target and a period.",
            mistaken=("slo", "names"),
        ),
        Key(
            "abort_when",
            ABORT_WHEN,
            ABORT_WHEN.doc,
            mistaken=("abort", "abort-when", "abort-if", "guard", "stop-when"),
        ),
    ),
    rules=(AnyOf("keep_at_least", "abort_when", beside=("min_history", "slos")),),
    finish=_budget,
)
