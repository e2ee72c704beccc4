"""How it stands with hypotheses: what runs say, what people said, and which of them wins."""

from __future__ import annotations

import random

import pytest

from sloguard.core.backlog import (
    Attempt,
    Backlog,
    Hypothesis,
    Offered,
    Standing,
    Status,
    answers,
    ids_in,
    level_of,
    matrix,
    may_be_named,
    names_file,
    next_of,
    standing,
    standings,
)


def hypothesis(id: str = "a", **more: object) -> Hypothesis:
    given: dict[str, object] = {"likelihood": 3, "impact": 3, **more}
    return Hypothesis(id=id, hypothesis=f"We believe in {id}", **given)  # type: ignore[arg-type]  # by name


def attempt(number: int, state: str, *, tags: tuple[str, ...] = ("backlog:a",), source: str = "") -> Attempt:  # fmt: skip
    ended = None if state in ("running", "interrupted") else number + 0.5
    return Attempt(f"2026010{number}T000000", "x", "X", source, tags, float(number), ended, state, "")  # fmt: skip


def stands(one: Hypothesis, *attempts: Attempt) -> Standing:
    return standing(one, attempts, ())


def test_met_confirms_and_deviated_refutes() -> None:
    assert stands(hypothesis(), attempt(1, "met")).status is Status.CONFIRMED
    assert stands(hypothesis(), attempt(1, "deviated")).status is Status.REFUTED


def test_of_runs_of_the_same_second_the_one_that_began_later_counts() -> None:
    first = attempt(1, "met")._replace(run="20260101T000000-ffffff", started_at=1.2)
    second = attempt(1, "deviated")._replace(run="20260101T000000-000000", started_at=1.8)
    third = attempt(1, "inconclusive")._replace(run="20260101T000000-aaaaaa", started_at=1.9)
    found = stands(hypothesis(), first, third, second)
    assert (found.status, found.decided) == (Status.REFUTED, second)
    assert found.attempts == (third, second, first)
    assert found.unanswered == (third,)


@pytest.mark.parametrize(
    "state", ["inconclusive", "not-started", "aborted", "not-restored", "interrupted"]
)
def test_what_says_nothing_leaves_it_open_and_is_told(state: str) -> None:
    found = stands(hypothesis(), attempt(1, state))
    assert (found.status, found.decided, found.to_write) == (Status.OPEN, None, None)
    assert [a.state for a in found.attempts] == [state]
    assert len(found.unanswered) == 1


def test_a_refuted_one_stays_so_until_a_later_run_is_met() -> None:
    first = attempt(1, "deviated")
    assert stands(hypothesis(), first, attempt(2, "aborted")).status is Status.REFUTED
    mended = stands(hypothesis(status=Status.REFUTED), first, attempt(3, "met"))
    assert mended.status is mended.to_write is Status.CONFIRMED
    again = stands(hypothesis(), attempt(4, "deviated"), attempt(3, "met"), first)
    assert again.status is Status.REFUTED
    assert [a.run[:8] for a in again.attempts] == ["20260104", "20260103", "20260101"]


def test_the_order_in_which_runs_come_is_nothing() -> None:
    runs = [attempt(n, s) for n, s in enumerate(("met", "deviated", "aborted", "met", "deviated"), 1)]  # fmt: skip
    expected = stands(hypothesis(), *runs)
    for seed in range(20):
        mixed = runs.copy()
        random.Random(seed).shuffle(mixed)
        assert stands(hypothesis(), *mixed, *mixed[:2]) == expected


@pytest.mark.parametrize("settled", [Status.ACCEPTED, Status.DROPPED])
def test_what_people_decided_no_run_changes(settled: Status) -> None:
    found = stands(hypothesis(status=settled), attempt(1, "deviated"), attempt(2, "running"))
    assert (found.status, found.to_write) == (settled, None)
    assert found.decided is not None


def test_one_that_runs_is_running_and_nothing_of_it_is_written() -> None:
    found = stands(hypothesis(), attempt(2, "running"), attempt(1, "deviated"))
    assert found.status is Status.RUNNING
    assert found.to_write is Status.REFUTED
    assert stands(hypothesis(), attempt(1, "running")).to_write is None


def test_without_runs_what_is_written_is_what_is_known() -> None:
    for written in (Status.OPEN, Status.PLANNED, Status.CONFIRMED, Status.REFUTED):
        assert stands(hypothesis(status=written)).status is written
    assert stands(hypothesis(status=Status.CONFIRMED), attempt(1, "aborted")).status is Status.CONFIRMED  # fmt: skip


def test_only_runs_that_test_it_count() -> None:
    others = (attempt(1, "met", tags=("backlog:b", "backlog:", "a")), attempt(2, "met", tags=(), source="/x/other.yaml"))  # fmt: skip
    assert stands(hypothesis(experiments=("delay.yaml",)), *others).status is Status.OPEN
    own = attempt(3, "deviated", tags=(), source="/srv/e/demo/delay.yaml")
    assert stands(hypothesis(experiments=("demo/delay.yaml",)), *others, own).status is Status.REFUTED  # fmt: skip
    assert ids_in(("backlog:b", "x", "backlog:a", "backlog:b")) == ("b", "a")


