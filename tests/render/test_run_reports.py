"""Reports of runs: stored ones, verdicts in files, journals of the Chaos Toolkit; one, and several side by side."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sloguard.adapters.store import Store
from sloguard.core.history import StoredRun
from sloguard.core.people import RunNote
from sloguard.render.report import ReportError
from sloguard.render.report.runs import MOST_RUNS, runs_model
from sloguard.render.report.subjects import Subject, of_file, of_stored
from sloguard.render.report.writing import body_of, markdown_of, page_of
from sloguard.service.reporting import ReportDesk
from tests.support import runs as made
from tests.support.golden import GOLDEN, same_as_golden
from tests.support.notices import BUDGET, verdict

NOW = made.FAULT + 3600
SECRET = "hunter2-the-secret"


def journal(**changes: Any) -> dict[str, Any]:
    """As ``chaos run`` writes one: nothing of sloguard's in it."""
    found: dict[str, Any] = json.loads((GOLDEN / "journal.json").read_text("utf-8"))
    found.pop("sloguard", None)
    return {**found, **changes}


def model_of(*subjects: Subject) -> Any:
    return runs_model(subjects, now=NOW)


def text_of(data: Mapping[str, Any], name: str = "journal.json") -> str:
    return markdown_of(model_of(of_file(json.dumps(data), name)))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One stored run, and a desk that can draw it."""
    with Store(str(tmp_path_factory.mktemp("runs") / "runs.db")) as store:
        for event in made.whole():
            store.record(event)
        desk = ReportDesk(store, known=lambda: pytest.fail("not asked for"), new_id=lambda: "r1", now=lambda: NOW)  # fmt: skip
        yield store, desk


def test_a_stored_run_is_told_whole(kept: Any) -> None:
    _, desk = kept
    report = desk.runs(desk.stored([made.RUN]))
    same_as_golden("report-run.md", markdown_of(report.model))
    page = page_of(report.model, report.body)
    assert page.count("data:image/svg+xml;base64,") == 1
    for text in ("Losing a replica", "front-answers", "processes.kill", "checkout[4711]", "lose-a-replica", "12%, not &lt; 5%"):  # fmt: skip
        assert text in page, text
    # The store has masked it, and nothing brings it back.
    assert SECRET not in page
    assert "*****" in page
    assert report.title == "Losing a replica"
    assert (report.start, report.end) == (made.FAULT - 60, made.FAULT + 120)


def test_a_run_without_a_verdict_is_no_report(tmp_path: Path) -> None:
    with Store(str(tmp_path / "runs.db")) as store:
        for event in made.opening():
            store.record(event)
        run: StoredRun = store.run("latest")
    with pytest.raises(ReportError, match="no verdict yet"):
        of_stored(run)


def test_several_runs_begin_with_what_differs(kept: Any) -> None:
    _, desk = kept
    verdict = json.loads((GOLDEN / "verdict-deviated.json").read_text("utf-8"))
    better = copy.deepcopy(verdict)
    better["outcome"] = better["slos"][0]["verdict"] = "met"
    model = model_of(
        *(of_file(json.dumps(d), f"{n}.json") for n, d in enumerate((verdict, better)))
    )
    rows = model["comparison"]["rows"]
    assert [row["differs"] for row in rows] == sorted((r["differs"] for r in rows), reverse=True)
    assert rows[0]["name"] == verdict["slos"][0]["name"]
    assert [cell["verdict"] for cell in rows[0]["cells"]] == ["deviated", "met"]
    assert model["headline"] == "2 runs: 1 deviated, 1 met."
    page = body_of(model, {})
    assert page.index("SLO by SLO") < page.index('id="run-1"') < page.index('id="run-2"')
    mixed = desk.runs([*desk.stored([made.RUN]), of_file(json.dumps(journal()), "journal.json")])
    assert "journal.json, a Chaos Toolkit journal" in mixed.body


@pytest.mark.parametrize(
    ("changes", "outcome", "says"),
    [
        ({}, "deviated", "a probe was out of its tolerance"),
        ({"deviated": False, "status": "completed", "steady_states": None}, "inconclusive", "it has no probes"),
        ({"status": "aborted", "deviated": False}, "aborted", "does not say whether everything was undone"),
        ({"status": "interrupted", "deviated": False}, "aborted", "interrupted"),
        ({"status": "failed", "deviated": False, "steady_states": {"before": {"steady_state_met": False, "probes": []}}}, "not-started", "did not hold before"),
    ],
)  # fmt: skip
def test_journals_say_what_is_known(changes: dict[str, Any], outcome: str, says: str) -> None:
    subject = of_file(json.dumps(journal(**changes)), "journal.json")
    assert subject.document["outcome"] == outcome
    text = text_of(journal(**changes))
    assert says in text.lower() or says in text
    assert "it has no samples" in text


def test_a_journal_whose_probes_all_held_is_met() -> None:
    data = journal(deviated=False, status="completed")
    for state in (data["steady_states"]["before"], data["steady_states"]["after"]):
        for probe in state["probes"]:
            probe.update(tolerance_met=True, status="succeeded", exception=None)
    data["steady_states"]["during"] = []
    assert of_file(json.dumps(data), "j").document["outcome"] == "met"


def test_times_without_a_zone_are_utc() -> None:
    data = journal(start="2026-01-01T11:59:00.000000", end="2026-01-01T12:02:02")
    marks = of_file(json.dumps(data), "j").document["timeline"]
    assert (marks["start"], marks["end"]) == ("2026-01-01T11:59:00Z", "2026-01-01T12:02:02Z")


def test_the_secrets_of_a_journal_stay_in_it() -> None:
    data = journal()
    data["experiment"]["secrets"] = {
        "shop": {"token": SECRET, "pin": 948213, "from": {"type": "env", "key": "TOKEN"}}
    }
    data["experiment"]["configuration"] = {"url": f"https://u:{SECRET}@shop"}
    data["run"][0]["output"] = {"used": f"Bearer {SECRET}", "pin": "948213"}
    data["run"][0]["activity"]["name"] = f"call with {SECRET}"
    model = model_of(of_file(json.dumps(data), "journal.json"))
    for text in (json.dumps(model), markdown_of(model), page_of(model, body_of(model, {}))):
        assert SECRET not in text
        assert "948213" not in text
    # Where a secret comes from is none.
    assert "key: TOKEN" in model["subjects"][0]["definition"]


def test_our_own_journal_is_as_good_as_its_document() -> None:
    verdict = json.loads((GOLDEN / "verdict-deviated.json").read_text("utf-8"))
    ours = of_file(json.dumps(journal(sloguard=verdict)), "journal.json")
    assert ours.document["slos"] == verdict["slos"]
    assert ours.sentence == ""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "this is no JSON"),
        ("[" * 100_000, "this is no JSON"),
        ("[]", "expected an object, found list"),
        ("{}", "neither a verdict"),
        ('{"outcome": "fine"}', "expected one of met"),
        ('{"outcome": "met", "slos": 7}', "slos: expected a list"),
        ('{"outcome": "met", "slos": [{"name": "x"}]}', "this is no verdict document"),
        ('{"outcome": "met", "activities": [{}]}', "this is no verdict document"),
        ('{"experiment": {}, "steady_states": 5, "run": []}', "the journal cannot be read"),
        ('{"experiment": {}, "steady_states": {}, "run": [{"start": "soon"}]}', "the journal cannot be read"),
    ],
)  # fmt: skip
def test_what_is_no_run_is_said_so(text: str, says: str) -> None:
    with pytest.raises(ReportError, match=says) as raised:
        model_of(of_file(text, "some.json"))
    assert "some.json" in str(raised.value)


def test_what_a_document_brings_is_shown_as_text() -> None:
    verdict = json.loads((GOLDEN / "verdict-deviated.json").read_text("utf-8"))
    bad = "<script>x</script>`|*\u202e"
    verdict.update(experiment=bad, reason=bad, notes=[bad], budget=[{"slo": bad, "left_after": "NaN"}],
                   alert_coverage={"blind_spots": [{"slo": bad, "reason": bad, "proposed_rule": bad}], "noise": [{"alert": bad}]})  # fmt: skip
    model = model_of(of_file(json.dumps(verdict), "x.json"))
    page, text = page_of(model, body_of(model, {})), markdown_of(model)
    assert "<script" not in page.replace("<script ", "")
    assert "\u202e" not in page + text
    outside = "".join(part for n, part in enumerate(text.split("```")) if n % 2 == 0)
    assert "<script" not in outside


def test_more_runs_than_anybody_reads_are_refused() -> None:
    verdict = (GOLDEN / "verdict-deviated.json").read_text("utf-8")
    subject = of_file(verdict, "x.json")
    with pytest.raises(ReportError, match="report weekly --since"):
        model_of(*[subject] * (MOST_RUNS + 1))
    with pytest.raises(ReportError, match="no run to report"):
        model_of()


def test_what_came_late_and_what_a_budget_forbids_are_told_as_on_the_page() -> None:
    found = verdict()
    expected = {
        "expectation": "expect",
        "name": "High",
        "verdict": "deviated",
        "reason": "did not fire",
    }
    late = {"late_verdict": "met", "late_reason": "High fired 20s after the fault"}
    alert = {"name": "High", "labels": {}, "starts_at": "2026-01-01T12:00:20Z", "ends_at": None}
    alert |= {"firing_before": False, "time_to_alert_seconds": 20.0, "late": True}
    guard = {"verdict": "deviated", "reason": "errors spent 6%, 5% allowed"}
    found["alerts"] = [alert, {**expected, **late}, {**expected, "name": "Low"}]
    found["budget"] = [
        {**BUDGET, "guard": guard, "gate": {"verdict": "met", "reason": "enough asked"}}
    ]
    model = model_of(of_file(json.dumps(found), "verdict.json"))
    for text in (markdown_of(model), page_of(model, body_of(model, {}))):
        assert "with what came later it would be met: " in text
        assert "High fired 20s after the fault" in text
        assert text.count("with what came later") == 1
        assert text.count("told only after the run") == 1
        assert "errors spent 6%, 5% allowed" in text
        assert "enough asked" not in text
    assert "\n- ✗ alert expect Low: did not fire\n" in markdown_of(model)


def test_what_people_noted_and_decided_is_told(kept: Any) -> None:
    store, desk = kept
    note = RunNote(
        run=made.RUN, text="p99\nlooked <b>odd</b>", at=NOW - 60, by="ada", written_at=NOW
    )
    decided = {
        "approval": {
            "answer": "approved",
            "voices": [{"by": "user:ada", "answer": "approved", "at": "2026-01-01T12:00:00Z"}],
        },
        "steps": [{"step": "kill", "choice": "go", "by": "ada", "at": "2026-01-01T12:00:01Z"}],
    }
    subject = of_stored(store.run(made.RUN), [note])
    report = desk.runs([replace(subject, document={**subject.document, **decided})])
    told = report.model["subjects"][0]
    assert told["observations"][0]["text"] == "p99 looked <b>odd</b>"
    assert "looked &lt;b&gt;odd&lt;/b&gt;" in report.body
    assert "Observations:" in markdown_of(report.model)
    lines = [line["text"] for line in told["happened"]]
    assert {"Approved by user:ada", "Before kill: go"} <= set(lines)


def test_notes_of_a_journal_are_read_and_what_is_none_is_left_out() -> None:
    found = [{"at": "2026-01-01T12:00:00Z", "text": "seen", "by": "ada"}, {"at": 5}, "x", None]
    text = text_of(journal(**{"sloguard-observations": found}))
    assert "ada: seen" in text
    assert text_of(journal(**{"sloguard-observations": "x"}))
