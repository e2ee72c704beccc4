"""The newest runs of many experiments: one question, however many there are."""

from __future__ import annotations

from sqlalchemy import insert

from sloguard.adapters.store import Store
from sloguard.adapters.store.browsing import _RECENT_OF_LIST
from sloguard.adapters.store.tables import runs


def keep(store: Store, experiment: str, numbers: range, kind: str = "run") -> None:
    rows = [
        {**store._blank(1.0), "id": f"r{number:04}", "experiment": experiment, "kind": kind, "ended_at": 2.0, "outcome": "met"}
        for number in numbers
    ]  # fmt: skip
    with store._database.writing() as connection:
        connection.execute(insert(runs), rows)


def ids(store: Store, names: list[str], limit: int) -> dict[str, list[str]]:
    found = store.recent_runs(names, limit)
    return {name: [run.id for run in several] for name, several in found.items()}


def test_of_each_the_newest_and_nothing_that_was_judged_again(store: Store) -> None:
    odd = 'it\'s "ödd", [1]'
    keep(store, "shop", range(10))
    keep(store, odd, range(10, 12))
    keep(store, "shop", range(12, 20), kind="rejudge")
    keep(store, "mail", range(20, 40))
    assert ids(store, ["shop", odd, "nobody", "shop"], 3) == {
        "shop": ["r0009", "r0008", "r0007"],
        odd: ["r0011", "r0010"],
        "nobody": [],
    }
    assert len(ids(store, ["mail"], 12)["mail"]) == 12
    assert ids(store, [], 3) == {}


def test_sqlite_goes_to_the_newest_of_each_and_reads_no_other(store: Store) -> None:
    if not store._database.is_sqlite:
        return
    keep(store, "shop", range(50))
    statement = str(_RECENT_OF_LIST.compile(store._database.engine))
    with store._database.reading() as connection:
        given = ('["shop"]', "rejudge", 8, 0)
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given).all()
    steps = [row[3] for row in plan]
    assert any(step.startswith("SEARCH runs USING INDEX") for step in steps), steps
    # The ids are found once, not anew for each run.
    assert "CORRELATED LIST" not in " ".join(steps)
    assert any("runs_by_experiment" in step for step in steps), steps
