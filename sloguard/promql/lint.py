"""The check of an SLO's queries before anything is broken: what cannot be judged, and what misleads."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from sloguard.core.model import Guard, Phases, Slo
from sloguard.ports import RecordingRule
from sloguard.promql.errors import PromqlError
from sloguard.promql.findings import Finding, Severity
from sloguard.promql.inspection import Inspection, inspect
from sloguard.promql.lint_objective import objective_findings, pair_findings
from sloguard.promql.lint_query import query_findings
from sloguard.promql.lint_shape import shape_findings
from sloguard.promql.lint_timing import timing_findings
from sloguard.promql.surroundings import Surroundings


def lint(
    slo: Slo | Guard,
    *,
    phases: Phases,
    scrape_interval: float | None = None,
    rules: Sequence[RecordingRule] | None = None,
    kills_pods: bool = False,
    observed: tuple[float, float] | None = None,
    pushed_jobs: Collection[str] = (),
    default_step: float = 15.0,
) -> list[Finding]:
    """All findings on an SLO or a guard, by query and place, those on the whole last. Never raises for
    what is written in a query.

    ``scrape_interval``: seconds, None if not known. ``rules``: Prometheus's recording rules; None if it
    was not asked. ``kills_pods``: the method removes pods. ``observed``: the smallest and the largest
    value seen. ``pushed_jobs``: jobs behind a push gateway. ``default_step``: without an SLO's own and a
    scrape interval.
    """
    around = Surroundings(
        phases, scrape_interval, rules, kills_pods, observed, frozenset(pushed_jobs), default_step
    )
    read: dict[str, Inspection] = {}
    found: list[Finding] = []
    declared = slo.lookback if isinstance(slo, Slo) else None
    for role, query in slo.queries.items():
        try:
            read[role] = inspect(query)
        except PromqlError as error:
            found.append(_unreadable(error, role, declared))
            continue
        found.extend(_ordered(_query_findings(slo, role, read[role], around)))
    found.extend(timing_findings(slo, read, around))
    found.extend(pair_findings(read))
    found.extend(objective_findings(slo, read, around))
    return found


def _query_findings(
    slo: Slo | Guard, role: str, read: Inspection, around: Surroundings
) -> Iterator[Finding]:
    yield from query_findings(role, read, around)
    yield from shape_findings(slo, role, read, around)


def _ordered(findings: Iterator[Finding]) -> list[Finding]:
    return sorted(
        dict.fromkeys(findings), key=lambda f: (f.position.offset if f.position else -1, f.code)
    )


def _unreadable(error: PromqlError, role: str, declared: float | None) -> Finding:
    code = "promql/unsupported" if error.unsupported else "promql/syntax"
    # With a lookback declared by hand, such a query can be sent and judged as it is.
    usable = error.unsupported and declared is not None
    severity = Severity.WARNING if usable else Severity.ERROR
    return Finding(code, severity, error.message, role, error.position, error.hint)
