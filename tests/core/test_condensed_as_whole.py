"""What is kept of many series says the same as all of them: outcome, reasons, score, times and budgets."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sloguard.core.budget_entries import budget_entries
from sloguard.core.condensing import Condensed
from sloguard.core.document import document
from sloguard.core.judge import judge_slo
from sloguard.core.model import Budget, Timeline
from sloguard.core.outcome import RunFacts
from sloguard.core.series import Matrix, SloEvidence, Surroundings, label_set
from sloguard.core.spending import History
from sloguard.core.windows import pinned_grid
from tests.support.engine_world import slo

TIMELINE = Timeline(980.0, 1000.0, 1020.0, 1050.0)
VALUES = ([0.0, 0.05, 0.2, 0.9, np.nan, np.inf], [0.6, 0.1, 0.1, 0.1, 0.05, 0.05])


@st.composite
def evidence(draw: Any, name: str) -> SloEvidence:
    """Anything that Prometheus may answer, with gaps, idle points and series that never breach."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count, step = draw(st.integers(0, 7)), draw(st.sampled_from([1.0, 2.0, 5.0]))
    grid = pinned_grid(TIMELINE, step)
    values = random.choice(VALUES[0], p=VALUES[1], size=(count, grid.count))
    values[random.random(count) < draw(st.sampled_from([0.0, 0.5, 1.0]))] = 0.0
    there = random.random(values.shape) < draw(st.sampled_from([1.0, 0.95, 0.7]))
    labels = tuple(label_set({"pod": f"p{row}"}) for row in range(count))
    during = draw(st.sampled_from(["< 10%", "< 30%", "<= baseline + 10%"]))
    declared = slo(name, query=name, objective="< 10%", during=during)
    declared = replace(declared, step=step, weight=draw(st.sampled_from([0.0, 1.0, 2.5])))
    if draw(st.booleans()):
        declared = replace(declared, target=0.9, period=3600.0)
    return SloEvidence(
        declared,
        grid,
        {"query": Matrix(grid, labels, np.where(there, values, np.nan), there)},
        draw(st.sampled_from([0.0, 4.0, 30.0])),
        scrape_interval=step,
        error=draw(st.sampled_from(["", "", "", "Prometheus was away"])),
    )


def answer(results: Any, budget: Budget | None) -> dict[str, Any]:
    """The document of these results."""
    entries = budget_entries(results, (), budget, TIMELINE)
    facts = RunFacts(experiment="e", timeline=TIMELINE, slos=tuple(results), budget=entries)
    return document(facts)


@given(st.data(), st.integers(1, 5), st.integers(1, 12), st.booleans())
@settings(max_examples=40, deadline=None)
def test_what_is_kept_says_what_all_of_them_say(
    data: st.DataObject, count: int, limit: int, guarded: bool
) -> None:
    budget = Budget(abort_spent=0.01, hold_for=0.0) if guarded else None
    found = [data.draw(evidence(f"slo-{number}")) for number in range(count)]
    judged = [judge_slo(one, TIMELINE, Surroundings(), 30.0) for one in found]
    # The worst of each, and the one that spent most of its budget.
    condensed = Condensed(max(limit, 2 * count), budget=budget, timeline=TIMELINE)
    for one in judged:
        condensed.add(one)
    whole, short = answer(judged, budget), answer(condensed.results(), budget)
    own = {"slos", "budget"}
    assert {k: v for k, v in whole.items() if k not in own} == {
        k: v for k, v in short.items() if k not in own
    }
    for all_of_it, kept in zip(whole["slos"], short["slos"], strict=True):
        omitted = kept.pop("series_omitted", {"count": 0, "verdicts": {}})
        series, some = all_of_it.pop("series"), kept.pop("series")
        assert all_of_it == kept
        assert len(series) == len(some) + omitted["count"]
        verdicts = Counter(one["verdict"] for one in some)
        verdicts.update(omitted["verdicts"])
        assert verdicts == Counter(one["verdict"] for one in series)
        assert all(one in series for one in some)
    for all_of_it, kept in zip(whole["budget"], short["budget"], strict=True):
        for key in ("spent_by_run", "reason", "guard"):
            assert all_of_it.get(key) == kept.get(key), key


def test_of_a_series_that_is_not_told_nobody_says_that_nothing_happened() -> None:
    grid = pinned_grid(TIMELINE, 1.0)
    values = np.zeros((3, grid.count))
    values[0][20:25] = values[1][20:23] = 0.9
    labels = tuple(label_set({"pod": f"p{row}"}) for row in range(3))
    declared = replace(slo("a", query="a", objective="< 10%"), target=0.9, period=3600.0)
    answers = {"query": Matrix(grid, labels, values, values >= 0)}
    judged = judge_slo(
        SloEvidence(declared, grid, answers, 0.0, scrape_interval=1.0),
        TIMELINE,
        Surroundings(),
        30.0,
    )
    condensed = Condensed(2)
    condensed.add(judged)
    left = dict(zip(labels, (0.1, 0.1, 0.8), strict=True))
    history = History(slo="a", at=TIMELINE.fault, spent=left, known=1.0)
    (entry,) = budget_entries(condensed.results(), [history], None, TIMELINE)
    assert (entry["labels"], entry["spent_by_run"]) == ({"pod": "p2"}, None)
    assert entry["reason"] == (
        "what the run spent is unknown: of so many series this one is not told (runs.max_series)"
    )
