"""Runs that test hypotheses: by their tags, by their experiments, and the newest answer however old it is."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from sloguard.adapters.store import Store
from sloguard.adapters.store.tables import runs
from tests.support import runs as made
from tests.support.chaos_backlog import tagged


def run_id(number: int) -> str:
    return f"20260101T{number:06d}-x"


def keep(
    store: Store,
    number: int,
    outcome: str = "met",
    *,
    tags: tuple[str, ...] = (),
    experiment: str = "shop",
    kind: str = "run",
    ended: bool = True,
) -> None:
    """A run, with another outcome than its events say."""
    recorder = store.recorder(experiment=experiment, kind=kind)
    name = run_id(number)
    told = made.whole(name)
    for event in tagged(told if ended else told[:3], *tags):
        recorder.record(event)
    if ended:
        with store._database.writing() as connection:
            connection.execute(update(runs).where(runs.c.id == name).values(outcome=outcome))


def numbers(store: Store, tags: tuple[str, ...] = (), names: tuple[str, ...] = (), **more: float) -> list[int]:  # fmt: skip
    found = store.attempts(tags, names, **more)  # type: ignore[arg-type]  # by name
    return [int(a.run[9:15]) for a in found]


def test_runs_are_found_by_tag_and_by_experiment_each_once(store: Store) -> None:
    keep(store, 1, tags=("backlog:a",))
    keep(store, 2, tags=("backlog:b", "backlog:a"), experiment="mail")
    keep(store, 3, experiment="mail")
    keep(store, 4, tags=("other",))
    assert numbers(store, ("backlog:a", "backlog:b")) == [2, 1]
    assert numbers(store, (), ("mail",)) == [3, 2]
    assert numbers(store, ("backlog:a",), ("mail",)) == [3, 2, 1]
    assert numbers(store) == numbers(store, ("backlog",), ("shop%",)) == []
    [found] = store.attempts(("backlog:b",), ())
    assert found.tags == ("backlog:b", "backlog:a")
    assert (found.experiment, found.state) == ("mail", "met")
    assert found.title
    assert found.ended_at is not None


@pytest.mark.parametrize("by_tag", [True, False])
def test_the_newest_answer_is_found_however_many_runs_said_nothing(
    store: Store, by_tag: bool
) -> None:
    keep(store, 1, "met", tags=("backlog:a",))
    keep(store, 2, "deviated", tags=("backlog:a",))
    for number in range(3, 9):
        keep(store, number, "aborted", tags=("backlog:a",))
    key = {"tags": ("backlog:a",)} if by_tag else {"names": ("shop",)}
    found = numbers(store, **key, each=3)  # type: ignore[arg-type]  # by name
    assert found == [8, 7, 6, 2]
    assert numbers(store, **key, each=30) == [8, 7, 6, 5, 4, 3, 2, 1]  # type: ignore[arg-type]  # by name


def test_judging_again_is_no_run_and_one_under_way_is(store: Store) -> None:
    keep(store, 1, tags=("backlog:a",), kind="rejudge")
    keep(store, 2, tags=("backlog:a",), ended=False)
    [found] = store.attempts(("backlog:a",), ("shop",))
    assert (found.run, found.ended_at, found.answer) == (run_id(2), None, None)
    assert found.state == "running"


def test_until_leaves_out_what_began_later(store: Store) -> None:
    keep(store, 1, tags=("backlog:a",))
    start = store.run(run_id(1)).started_at
    for by in ({"tags": ("backlog:a",)}, {"names": ("shop",)}):
        assert numbers(store, **by, until=start) == []  # type: ignore[arg-type]  # by name
        assert numbers(store, **by, until=start + 1) == [1]  # type: ignore[arg-type]  # by name


def test_many_hypotheses_are_asked_for_at_once(store: Store) -> None:
    keep(store, 1, tags=("backlog:h599",))
    assert numbers(store, tuple(f"backlog:h{n}" for n in range(600))) == [1]
