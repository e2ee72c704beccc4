"""How far back a query looks: what of a point's value is older than the point.

Along each path from the whole query to a selector the range, the ranges of subqueries and positive offsets
add up; the largest path counts. A path that sees only time before the fault is a reference and adds
nothing. A recorded metric adds its group's interval and the lookback of its rule's expression.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sloguard.core.model import Guard, Slo
from sloguard.ports import RecordingRule
from sloguard.promql.errors import Position, PromqlError
from sloguard.promql.inspection import inspect
from sloguard.promql.paths import End, Paths


@dataclass(frozen=True, slots=True)
class Lookback:
    """``seconds``, or None with the ``problem``.

    ``refused``: the query cannot be judged at all, and a lookback given by hand does not help.
    ``through``: the path that decided, for people. ``position``: its selector in the query. ``code``: of
    the problem, in the table of findings.
    """

    seconds: float | None
    problem: str = ""
    refused: bool = False
    through: str = ""
    position: Position | None = None
    code: str = ""


def lookback(
    query: str,
    *,
    window: float,
    rules: Sequence[RecordingRule] = (),
    fault: float | None = None,
) -> Lookback:
    """The lookback of a query in seconds; raises PromqlError if it cannot be read.

    ``window``: end - fault in seconds. ``fault``: its time (seconds since the epoch); without it a fixed
    ``@`` is taken to lie before the fault, as one that was written before a run does. ``rules``: all
    recording rules that Prometheus lists.
    """
    if not window >= 0:
        raise ValueError(f"a window must be 0 or more seconds, not {window}")
    ends = Paths(window, fault, rules).ends(inspect(query).tree)
    for end in sorted((e for e in ends if e.problem), key=lambda e: not e.refused):
        code = "promql/fixed-time" if end.refused else "promql/lookback-unknown"
        return Lookback(None, end.problem, end.refused, end.through, end.position, code)
    live = [end for end in ends if not end.reference]
    if live:
        longest = max(live, key=lambda e: e.back)
        return Lookback(longest.back, through=longest.through, position=longest.position)
    return _only_past(ends) if ends else Lookback(0.0)


def _only_past(ends: Sequence[End]) -> Lookback:
    """Nothing but references. (A query without any selector is none: it sees no time at all.)"""
    problem = (
        f"{ends[0].through} sees only time before the fault, so nothing that the fault does can show; "
        "compare the present with it, such as metric / (metric offset 1h)"
    )
    return Lookback(None, problem, True, ends[0].through, ends[0].position, "promql/only-past")


def slo_lookback(
    slo: Slo | Guard,
    *,
    window: float,
    rules: Sequence[RecordingRule] = (),
    fault: float | None = None,
) -> Lookback:
    """The lookback of an SLO: the largest of its queries', or the declared one where that is not known.

    Raises PromqlError for a query that is wrong; one that is only beyond this parser (``unsupported``)
    is left to a declared lookback.
    """
    declared = slo.lookback if isinstance(slo, Slo) else None
    found: list[Lookback] = []
    for query in slo.queries.values():
        try:
            found.append(lookback(query, window=window, rules=rules, fault=fault))
        except PromqlError as error:
            if declared is None or not error.unsupported:
                raise
            found.append(Lookback(None, str(error), code="promql/unsupported"))
    for one in sorted((o for o in found if o.seconds is None), key=lambda o: not o.refused):
        if declared is None or one.refused:
            return one
        return Lookback(declared, through="as declared")
    return max(found, key=lambda o: o.seconds or 0.0)
