"""The backlog in the reports of weeks and of runs: what runs answered, what is to be mended, what is open."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sloguard.adapters.store import Store
from sloguard.core.reporting import StoredReport
from sloguard.render.report.period import week
from sloguard.render.report.subjects import of_file, of_stored
from sloguard.render.report.writing import body_of, markdown_of, page_of
from sloguard.service.reporting import ReportDesk
from tests.render.test_weekly_report import KNOWN, NOW
from tests.support.chaos_backlog import BACKLOG, backlog_desk
from tests.support.chaos_weeks import fill


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Path]]:
    path = tmp_path_factory.mktemp("backlog")
    with Store(str(path / "runs.db")) as store:
        fill(store)
        yield store, path


def desk(shop: tuple[Store, Path], text: str | None = None) -> ReportDesk:
    store, path = shop
    found = backlog_desk(path, store, BACKLOG if text is None else text)
    return ReportDesk(store, known=lambda: KNOWN, new_id=lambda: "r1", now=lambda: NOW, backlog=found)  # fmt: skip


@pytest.fixture(scope="module")
def report(shop: tuple[Store, Path]) -> StoredReport:
    return desk(shop).weekly(week("2026-W47"), weeks=2)


@pytest.fixture(scope="module")
def sums(report: StoredReport) -> Any:
    return report.model["backlog"]


def ids(rows: Any) -> list[str]:
    return [row["id"] for row in rows]


def test_what_the_week_answered_and_what_was_known_before(sums: Any) -> None:
    """Of five: the pod was refuted weeks ago already; the node's newest run said nothing."""
    closed = {row["id"]: (row["answer"], row["before"]) for row in sums["closed"]}
    assert closed == {
        "front-killed": ("confirmed", "refuted"),
        "bank-away": ("refuted", "confirmed"),
    }
    assert all(row["run"] and row["at"].startswith("2026-11-") for row in sums["closed"])


def test_what_is_to_be_mended_and_what_is_open_by_risk(sums: Any) -> None:
    assert ids(sums["refuted"]) == ["pod-lost", "bank-away"]
    assert ids(sums["open"]) == ["search-away", "dns-slow"]
    assert ids(sums["unwritten"]) == ["search-away", "dns-slow"]
    attempts = {row["id"]: row["attempts"] for row in sums["refuted"]}
    # The one that left something behind answers nothing, and is told.
    assert attempts == {"pod-lost": 0, "bank-away": 1}
    assert sums["counts"] == {"refuted": 2, "running": 0, "open": 1, "planned": 1, "confirmed": 3, "accepted": 1, "dropped": 1}  # fmt: skip
    assert sums["total"] == 9


def test_the_matrix_holds_every_one_but_the_dropped(sums: Any) -> None:
    cells = {(row["likelihood"], c["impact"]): c for row in sums["matrix"]["rows"] for c in row["cells"]}  # fmt: skip
    assert ids(cells[5, 5]["hypotheses"]) == ["pod-lost"]
    assert (cells[5, 5]["level"], cells[5, 5]["risk"]) == ("high", 25)
    assert sorted(h["id"] for c in cells.values() for h in c["hypotheses"]) == sorted(
        re.findall(r"id: ([\w-]+)", BACKLOG.replace("id: old", ""))
    )


def test_the_next_steps_name_the_highest_risks(report: StoredReport) -> None:
    steps = [s for s in report.model["next"] if s["kind"] == "hypothesis"]
    assert "Mend what refutes 'Checkout survives a lost pod', and run lose-a-pod again." in steps[0]["do"]  # fmt: skip
    assert any("Write an experiment for 'We believe that orders go on" in s["do"] for s in steps)


def test_a_week_knows_no_later_run(shop: tuple[Store, Path]) -> None:
    earlier = desk(shop).weekly(week("2026-W46"), weeks=1).model["backlog"]
    stands = {row["id"] for row in earlier["refuted"]}
    assert "front-killed" in stands
    assert "bank-away" not in stands
    assert ids(earlier["closed"]) == ["bank-away"]


def test_every_form_says_it_and_nothing_of_it_is_markup(report: StoredReport) -> None:
    for text in (markdown_of(report.model), report.body):
        assert "7. Hypotheses" in text
        assert "8. What to do next" in text
        assert "<b>whoever</b>" not in text
        assert "\u2068" not in text
        for id in ("pod-lost", "bank-away", "search-away", "region-lost"):
            assert id in text
    page = page_of(report.model, report.body)
    assert page.count("<h2>") == 8
    matrix = markdown_of(report.model).split("| likelihood |")[1].split("\n\n")[0]
    assert [line.count("|") for line in matrix.splitlines()[1:]] == [7] * 6


def test_without_a_backlog_nothing_is_said_of_it(shop: tuple[Store, Path]) -> None:
    store, _ = shop
    plain = ReportDesk(store, known=lambda: KNOWN, new_id=lambda: "r1", now=lambda: NOW)
    made = plain.weekly(week("2026-W47"), weeks=1)
    assert made.model["backlog"] is None
    assert "Hypotheses" not in made.body
    # One that was kept before there was a backlog is still readable.
    old = {key: value for key, value in made.model.items() if key != "backlog"}
    assert markdown_of(old) == markdown_of(made.model)
    assert body_of(old, {}) == body_of(made.model, {})


@pytest.mark.parametrize(("text", "told"), [("hypotheses: []", "holds no hypothesis yet"), ("hypotheses: 3", "backlog.yaml:1:13: hypotheses: found the number 3")])  # fmt: skip
def test_an_empty_or_broken_one_is_told(shop: tuple[Store, Path], text: str, told: str) -> None:
    made = desk(shop, text).weekly(week("2026-W47"), weeks=1)
    assert told in made.body
    assert told in markdown_of(made.model)
    assert str(shop[1]) not in made.body


def test_a_run_says_what_it_tests(shop: tuple[Store, Path]) -> None:
    store, _ = shop
    run = next(r for r in store.runs(50) if r.experiment == "lose-a-pod")
    made = desk(shop).runs([of_stored(store.run(run.id))])
    [tested] = made.model["subjects"][0]["tests"]
    assert (tested["id"], tested["status"], tested["risk"]) == ("pod-lost", "refuted", 25)
    for text in (made.body, markdown_of(made.model)):
        assert "Tests the hypothesis" in text
        assert "checkout survives a lost pod." in text


def test_a_journal_says_what_it_tests_too(shop: tuple[Store, Path]) -> None:
    journal = json.loads((Path(__file__).parents[1] / "golden" / "journal.json").read_text())
    journal["experiment"] = {**journal["experiment"], "backlog": ["pod-lost", "unheard-of"]}
    made = desk(shop).runs([of_file(json.dumps(journal), "journal.json")])
    told = [(t["id"], t["status"]) for t in made.model["subjects"][0]["tests"]]
    assert told == [("pod-lost", "refuted"), ("unheard-of", "")]
    assert "unheard-of" in made.body
