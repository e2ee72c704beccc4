"""SLOs and guards made from a few words, for the checks of their queries."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sloguard.core.model import Guard, PhaseRule, Phases, Slo
from sloguard.core.objective import parse_objective
from sloguard.promql.findings import Finding
from sloguard.promql.lint import lint


def slo(
    query: str | None = None,
    objective: str = "< 5",
    *,
    during: str | None = None,
    hold: float | None = None,
    recover_within: float | None = None,
    **given: Any,
) -> Slo:
    """An SLO with one objective, and another one for ``during`` where it is given."""
    rule = PhaseRule(parse_objective(objective))
    return Slo(
        name="it",
        objective=rule.objective,
        before=rule,
        during=rule if during is None else PhaseRule(parse_objective(during)),
        after=replace(rule, hold=hold, recover_within=recover_within),
        query=query,
        **given,
    )


def pair(total: str, objective: str = "< 5%", **given: Any) -> Slo:
    """A pair: ``bad`` or ``good`` is given by name."""
    return slo(None, objective, total=total, **given)


def guard(query: str, objective: str = "< 50") -> Guard:
    """A guard rail."""
    return Guard("it", parse_objective(objective), query=query)


def findings(
    judged: Slo | Guard | str,
    *,
    before: float = 120.0,
    during: float = 3600.0,
    after: float = 3600.0,
    **around: Any,
) -> list[Finding]:
    """All findings; the phases are so long that timing says nothing unless it is asked."""
    made = slo(judged) if isinstance(judged, str) else judged
    return lint(made, phases=Phases(before, during, after), **around)


def codes(judged: Slo | Guard | str, **given: Any) -> list[str]:
    """The codes of all findings, without what they have in common."""
    return [finding.code.removeprefix("promql/") for finding in findings(judged, **given)]
