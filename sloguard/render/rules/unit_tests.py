"""Unit tests of a level's rules for promtool: does the right alert fire when the budget burns, and nothing else?

What is expected comes from ``expectation``, which does not know the rules that are tested. Moments of which it cannot
tell are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sloguard.core.burning import Burn
from sloguard.core.service_levels import Budgeting, ServiceLevel
from sloguard.promql.windowed import quoted, window_text
from sloguard.render.rules.expectation import EVALUATED, expected
from sloguard.render.rules.files import as_yaml
from sloguard.render.rules.groups import LevelRules, rules_of
from sloguard.render.rules.series import ALERT
from sloguard.render.rules.simulation import PER_MINUTE, Made, blur_of, simulated, stood_in

#: All is well for so long before it burns that windows of an hour and of six tell different stories.
_HEALTHY, _HOUR = 330, 60
#: The longest simulation, minutes: windows are as long as the history at most, so short ones say as much.
_LONG = 120
#: The longest one that is looked for, and how long ago a bad spell must be for the short windows of pages.
_LONGEST, _FORGOTTEN = 12 * _HOUR, 46


@dataclass(frozen=True, slots=True)
class Scenario:
    """``shares``: how bad each minute is. ``at``: minutes at which the alerts are looked at."""

    name: str
    shares: tuple[float, ...]
    at: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class UnitTests:
    """``rules``: the levels that it needs rules of. ``stand_ins``: they are not those of the SLO file."""

    text: str
    levels: tuple[ServiceLevel, ...]
    stand_ins: bool


#: A level, the names of its groups in their order, its tests.
_Tested = tuple[ServiceLevel, list[str], list[dict[str, Any]]]


def unit_test_files(
    rules: Sequence[LevelRules], rule_file: str, stand_in_file: str
) -> tuple[UnitTests, ...]:
    """One file of tests for the levels whose queries can be simulated, and one for the rest, if there are any.

    Each names the file of rules that it tests, as given.
    """
    made: dict[bool, list[_Tested]] = {False: [], True: []}
    for one in rules:
        away = simulated(one.level, (0.0, 1.0)) is None
        level = stood_in(one.level) if away else one.level
        names = [str(group["name"]) for group in (rules_of(level) if away else one).groups]
        made[away].append((level, names, _tests(level, one)))
    files = []
    for stand_ins, found in made.items():
        if found:
            document = {
                "rule_files": [stand_in_file if stand_ins else rule_file],
                "evaluation_interval": f"{EVALUATED}m",
                # What is recorded first is there for what is made of it; promtool would shuffle them.
                "group_eval_order": [name for _, names, _ in found for name in names],
                "tests": [test for *_, tests in found for test in tests],
            }
            levels = tuple(level for level, *_ in found)
            files.append(UnitTests(_HEADER + as_yaml(document), levels, stand_ins))
    return tuple(files)


_HEADER = "# Made by 'sloguard rules test': run it with 'promtool test rules'.\n"


def _tests(level: ServiceLevel, rules: LevelRules) -> list[dict[str, Any]]:
    found = [_test(level, rules.burns.alerts, scenario) for scenario in scenarios(level, rules)]
    return [test for test in found if test is not None] + [_idle(level)]


def scenarios(level: ServiceLevel, rules: LevelRules) -> list[Scenario]:
    """Stories of a level: a fast burn and its end, a slow burn, and one that the objective allows."""
    budget, alerts = level.budget, rules.burns.alerts
    if not alerts:
        return []
    paint = _painter(level)
    worst = min(1.0, 2 * max(burn.factor for burn in alerts) * budget)
    start = max(_HEALTHY, 2 * _slice_minutes(level))
    until = start + 90 + _slice_minutes(level) // 2 * 2
    fast = [0.0] * start + paint(worst, until - start, burst=True) + [0.0] * 46
    stories = [
        Scenario(
            "a fast burn raises alerts, and its end takes them back",
            tuple(fast),
            # Before; when only the shorter pair of a page can know; at the end; when only the longer one still does.
            (start - 2, start + 50, until - 2, until + 10, until + 44),
        ),
        Scenario(
            "what the objective allows raises nothing",
            tuple(paint(0.8 * min(burn.factor for burn in alerts) * budget, _LONG)),
            (_HOUR, 90, _LONG - 2),
        ),
    ]
    slow = _slow(level, rules)
    return [*stories, slow] if slow is not None else stories


def _slow(level: ServiceLevel, rules: LevelRules) -> Scenario | None:
    """A burn between ticket and page; None where there is no room between them, or it takes too long."""
    pages, tickets = rules.burns.of("page"), rules.burns.of("ticket")
    if not pages or not tickets or pages[-1].factor <= tickets[-1].factor:
        return None
    name = "a slow burn raises a ticket and no page"
    if _graded(level):
        lowest = min(b.factor for b in tickets)
        # Where nothing but the slowest pair fires: what the faster ones see is in the story of the fast burn.
        between = (lowest + min(b.factor for b in rules.burns.alerts if b.factor > lowest)) / 2
        return Scenario(name, (round(between * level.budget, 6),) * _LONG, (_HOUR, 90, _LONG - 2))
    # Wholly bad minutes, and then good ones, until only the long windows remember.
    for length in range(_HOUR, _LONGEST, 30):
        shares = [0.0] * length
        shares[length - 2 - _FORGOTTEN : length - _FORGOTTEN] = [1.0] * EVALUATED
        at = length - 2
        if expected(level, rules.burns.alerts, shares, at) == {"page": False, "ticket": True}:
            return Scenario(name, tuple(shares), (at,))
    return None


def _slice_minutes(level: ServiceLevel) -> int:
    return 0 if level.slice_window is None else int(np.ceil(level.slice_window / 60))


def _graded(level: ServiceLevel) -> bool:
    """Whether a minute can be bad to some share."""
    return level.indicator.threshold is None and level.budgeting is not Budgeting.TIMESLICES


def _painter(level: ServiceLevel) -> Callable[..., list[float]]:
    """Minutes with a share of bad: each of them a little where that counts, else a few of them wholly."""
    graded = _graded(level)

    def paint(share: float, count: int, *, burst: bool = False) -> list[float]:
        if graded:
            return [round(share, 6)] * count
        if burst:
            return [1.0] * count
        # A slice is bad as soon as some of it is: bad minutes are rarer by that much.
        spell = EVALUATED + max(0, _slice_minutes(level) - 1) + blur_of(level).minutes
        every = int(np.ceil(spell / share / EVALUATED)) * EVALUATED
        return [float(minute % every >= every - EVALUATED) for minute in range(count)]

    return paint


def _test(level: ServiceLevel, alerts: Sequence[Burn], scenario: Scenario) -> dict[str, Any] | None:
    checks = []
    for minute in scenario.at:
        found = expected(level, alerts, scenario.shares, minute)
        if None not in found.values():
            checks.append(_check(level, minute, [s for s, fires in found.items() if fires]))
    series = simulated(level, scenario.shares)
    if not checks or series is None:
        return None
    return _named(level, scenario.name, series, checks)


def _idle(level: ServiceLevel) -> dict[str, Any]:
    """Nothing happens: counters stand still, gauges are gone."""
    quiet = (0.0,) * (_HOUR + 2)
    series = simulated(level, quiet) or []
    still = [Made(one.series, (one.values[0],) * len(one.values)) for one in series]
    made = still if level.indicator.total is not None else []
    return _named(level, "no traffic raises nothing", made, [_check(level, _HOUR, [])])


def _named(
    level: ServiceLevel, name: str, series: Sequence[Made], checks: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "name": f"{level.name}: {name}",
        "interval": window_text(60 / PER_MINUTE),
        "input_series": [one.as_input() for one in series],
        "promql_expr_test": checks,
    }


def _check(level: ServiceLevel, minute: int, severities: Iterable[str]) -> dict[str, Any]:
    name = quoted(level.name)
    alerts = f'ALERTS{{alertname="{ALERT}", alertstate="firing", slo={name}}}'
    return {
        "expr": f"count by (severity) ({alerts})",
        "eval_time": window_text(minute * 60),
        "exp_samples": [{"labels": f'{{severity="{s}"}}', "value": 1} for s in sorted(severities)],
    }
