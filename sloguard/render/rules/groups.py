"""Groups of rules of one level: recorded SLIs, what they mean for the budget, and who is told when it burns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sloguard.core.burning import DAY, HOUR, SHORTEST_PERIOD, Burn, Burns, burns, windows
from sloguard.core.objective import format_share
from sloguard.core.service_levels import (
    SERVICE_LABEL,
    SLO_LABEL,
    Budgeting,
    ServiceLevel,
)
from sloguard.promql.errors import PromqlError
from sloguard.promql.inspection import inspect
from sloguard.promql.windowed import over, window_text
from sloguard.render.rules.indicators import Recorded, Rule, recorded
from sloguard.render.rules.series import (
    ALERT,
    BUDGET,
    CURRENT_BURN,
    INFO,
    OBJECTIVE,
    PERIOD,
    PERIOD_BURN,
    REMAINING,
    labels_of,
    number,
    picked,
    ratio_name,
    record,
)

#: How often shares over windows up to one hour, up to a day, and beyond are recorded. None is longer than 2 minutes:
#: Prometheus forgets a value after 5, and an alert would flicker.
RHYTHMS = ((HOUR, "30s", "short"), (DAY - 1, "1m", "medium"), (float("inf"), "2m", "long"))
_RESERVED = frozenset({"alertname", "alertstate", "severity", SLO_LABEL, SERVICE_LABEL})
_OWN_PREFIX = "sloguard.io/"
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class RulesError(ValueError):
    """Service levels that cannot be rules; ``problems`` tells all of them, one line each."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True, slots=True)
class LevelRules:
    """The groups of a level, and what is worth knowing about them."""

    level: ServiceLevel
    groups: tuple[dict[str, Any], ...]
    burns: Burns
    notes: tuple[str, ...] = field(default=())


def rules_of(level: ServiceLevel) -> LevelRules:
    """Raises RulesError with everything that keeps a level from being rules."""
    problems = _problems(level)
    if problems:
        raise RulesError(f"{level.source}: {level.name}: {problem}" for problem in problems)
    slice_window = level.slice_window or 0.0
    found = burns(level.period, level.budget, slice_window=slice_window)
    asked = {w for burn in found.alerts for w in (burn.long, burn.short)}
    spans = sorted({*windows(level.period, slice_window=slice_window), *asked})
    sli = recorded(level, spans)
    labels, label_notes = alert_labels(level)
    groups = [*_recording(level, sli), _meaning(level, spans)]
    alerts = [
        _alert(level, burning, labels)
        for severity in ("page", "ticket")
        if (burning := found.of(severity))
    ]
    if alerts:
        groups.append({"name": f"slo-{level.name}-alerts", "interval": "30s", "rules": alerts})
    notes = (*(f"no {text}" for text in found.dropped), *label_notes)
    return LevelRules(level, tuple(groups), found, notes)


def _problems(level: ServiceLevel) -> list[str]:
    found = []
    if level.period < SHORTEST_PERIOD:
        found.append(
            f"the period {window_text(level.period)} is too short for burn rates; expected at least 1d"
        )
    if level.slice_window is not None and level.slice_window * 2 > level.period:
        found.append("a slice is longer than half of the period")
    own = {"severity", SLO_LABEL, SERVICE_LABEL, *alert_labels(level)[0]}
    for role, query in level.indicator.queries.items():
        try:
            grouping = inspect(over(query, "5m", counter=level.indicator.counter)).grouping
        except PromqlError as error:
            found.append(f"{role}: {error}")
            continue
        taken = sorted(own & grouping.labels) if grouping.kind == "by" else []
        if taken:
            what = ", ".join(taken)
            found.append(
                f"{role}: the query groups by {what}, which would be overwritten by the label of the rules or of "
                "metadata.labels; rename one of them"
            )
    return found


def _recording(level: ServiceLevel, sli: Recorded) -> list[dict[str, Any]]:
    name = f"slo-{level.name}"
    groups = []
    if sli.base:
        groups.append(_group(f"{name}-base", window_text(sli.base_every), sli.base))
    if sli.slices and level.slice_window is not None:
        groups.append(_group(f"{name}-slices", window_text(level.slice_window), sli.slices))
    shorter = 0.0
    for upto, interval, word in RHYTHMS:
        rules = [rule for window, rule in sli.ratios.items() if shorter < window <= upto]
        if rules:
            groups.append(_group(f"{name}-{word}", interval, rules))
        shorter = upto
    return groups


