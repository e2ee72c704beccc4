"""An alert rule for an SLO that nothing watched, as the YAML of a Prometheus rule file.

Made of the SLO's own query and objective: what it calls a breach is what the alert fires on.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from sloguard.core.model import PhaseName, Slo, Verdict
from sloguard.core.objective import Bound, Objective, comparisons
from sloguard.core.text import format_duration

_COMPLEMENT = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
#: What people write after ``for``, seconds.
_ROUND = (0, 5, 10, 15, 20, 30, 60, 120, 180, 300, 600, 900, 1800, 3600)
#: How far a rule looks back for series that were there a moment ago.
_GONE = "10m"


def proposed_rule(slo: Slo, series: Mapping[str, Any]) -> str:
    """A rule file with one alert. ``series``: the JSON of the SLO's worst series.

    ``for`` is at most half of the longest breach that was seen, so that the alert would have fired.
    A bound that names the baseline is the one that was measured; empty where there is none.
    """
    gone = not any(_breached(series, phase) for phase in (PhaseName.DURING, PhaseName.AFTER))
    expr = _gone(slo) if gone else _broken(slo, _objective(slo, series), series.get("baseline"))
    if not expr:
        return ""
    longest = max(_longest(series, p) for p in (PhaseName.DURING, PhaseName.AFTER))
    summary = f"{slo.name} is gone" if gone else f"{slo.name} is not {slo.objective.text}"
    value = "" if gone else f" ({_VALUE[slo.unit == '%']})"
    lines = [
        "groups:",
        "- name: sloguard-proposed",
        "  rules:",
        f"  - alert: {_quoted(_alert_name(slo.name))}",
        f"    expr: {_quoted(expr)}",
        f"    for: {format_duration(_for(longest))}",
        "    labels:",
        "      severity: page",
        f"      slo: {_quoted(_literal(slo.name))}",
        "    annotations:",
        f"      summary: {_quoted(_literal(summary) + value)}",
    ]
    return "\n".join(lines) + "\n"


_VALUE = ("{{ $value | humanize }}", "{{ $value | humanizePercentage }}")


def _objective(slo: Slo, series: Mapping[str, Any]) -> Objective:
    """What is promised all the time; where that names the baseline, what the broken phase asks for."""
    if not slo.objective.names_baseline:
        return slo.objective
    broken = [p for p in PhaseName if _deviated(series, p)]
    rules = [slo.rule(phase).objective for phase in broken]
    return next((o for o in rules if not o.names_baseline), slo.objective)


def _deviated(series: Mapping[str, Any], phase: PhaseName) -> bool:
    return bool(series["phases"].get(phase, {}).get("verdict") == Verdict.DEVIATED)


def _longest(series: Mapping[str, Any], phase: PhaseName) -> float:
    return float(series["phases"].get(phase, {}).get("longest_breach_seconds") or 0)


def _breached(series: Mapping[str, Any], phase: PhaseName) -> bool:
    return _deviated(series, phase) and _longest(series, phase) > 0


def _for(longest: float) -> float:
    return max(seconds for seconds in _ROUND if seconds <= longest / 2)


def _broken(slo: Slo, objective: Objective, baseline: Any) -> str:
    """The value, out of its objective."""
    value = _value(slo)
    parts = [
        f"{_wrapped(value)} {_COMPLEMENT[op]} {_number(bound)}"
        for op, bound in _bounds(objective, baseline)
    ]
    return " or ".join(parts)


def _bounds(objective: Objective, baseline: Any) -> Iterator[tuple[str, float]]:
    for op, bound in comparisons(objective):
        known = _resolved(bound, baseline)
        if known is not None:
            yield op, known


def _resolved(bound: Bound, baseline: Any) -> float | None:
    if not bound.baseline:
        return bound.value
    if baseline is None:
        return None
    known = float(baseline)
    return known + bound.value + bound.relative * abs(known)


def _value(slo: Slo) -> str:
    if not slo.is_pair:
        return str(slo.query).strip()
    total = _wrapped(str(slo.total))
    if slo.bad is not None:
        return f"{_wrapped(slo.bad)} / {total}"
    # Where nothing at all is good, there may be no series of it.
    good = f"({_wrapped(str(slo.good))} or {total} * 0)"
    return f"({total} - {good}) / {total}"


def _gone(slo: Slo) -> str:
    """Series that were there a moment ago and are not now."""
    query = _wrapped(str(slo.total if slo.is_pair else slo.query))
    return f"last_over_time({query}[{_GONE}:]) unless {query}"


def _wrapped(query: str) -> str:
    """In brackets; a comment at its end must not swallow what follows."""
    query = query.strip()
    return f"({query}\n)" if "#" in query else f"({query})"


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(float(f"{value:.12g}"))


def _alert_name(name: str) -> str:
    words = re.findall(r"\w+", name.replace("_", " "))
    joined = "".join(word[:1].upper() + word[1:] for word in words)
    return f"{joined or 'Slo'}OutOfObjective"


def _literal(text: str) -> str:
    """Labels and annotations are templates; a text in them stands for itself."""
    return text.replace("{{", '{{ "{{" }}')


def _quoted(text: str) -> str:
    """A YAML scalar in single quotes, or in double ones where it has what only escapes can say."""
    if text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(letter: str) -> str:
    if letter in '\\"':
        return "\\" + letter
    if letter.isprintable():
        return letter
    code = ord(letter)
    known = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
    if letter in known:
        return known[letter]
    return (
        f"\\x{code:02x}"
        if code < 0x100
        else f"\\u{code:04x}"
        if code < 0x10000
        else f"\\U{code:08x}"
    )
