"""Findings on how a query's lookback stands to the phases."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from sloguard.core.model import Guard, Slo
from sloguard.promql.durations import format_duration
from sloguard.promql.findings import Finding, Severity
from sloguard.promql.inspection import Inspection
from sloguard.promql.lookback import Lookback, lookback
from sloguard.promql.surroundings import Surroundings

_WARNING = Severity.WARNING
#: The default of ``hold``, in steps.
_HOLD_STEPS = 3


def timing_findings(
    slo: Slo | Guard, read: Mapping[str, Inspection], around: Surroundings
) -> Iterator[Finding]:
    """What the lookback of the queries that could be read means for the phases."""
    window = around.phases.during + around.phases.after
    found = {
        role: lookback(one.query, window=window, rules=around.rules or ())
        for role, one in read.items()
    }
    for role, one in found.items():
        if one.problem:
            yield from _problem(slo, role, one, around)
    if isinstance(slo, Guard) or any(one.refused for one in found.values()):
        return
    known = [one.seconds for one in found.values() if one.seconds is not None]
    complete = len(known) == len(slo.queries)
    seconds = max(known) if complete else slo.lookback
    if complete:
        yield from _unused(slo, max(known))
    if seconds is not None:
        yield from _during(slo, seconds, around)
        yield from _after(slo, seconds, around)


def _problem(slo: Slo | Guard, role: str, one: Lookback, around: Surroundings) -> Iterator[Finding]:
    if one.refused:
        yield Finding(one.code, Severity.ERROR, one.problem, role, one.position)
    elif isinstance(slo, Slo) and slo.lookback is None:
        asked = around.rules is not None
        severity = Severity.ERROR if asked else _WARNING
        hint = "" if asked else "or check against Prometheus, which knows its rules"
        yield Finding(one.code, severity, one.problem, role, one.position, hint)


def _unused(slo: Slo, seconds: float) -> Iterator[Finding]:
    if slo.lookback is not None and not math.isclose(slo.lookback, seconds):
        yield Finding(
            "promql/lookback-unused",
            _WARNING,
            f"lookback {format_duration(slo.lookback)} is declared, but the query itself tells "
            f"{format_duration(seconds)}, and that counts",
            hint="leave it out",
        )


def _during(slo: Slo, seconds: float, around: Surroundings) -> Iterator[Finding]:
    """A phase without a breach is only met if a point in it is as old as lookback and step."""
    length, step = around.phases.during, around.step(slo.step)
    if length <= 0:
        return
    # The phase's end is not in it: the oldest point is the last of the grid before it.
    oldest = (math.ceil(round(length / step, 6)) - 1) * step
    if oldest >= max(seconds, step):
        return
    fault = f"the {format_duration(length)} fault"
    if seconds >= length:
        than = "longer than" if seconds > length else "as long as"
        message = (
            f"lookback {format_duration(seconds)} is {than} {fault}: it averages the fault away"
        )
    elif seconds > oldest:
        message = (
            f"lookback {format_duration(seconds)} leaves no point in {fault} that sees nothing else: "
            f"at a step of {format_duration(step)} the oldest is {format_duration(oldest)} old"
        )
    else:
        message = (
            f"a step of {format_duration(step)} is too long for {fault}: it has no point of its own"
        )
    longer = max(seconds, step) + step
    yield Finding(
        "promql/lookback-over-during",
        _WARNING,
        f"{message}; without a breach the phase is inconclusive",
        hint=f"shorten the range, or let during be longer than {format_duration(longer)}",
    )


def _after(slo: Slo, seconds: float, around: Surroundings) -> Iterator[Finding]:
    length, step = around.phases.after, around.step(slo.step)
    if length <= 0:
        return
    hold = slo.after.hold if slo.after.hold is not None else _HOLD_STEPS * step
    blur, held = format_duration(seconds), format_duration(hold)
    after = format_duration(length)
    if length < seconds + hold:
        yield Finding(
            "promql/after-too-short",
            _WARNING,
            f"after is {after}, shorter than lookback {blur} + hold {held}: no recovery can be seen "
            "to hold",
            hint=f"let after be {format_duration(seconds + hold)} or longer",
        )
    elif slo.after.recover_within is not None and slo.after.recover_within + hold > length:
        within = format_duration(slo.after.recover_within)
        yield Finding(
            "promql/after-too-short",
            _WARNING,
            f"after is {after}, shorter than recover_within {within} + hold {held}: a late recovery "
            "cannot be seen to hold, which is inconclusive",
            hint=f"let after be {format_duration(slo.after.recover_within + hold)} or longer",
        )
