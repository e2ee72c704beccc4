"""The judge held against a second reading of its contract (reference_judge.py), on random evidence."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sloguard.core.judge import judge_slo
from sloguard.core.model import PhaseName, Verdict
from sloguard.core.results import SloResult
from tests.core.reference_judge import Series, reference_judge
from tests.support.random_evidence import Given, random_case

FIELDS = (
    "points",
    "gaps",
    "idle",
    "breach_seconds",
    "longest_breach_seconds",
    "worst",
    "worst_at",
    "first_breach_seconds",
    "recovered_seconds",
    "recovered_between_seconds",
)
NONSENSE = re.compile(r"nan|None|inf\b|array|-\d+(\.\d+)?m?s in|(?<![\d.m])0s in breach|  ")


def same(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    if isinstance(a, tuple):
        return all(same(x, y) for x, y in zip(a, b, strict=True))
    return a == b or math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)


def differences(case: Given, expected: list[Series], result: SloResult) -> Iterator[str]:
    """Where the two answers differ, in words."""
    found = {series.labels: series for series in result.series}
    for series in expected:
        got = found.get(series.labels)
        if got is None:
            # An answer without a sample is shown as a series only where it proves a breach.
            if series.labels:
                yield f"{series.labels}: not in the answer"
            continue
        if case.evidence.lookback is None:
            continue
        for name in ("verdict", "baseline", "budget_burned", "budget_is_lower_bound"):
            if not same(getattr(series, name), getattr(got, name)):
                yield f"{series.labels} {name}: {getattr(series, name)}, not {getattr(got, name)}"
        for phase in PhaseName:
            theirs, mine = series.phases[phase], got.phases[phase]
            if theirs.verdict is not mine.verdict:
                yield f"{series.labels} {phase}: {theirs.verdict}, not {mine.verdict} ({mine.reason})"
            elif mine.verdict is not Verdict.NOT_JUDGED:
                for name in FIELDS:
                    a, b = getattr(theirs, name), getattr(mine, name)
                    if not same(a, b):
                        yield f"{series.labels} {phase} {name}: {a}, not {b}"


def judged(case: Given) -> SloResult:
    return judge_slo(case.evidence, case.timeline, case.surroundings, case.declared_after)


def check(random: Random) -> None:
    case = random_case(random)
    verdict, series = reference_judge(
        case.evidence, case.timeline, case.surroundings, case.declared_after
    )
    result = judged(case)
    wrong = list(differences(case, series, result))
    if verdict is not result.verdict:
        wrong.insert(0, f"the SLO: {verdict}, not {result.verdict} ({result.reason})")
    assert not wrong, "\n".join(wrong)
    for text in reasons(result):
        assert not NONSENSE.search(text.replace("Inf", "∞")), text


def reasons(result: SloResult) -> Iterator[str]:
    yield result.reason
    for series in result.series:
        yield series.reason
        yield from (phase.reason for phase in series.phases.values())


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.randoms(use_true_random=False))
def test_the_judge_says_what_the_second_reading_says(random):
    check(random)


@settings(max_examples=1000, deadline=None)
@given(st.integers(0, 2**32))
def test_and_so_it_does_for_many_more(seed):
    check(Random(seed))


def test_the_cases_are_interesting():
    """Every verdict and most reasons are met often enough for a difference in them to be found."""
    seen: dict[str, int] = {}
    words = (
        "gone dark",
        "no data for",
        "Prometheus was away",
        "recovered",
        "not recovered",
        "but held for",
        "averages the fault away",
        "as old as the lookback",
        "no baseline",
        "baseline is 0",
        "nothing to judge",
        "have data",
        "ended before the fault",
        "ended with its pod",
        "no_data rule",
        "idle rule",
        "idle all through",
        "a step",
    )
    for seed in range(1200):
        result = judged(random_case(Random(seed)))
        seen[str(result.verdict)] = seen.get(str(result.verdict), 0) + 1
        texts = " ".join(reasons(result))
        for word in words:
            seen[word] = seen.get(word, 0) + (word in texts)
    assert all(seen[str(v)] > 150 for v in Verdict if v is not Verdict.NOT_JUDGED), seen
    assert all(seen[word] >= 5 for word in words), seen