@pytest.mark.parametrize(
    ("pattern", "file", "means"),
    [
        ("delay.yaml", "/e/demo/delay.yaml", True),
        ("./demo/delay.yaml", "/e/demo/delay.yaml", True),
        ("../e/demo/*.yaml", "/e/demo/delay.yaml", True),
        ("kubernetes/delay.yaml", "/e/demo/delay.yaml", False),
        ("lay.yaml", "/e/demo/delay.yaml", False),
        ("/e/demo/d*", "/e/demo/delay.yaml", True),
        ("/other/delay.yaml", "/e/demo/delay.yaml", False),
        ("delay.yaml", "", False),
        ("..", "/e/demo/delay.yaml", False),
    ],
)
def test_a_file_is_meant_by_the_end_of_its_path(pattern: str, file: str, means: bool) -> None:
    assert names_file(pattern, file) is means
    if means:
        # Else its runs would not even be looked for.
        assert may_be_named(pattern, "delay")
        assert may_be_named(pattern, "demo.delay")


def test_names_of_a_catalogue_are_found_whatever_they_were_made_of() -> None:
    assert may_be_named("a/One of two.yaml", "One-of-two")
    assert not may_be_named("a/delay.yaml", "delays")
    assert not may_be_named("", "")


def test_the_highest_risk_comes_first_and_of_equals_the_greater_impact() -> None:
    backlog = Backlog(
        hypotheses=(
            hypothesis("low", likelihood=1, impact=1),
            hypothesis("often", likelihood=4, impact=3),
            hypothesis("hard", likelihood=3, impact=4),
            hypothesis("hard-too", likelihood=3, impact=4),
            hypothesis("gone", likelihood=5, impact=5, status=Status.DROPPED),
            hypothesis("worst", likelihood=5, impact=5),
        )
    )
    found = standings(backlog, (), ())
    assert [s.hypothesis.id for s in found] == ["worst", "hard", "hard-too", "often", "low", "gone"]
    assert [level_of(r) for r in (25, 12, 11, 6, 5, 1)] == ["high", "high", "medium", "medium", "low", "low"]  # fmt: skip


def test_a_run_says_in_a_line_what_it_answers() -> None:
    tags = ("x", "backlog:a", "backlog:b")
    assert answers(tags, "met") == ("hypothesis a: confirmed", "hypothesis b: confirmed")
    assert answers(tags, "deviated")[0] == "hypothesis a: refuted"
    assert answers(tags, "aborted")[0].startswith("hypothesis a: as it was")
    assert answers(("x",), "met") == ()


def test_next_is_the_highest_risk_of_each_kind() -> None:
    backlog = Backlog(
        hypotheses=(
            hypothesis("broken", likelihood=2, experiments=("b.yaml",)),
            hypothesis("with", likelihood=4, experiments=("w.yaml",)),
            hypothesis("with-less", likelihood=1, experiments=("w.yaml",)),
            hypothesis("without", likelihood=3, experiments=("gone.yaml",)),
            hypothesis("taken", likelihood=5, status=Status.ACCEPTED),
        )
    )
    offered = [Offered(name=n, file=f"/e/{n}.yaml") for n in "bw"]
    refuted = attempt(1, "deviated", tags=("backlog:broken",))
    found = next_of(standings(backlog, [refuted], offered))
    assert found.mend is not None
    assert found.mend.hypothesis.id == "broken"
    assert found.run is not None
    assert found.run.hypothesis.id == "with"
    assert found.write is not None
    assert found.write.hypothesis.id == "without"
    nothing = next_of(())
    assert (nothing.mend, nothing.run, nothing.write) == (None, None, None)


def test_an_experiment_may_name_the_hypothesis_instead() -> None:
    offered = [Offered(name="x", file="/e/x.yaml", hypotheses=("a", "z"))]
    assert standing(hypothesis(), (), offered).experiments == (offered[0],)
    assert standing(hypothesis("b"), (), offered).experiments == ()


def test_the_matrix_holds_each_once_but_what_was_dropped() -> None:
    backlog = Backlog(
        hypotheses=(
            hypothesis("a", likelihood=5, impact=1),
            hypothesis("b", likelihood=5, impact=1),
            hypothesis("c", likelihood=1, impact=5),
            hypothesis("gone", status=Status.DROPPED),
        )
    )
    rows = matrix(standings(backlog, (), ()))
    assert [c.risk for c in rows[0]] == [5, 10, 15, 20, 25]
    held = {(c.likelihood, c.impact): [s.hypothesis.id for s in c.standings] for r in rows for c in r}  # fmt: skip
    assert held.pop((5, 1)) == ["a", "b"]
    assert held.pop((1, 5)) == ["c"]
    assert not any(held.values())
