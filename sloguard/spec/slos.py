"""sloguard's own keys: SLOs, their rules by phase, guard rails and the lengths of the phases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sloguard.core.model import Guard, PhaseRule, Phases, Slo
from sloguard.documents.tree import Node
from sloguard.spec import scalars as s
from sloguard.spec.errors import Reader
from sloguard.spec.rules import NoBaseline, OneQuery, Together, UpperBounds
from sloguard.spec.shapes import Key, ListOf
from sloguard.spec.tables import Table

_QUERIES = (
    Key(
        "query",
        s.QUERY,
        "PromQL of the value itself. Every series of the answer is judged by itself.",
        examples=("histogram_quantile(0.99, sum by (le) (rate(http_seconds_bucket[30s])))",),
        mistaken=("expr", "promql", "metric", "sli"),
    ),
    Key(
        "total",
        s.QUERY,
        "PromQL of all events. With 'bad' the value is bad/total, with 'good' (total - good)/total.",
        examples=("sum by (service) (rate(http_requests_total[30s]))",),
    ),
    Key(
        "bad",
        s.QUERY,
        "PromQL of the bad events, by the same labels as 'total'.",
        examples=('sum by (service) (rate(http_requests_total{code=~"5.."}[30s]))',),
        mistaken=("error", "errors"),
    ),
    Key("good", s.QUERY, "PromQL of the good events, by the same labels as 'total'."),
)
_OBJECTIVE_DOC = (
    "What has to hold: 'OP bound' with OP one of < <= > >= == !=, 'between A and B', or a list of these. "
    "A bound is a number with an optional unit (%, us ms s m h d, B KB KiB MB MiB GB GiB) or baseline, "
    "baseline + X, baseline - X."
)
_OBJECTIVE_EXAMPLES = ("< 1%", "<= 300ms", "<= baseline + 50%", "between 2 and 4")


def _phase_keys(phase: str) -> tuple[Key, ...]:
    keys = (
        Key(
            "objective",
            s.OBJECTIVE,
            f"Replaces the SLO's objective in '{phase}'.",
            examples=_OBJECTIVE_EXAMPLES,
        ),
        Key(
            "tolerate",
            s.TOLERATE,
            "Longest continuous breach allowed (a duration), or the share of the phase's judged points "
            "that may breach (a percentage).",
            examples=("20s", "5%"),
            mistaken=("tolerance", "tolerated"),
        ),
    )
    if phase != "after":
        return keys
    return (
        *keys,
        Key(
            "recover_within",
            s.DURATION,
            "The series has to be back within its objective this long after the fault was undone. "
            "Without it: within the phase, less the query's lookback and 'hold'.",
            examples=("60s",),
            mistaken=("recovery", "recover"),
        ),
        Key(
            "hold",
            s.DURATION,
            "To count as recovered it has to stay so for this long. Without it: 3 steps.",
            examples=("15s",),
        ),
    )


def _phase_table(phase: str) -> Table:
    elsewhere = {}
    if phase != "after":
        elsewhere = dict.fromkeys(("recover_within", "hold"), "under 'after'")
    doc = f"What differs for this SLO in the phase '{phase}'."
    return Table(f"slo-{phase}", doc, _phase_keys(phase), elsewhere=elsewhere)


def _slo(values: dict[str, Any]) -> Slo:
    rules: dict[str, Any] = {phase: _rule(values, phase) for phase in ("before", "during", "after")}
    plain = {k: v for k, v in values.items() if k not in rules}
    return Slo(**plain, **rules)


def _rule(values: Mapping[str, Any], phase: str) -> PhaseRule:
    override = dict(values.get(phase) or {})
    objective = override.pop("objective", values["objective"])
    return PhaseRule(objective, **override)


def _guard(values: dict[str, Any]) -> Guard:
    hold_for = values.pop("for", 0.0)
    return Guard(hold_for=hold_for, **values)


SLO = Table(
    "slo",
    "An SLO: a query, or a pair of 'total' with 'bad' or 'good', and what is promised of its values.",
    (
        Key(
            "name",
            s.NAME,
            "Name of the SLO, unique in the file.",
            required=True,
            examples=("error-ratio",),
        ),
        *_QUERIES,
        Key(
            "objective",
            s.OBJECTIVE,
            _OBJECTIVE_DOC,
            required=True,
            examples=_OBJECTIVE_EXAMPLES,
            mistaken=("threshold", "slo", "expect"),
        ),
        Key("before", _phase_table("before"), "What differs before the fault."),
        Key("during", _phase_table("during"), "What differs while the fault lasts."),
        Key("after", _phase_table("after"), "What differs after the fault was undone."),
        Key("no_data", s.POLICY, "What a gap in a series stands for.", default="inconclusive"),
        Key(
            "idle",
            s.POLICY,
            "What a point without events stands for: NaN, or a 'total' of 0.",
            default="inconclusive",
        ),
        Key(
            "min_coverage",
            s.SHARE,
            "Share of a phase's points that must have been judged.",
            default="60%",
            examples=("60%", 0.6),
        ),
        Key("weight", s.WEIGHT, "Weight of this SLO in the score.", default=1),
        Key(
            "step",
            s.STEP,
            "Distance of the points; without it the scrape interval that Prometheus tells.",
            examples=("5s",),
        ),
        Key(
            "lookback",
            s.DURATION,
            "How far the query looks back, where that cannot be read from it (recording rules).",
            examples=("5m",),
        ),
        Key(
            "target",
            s.TARGET,
            "Share of good events promised over 'period', for the error budget.",
            examples=("99.9%", 0.999),
        ),
        Key(
            "period",
            s.PERIOD,
            "Length of the window of the error budget.",
            examples=("30d",),
            mistaken=("window",),
        ),
        Key(
            "budget_left",
            s.QUERY,
            "PromQL of the share of the error budget that is left (1: all of it), where a rule records it. "
            "Without it that is asked over the whole period from the SLO's own queries.",
            examples=('1 - slo:sli_error:ratio_rate30d{slo="checkout"} / 0.001',),
            mistaken=("budget", "budget-query", "error-budget"),
        ),
    ),
    rules=(OneQuery(), UpperBounds(), Together()),
    finish=_slo,
)

GUARD = Table(
    "guard",
    "A guard rail: its objective has to hold while the fault lasts, or the run is stopped and undone.",
    (
        Key(
            "name",
            s.NAME,
            "Name of the guard rail, unique among them.",
            required=True,
            examples=("everything-is-down",),
        ),
        *_QUERIES,
        Key(
            "objective",
            s.OBJECTIVE,
            "What has to hold, as in an SLO, with absolute bounds. Any series that breaks it trips the guard.",
            required=True,
            examples=("< 50%",),
            mistaken=("threshold", "condition", "when"),
        ),
        Key(
            "for",
            s.DURATION,
            "How long a series has to break it before the guard trips.",
            default="0s",
            examples=("10s",),
            mistaken=("hold", "duration", "tolerate"),
        ),
    ),
    rules=(OneQuery(), UpperBounds(), NoBaseline()),
    finish=_guard,
)

PHASES = Table(
    "phases",
    "Declared lengths of the three phases. 'during' is a minimum: it is held open until it has passed.",
    (
        Key(
            "before",
            s.DURATION,
            "Judged before the fault, as far as possible from history.",
            default="2m",
        ),
        Key(
            "during",
            s.DURATION,
            "From the first action of the method until all is undone.",
            default="1m",
        ),
        Key("after", s.DURATION, "Watched for recovery after all is undone.", default="2m"),
    ),
    finish=lambda values: Phases(**values),
)


class UniqueNames(ListOf):
    """A list whose members have different names."""

    def read(self, node: Node, path: str, reader: Reader) -> Any:
        if node.is_list:
            self._check(node, path, reader)
        return super().read(node, path, reader)

    def _check(self, node: Node, path: str, reader: Reader) -> None:
        seen: dict[str, int] = {}
        for index, child in enumerate(node.value):
            name = child.get("name")
            given = str(reader.resolve(name).value).strip() if name is not None else ""
            if given and given in seen:
                message = f"the name '{given}' is there twice (first in line {seen[given]})"
                where = f"{path}[{index}].name"
                reader.problem(name or child, where, message, "each name once")
            elif name is not None:
                seen[given] = name.line


GUARDS = UniqueNames(GUARD, "guard rails, each with name, query and objective")
