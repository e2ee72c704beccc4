"""Tokens, the audit log, windows, and lists of runs for the service."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sloguard.adapters.store import Store
from sloguard.core import events
from sloguard.core.model import Outcome
from sloguard.ports.service import (
    AuditEntry,
    JobState,
    KeyReused,
    Scope,
    TokenNotFound,
    Window,
    WindowNotFound,
    WindowOver,
    WindowState,
)
from tests.support import runs as made


def test_a_token_is_told_once_and_known_again(store: Store) -> None:
    token, secret = store.create_token("ci", [Scope.RUN, Scope.READ], by="user:ada")
    assert secret.startswith(f"slg_{token.id}_")
    found = store.verify_token(secret)
    assert found is not None
    assert (found.id, found.name, found.scopes) == (token.id, "ci", {Scope.READ, Scope.RUN})
    other, _ = store.create_token("other", [Scope.ADMIN])
    wrong = (
        "",
        secret[:-1],
        secret + "x",
        secret[:-1] + ("A" if secret[-1] != "A" else "B"),
        secret.replace(token.id, other.id),
        "slg_000000000000_" + "A" * 43,
        secret + "\n",
    )
    assert [store.verify_token(text) for text in wrong] == [None] * len(wrong)
    assert [t.name for t in store.tokens()] == ["ci", "other"]


def test_the_secret_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with Store(str(path)) as store:
        _, secret = store.create_token("ci", [Scope.READ])
    whole = sqlite3.connect(path)
    text = "\n".join(whole.iterdump())
    whole.close()
    assert secret.split("_", 2)[2] not in text
    assert "ci" in text


def test_tokens_end(url: str) -> None:
    now = [1000.0]
    with Store(url, now=lambda: now[0]) as store:
        token, secret = store.create_token("a", [Scope.READ], expires_at=1100.0)
        assert store.verify_token(secret) is not None
        now[0] = 1100.0
        assert store.verify_token(secret) is None
        token, secret = store.create_token("b", [Scope.READ])
        assert store.revoke_token(token.id, by="user:ada").revoked_at == 1100.0
        assert store.verify_token(secret) is None
        now[0] = 1200.0
        assert store.revoke_token(token.id, by="user:bob").revoked_by == "user:ada"
        with pytest.raises(TokenNotFound):
            store.revoke_token("unknown")
        with pytest.raises(ValueError, match="without a scope"):
            store.create_token("c", [])


def test_when_a_token_was_used_is_written_once_a_minute(url: str) -> None:
    now = [1000.0]
    with Store(url, now=lambda: now[0]) as store:
        _, secret = store.create_token("a", [Scope.READ])
        seen = []
        for moment in (1000.0, 1059.0, 1060.0):
            now[0] = moment
            store.verify_token(secret)
            seen.append(store.tokens()[0].last_used_at)
        assert seen == [1000.0, 1000.0, 1060.0]


def entry(at: float, **more: Any) -> AuditEntry:
    given = {"who": "user:ada", "where": "10.0.0.1", "action": "run.abort", "target": "r1", **more}
    return AuditEntry(at=at, **given)


def test_the_audit_log_is_read_newest_first(store: Store) -> None:
    numbers = [store.append_audit(entry(float(n), detail={"n": n})) for n in range(4)]
    store.append_audit(entry(9.0, who="token:ci", target="r2"))
    assert [e.at for e in store.audit_entries(limit=2)] == [9.0, 3.0]
    page = store.audit_entries(limit=2, before=numbers[3])
    assert [(e.number, e.detail) for e in page] == [(numbers[2], {"n": 2}), (numbers[1], {"n": 1})]
    assert [e.at for e in store.audit_entries(target="r2")] == [9.0]
    assert [e.at for e in store.audit_entries(who="user:ada", limit=1)] == [3.0]
    assert store.prune_audit(2.0) == 2
    assert len(store.audit_entries()) == 3


def window(id: str = "w1", **more: Any) -> Window:
    marks = {"opened_at": 1000.0, "fault_at": 990.0, "expires_at": 1600.0}
    given = {"title": "Game day", "slos": "shop", "opened_by": "token:litmus", **marks, **more}
    return Window(id=id, **given)


def test_a_window_opens_and_closes_and_is_queued_to_be_judged(url: str) -> None:
    with Store(url, now=lambda: 1100.0) as store:
        wanted = window(tags=("a",), removed={"pod": ("web-1",)}, before=60.0)
        opened, created = store.open_window(wanted)
        assert created
        assert (opened.state, opened.restored_at, opened.removed) == (
            WindowState.OPEN,
            None,
            {"pod": ["web-1"]},
        )
        assert replace(opened, removed=wanted.removed) == wanted
        assert store.jobs() == ()
        closed = store.close_window(
            "w1", 1050.0, not_before=1200.0, by="token:litmus", removed={"node": ["n1"]}
        )
        assert (closed.state, closed.restored_at, closed.closed_at) == (
            WindowState.CLOSED,
            1050.0,
            1100.0,
        )
        assert closed.removed == {"pod": ["web-1"], "node": ["n1"]}
        (job,) = store.jobs()
        assert (job.id, job.kind, job.not_before, job.state) == (
            "w1",
            "window",
            1200.0,
            JobState.QUEUED,
        )
        assert store.close_window("w1", 1050.0, not_before=1.0) == closed
        assert store.close_window("w1", 1600.0, not_before=1.0, expired=True) == closed
        with pytest.raises(WindowOver):
            store.close_window("w1", 1051.0, not_before=1.0)
        with pytest.raises(WindowNotFound):
            store.close_window("w2", 1.0, not_before=1.0)
        assert len(store.jobs()) == 1


def test_a_window_is_opened_once_for_a_key(store: Store) -> None:
    store.open_window(window("w1", idempotency_key="k"))
    again, created = store.open_window(window("w2", idempotency_key="k", fault_at=995.0))
    assert (again.id, again.fault_at, created) == ("w1", 990.0, False)
    with pytest.raises(KeyReused):
        store.open_window(window("w3", idempotency_key="k", slos="other"))
    assert store.open_window(window("w4", idempotency_key="k", opened_by="b"))[1]
    assert [w.id for w in store.windows()] == ["w4", "w1"]
    assert [w.id for w in store.windows(before="w4")] == ["w1"]
    assert store.window("w2") is None


def test_windows_that_nobody_closed(url: str) -> None:
    now = [1000.0]
    with Store(url, now=lambda: now[0]) as store:
        store.open_window(window("w1"))
        store.open_window(window("w2", expires_at=5000.0))
        assert store.expired_windows() == ()
        now[0] = 1600.0
        assert [w.id for w in store.expired_windows()] == ["w1"]
        expired = store.close_window("w1", 1600.0, not_before=1.0, expired=True)
        assert expired.state is WindowState.EXPIRED
        assert store.expired_windows() == ()
        assert [w.id for w in store.windows(WindowState.OPEN)] == ["w2"]


def some_runs(store: Store) -> None:
    """Five of two experiments; the last one by id started first."""
    plan = [("a", "run", 100.0), ("a", "run", 200.0), ("b", "run", 300.0)]
    plan += [("b", "rejudge", 400.0), ("a", "window", 50.0)]
    for n, (name, kind, at) in enumerate(plan):
        recorder = store.recorder(experiment=name, kind=kind, origin="r2" if n == 3 else "")
        first, *_ = made.opening(f"r{n}")
        assert isinstance(first, events.RunStarted)
        recorder.record(replace(first, at=at))
        recorder.record(made.whole(f"r{n}")[-1])


def ids(store: Store, **filters: Any) -> list[str]:
    return [run.id for run in store.runs(**filters)]


def test_runs_by_name_kind_and_time(store: Store) -> None:
    some_runs(store)
    assert ids(store) == ["r4", "r3", "r2", "r1", "r0"]
    assert ids(store, name="a") == ["r4", "r1", "r0"]
    assert ids(store, name="a", kind="run") == ["r1", "r0"]
    assert ids(store, kind="window") == ["r4"]
    assert ids(store, since=0.0) == ["r3", "r2", "r1", "r0", "r4"]
    assert ids(store, since=100.0, until=300.0) == ["r1", "r0"]
    (again,) = store.runs(kind="rejudge")
    assert (again.experiment, again.origin, again.outcome) == ("b", "r2", Outcome.DEVIATED)
    assert store.run("r3").kind == "rejudge"


def test_pages_of_runs_in_both_directions(store: Store) -> None:
    some_runs(store)
    assert ids(store, limit=2, before="r3") == ["r2", "r1"]
    assert ids(store, limit=2, after="r1") == ["r3", "r2"]
    assert ids(store, limit=2, after="r3") == ["r4"]
    assert ids(store, limit=9, after="r0", before="r3") == ["r2", "r1"]
    assert ids(store, limit=2, before="r2", since=0.0) == ["r1", "r0"]
    assert ids(store, limit=2, before="r0", since=0.0) == ["r4"]
    assert ids(store, limit=2, after="r0", since=0.0) == ["r2", "r1"]
    assert ids(store, limit=2, before="gone", since=0.0) == []


def test_a_run_that_is_over_is_kept_whole_or_not_at_all(store: Store) -> None:
    story = made.whole("r1", evidence=[made.make_evidence()])
    broken = [*story[:-1], replace(story[-1], timeline=object())]
    with pytest.raises(Exception, match="object"):
        store.recorder(kind="window").record_whole(broken)
    assert store.runs() == ()
    store.recorder(kind="window").record_whole(story)
    assert [(r.id, r.kind, r.outcome) for r in store.runs()] == [("r1", "window", Outcome.DEVIATED)]
    assert len(store.evidence("r1")) == 1


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"name": "e3"},
        {"outcome": "met"},
        {"tag": "t3"},
        {"tag": "t3", "before": "r002500"},
        {"tag": "t3", "until": 5000.0},
        {"kind": "window"},
        {"since": 100.0, "until": 5000.0},
        {"name": "e3", "until": 5000.0},
        {"outcome": "deviated", "until": 5000.0},
        {"name": "e3", "before": "r002500"},
    ],
    ids=str,
)
def test_lists_look_at_no_more_rows_than_they_show(tmp_path: Path, filters: Any) -> None:
    """By the plan, not by the clock: nothing scans or sorts the whole table."""
    with Store(str(tmp_path / "runs.db")) as store:
        seen: list[tuple[str, Any]] = []
        from sqlalchemy import event

        event.listen(
            store._database.engine,
            "before_cursor_execute",
            lambda _c, _cursor, statement, given, *_: seen.append((statement, given)),
        )
        store.runs(limit=50, **filters)
        statement, given = next(s for s in seen if "FROM runs" in s[0])
        with store._database.reading() as connection:
            plan = [
                row[-1]
                for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given)
            ]
    assert not [step for step in plan if step.startswith("SCAN runs") and "INDEX" not in step], plan
    assert not [step for step in plan if "TEMP B-TREE" in step], plan