def _group(name: str, interval: str, rules: Iterable[Rule]) -> dict[str, Any]:
    return {"name": name, "interval": interval, "rules": list(rules)}


def _meaning(level: ServiceLevel, spans: list[float]) -> dict[str, Any]:
    """What is promised, and how the budget stands."""
    labels, budget = labels_of(level), number(level.budget)
    shortest = picked(ratio_name(spans[0]), level)
    whole = picked(ratio_name(level.period), level)
    info = {
        **labels,
        "slo_method": level.budgeting.value,
        "slo_objective": format_share(level.target),
    }
    if level.display_name:
        info["slo_title"] = level.display_name
    rules = [
        record(OBJECTIVE, f"vector({number(level.target)})", labels),
        record(BUDGET, f"vector({budget})", labels),
        record(PERIOD, f"vector({number(level.period / DAY)})", labels),
        record(CURRENT_BURN, f"{shortest} / {budget}", labels),
        record(PERIOD_BURN, f"{whole} / {budget}", labels),
        record(REMAINING, f"1 - {picked(PERIOD_BURN, level)}", labels),
        record(INFO, "vector(1)", info),
    ]
    return _group(f"slo-{level.name}-budget", "1m", rules)


def _alert(level: ServiceLevel, burning: tuple[Burn, ...], labels: Mapping[str, str]) -> Rule:
    parts = [_burns(level, burn) for burn in burning]
    expr = "\nor\n".join(f"(\n  {part}\n)" for part in parts)
    severity = burning[0].severity
    return {
        "alert": ALERT,
        "expr": expr,
        # Those that the series bear already tell the rules of several SLOs apart.
        "labels": {"severity": severity, **_literal(labels_of(level)), **labels},
        "annotations": _annotations(level, burning),
    }


def _burns(level: ServiceLevel, burn: Burn) -> str:
    threshold = f"{number(burn.factor)} * {number(level.budget)}"
    spans = dict.fromkeys((burn.long, burn.short))
    return "\n  and\n  ".join(f"{picked(ratio_name(w), level)} > {threshold}" for w in spans)


def _annotations(level: ServiceLevel, burning: tuple[Burn, ...]) -> dict[str, str]:
    title = escaped(level.display_name or level.name)
    windows_text = " or ".join(
        f"{window_text(b.long)} ({number(b.factor)} x the budget's pace)" for b in burning
    )
    allowed = f"{format_share(level.budget)} may fail over {window_text(level.period)}"
    made = {
        "summary": f"{title}: the error budget burns too fast",
        "description": f"{{{{ $value | humanizePercentage }}}} of {_what(level)} failed over the last "
        f"{windows_text}, and it goes on; {allowed}."
        + (f" {escaped(level.description)}" if level.description else ""),
    }
    for key, value in level.annotations.items():
        name = key.removeprefix(_OWN_PREFIX)
        if _LABEL.fullmatch(name) and name not in made:
            made[name] = escaped(value)
    return made


def _what(level: ServiceLevel) -> str:
    if level.budgeting is not Budgeting.OCCURRENCES:
        return f"the slices of {window_text(level.slice_window or 0)}"
    return "the time" if level.indicator.total is None else "the events"


def alert_labels(level: ServiceLevel) -> tuple[dict[str, str], list[str]]:
    """``metadata.labels`` as Prometheus can bear them, and which of them it cannot."""
    made: dict[str, str] = {}
    notes = []
    for key, value in level.labels.items():
        name = re.sub(r"[^a-zA-Z0-9_]", "_", key)
        name = f"_{name}" if name[:1].isdigit() else name
        if name in _RESERVED or name.startswith("__") or not name or name in made:
            notes.append(f"label '{key}': taken for something else, left out")
        else:
            made[name] = escaped(value)
    return made, notes


def _literal(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: escaped(value) for name, value in labels.items()}


def escaped(text: str) -> str:
    """A text in which Prometheus's templates find nothing to do."""
    return text.replace("{{", '{{ "{{" }}')
