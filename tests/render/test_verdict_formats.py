"""One verdict in every format, held against files that people have read."""

import json
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from sloguard.cli.common import rendered
from sloguard.core.document import document
from sloguard.core.judge import judge_slo
from sloguard.core.model import (
    Activity,
    ActivityRecord,
    ActivityStatus,
    FaultRecord,
    PhaseName,
    Verdict,
)
from sloguard.core.outcome import ProbeResult, RunFacts
from tests.support.evidence import FAULT, between, evidence_of, marks, rule, slo
from tests.support.golden import same_as_golden
from tests.support.notices import BUDGET

NAME_OF_ENDING = {"txt": "text", "json": "json", "xml": "junit", "md": "markdown"}


def facts(**more: object) -> RunFacts:
    """A deviated run with something of everything in it."""
    timeline = marks()
    errors = slo(
        "< 1%", pair="bad", during=rule("< 5%", 20), after=rule("< 1%", recover_within=60.0),
        target=0.999, period=2592000.0,
    )  # fmt: skip
    latency = slo("<= 300ms", during=rule("<= baseline + 50%"))
    judged = []
    for name, declared, answers, lookback in (
        (
            "error-ratio", errors,
            {
                "total": {"checkout": 50.0, "front": 100.0, "stock": 0.0},
                "bad": {"checkout": between(10, 75, 6.0), "front": 0.1},
            },
            30.0,
        ),
        ("p99-latency", latency, {"query": {"front": between(20, 35, None, 0.2)}}, 30.0),
    ):  # fmt: skip
        made = evidence_of(replace(declared, name=name), timeline, answers, lookback=lookback)
        judged.append(judge_slo(made, timeline))
    action = Activity("method[0]", "action", "lose a replica | <b>", {"type": "process"})
    probe = Activity("hypothesis[0]", "probe", "front answers", {"type": "http"})
    record = ActivityRecord(
        action, "method", ActivityStatus.SUCCEEDED, FAULT, FAULT + 0.2, {"status": 0}
    )
    seen = ActivityRecord(
        probe, "hypothesis", ActivityStatus.SUCCEEDED, FAULT - 1, FAULT - 0.9, {"status": 200},
        tolerance_met=True,
    )  # fmt: skip
    return RunFacts(
        experiment="Checkout keeps its promise",
        run="20260101T120000-abc123",
        timeline=timeline,
        slos=tuple(judged),
        probes=(ProbeResult("front answers", PhaseName.BEFORE, Verdict.MET, "200 is 200", seen),),
        activities=(record,),
        faults=(
            FaultRecord("1", "processes.stop", "python[12]", "undone", FAULT, FAULT + 60),
        ),
        **more,  # type: ignore[arg-type]  # tests name the fields they set
    )  # fmt: skip


@pytest.mark.parametrize("ending", NAME_OF_ENDING)
def test_a_deviated_run(ending: str) -> None:
    text = rendered(document(facts()), NAME_OF_ENDING[ending])
    same_as_golden(f"verdict-deviated.{ending}", text)


@pytest.mark.parametrize("ending", ["txt", "md", "xml"])
def test_a_run_that_left_something_behind(ending: str) -> None:
    left = FaultRecord(
        "2", "processes.stop", "java[99]", "left", FAULT, None, "not permitted", "kill -CONT 99"
    )
    made = facts()
    text = rendered(document(replace(made, faults=(left,))), NAME_OF_ENDING[ending])
    same_as_golden(f"verdict-not-restored.{ending}", text)


def test_json_is_strict_json_and_says_what_the_contract_names() -> None:
    made = json.loads(rendered(document(facts()), "json"))
    assert set(made) >= {
        "outcome", "score", "experiment", "run", "timeline", "slos", "probes", "alerts", "faults",
        "activities",
    }  # fmt: skip
    series = made["slos"][0]["series"][0]
    assert set(series) >= {"labels", "verdict", "reason", "baseline", "budget_burned", "phases"}
    assert set(series["phases"]["after"]) >= {
        "verdict", "reason", "points", "gaps", "idle", "breach_seconds", "longest_breach_seconds",
        "worst", "worst_at", "recovered_seconds", "recovered_between_seconds",
    }  # fmt: skip
    assert made["timeline"]["fault"] == "2026-01-01T12:00:00Z"


def test_junit_never_shows_a_lack_of_evidence_as_passed() -> None:
    suite = ET.fromstring(rendered(document(facts()), "junit")).find("testsuite")
    assert suite is not None
    states = {case.get("name"): [child.tag for child in case] for case in suite.findall("testcase")}
    assert states["error-ratio (3 series)"] == ["failure"]
    assert states["p99-latency"] == ["error"]
    assert states["front answers"] == []
    assert (suite.get("failures"), suite.get("errors")) == ("1", "1")


def test_junit_is_red_for_a_budget_and_for_whatever_else_an_outcome_stands_on() -> None:
    held = judge_slo(
        evidence_of(slo("< 1%"), marks(), {"query": {"front": 0.001}}, lookback=30.0), marks()
    )
    calm = RunFacts(experiment="x", timeline=marks(), slos=(held,))
    assert problems(calm) == {}
    entry = {"slo": "errors", "guard": {"verdict": "deviated", "reason": "errors spent too much"}}
    spent = replace(calm, budget=({**BUDGET, **entry},))
    assert document(spent)["outcome"] == "deviated"
    assert problems(spent) == {"errors": ("failure", "errors spent too much")}
    blind = replace(calm, inconclusive=("a guard could not be read",))
    assert problems(blind) == {"run": ("error", "a guard could not be read")}


def problems(made: RunFacts) -> dict[str | None, tuple[str, str | None]]:
    """The cases that did not pass, by name: what they are, and the message."""
    root = ET.fromstring(rendered(document(made), "junit"))
    return {c.get("name"): (p.tag, p.get("message")) for c in root.iter("testcase") for p in c}


def test_control_characters_and_markup_do_not_break_xml() -> None:
    made = replace(facts(), experiment='a\x00b & <c> "d" \x1b[31m')
    root = ET.fromstring(rendered(document(made), "junit"))
    assert "<c>" in str(root.find("testsuite").get("name"))  # type: ignore[union-attr]  # it is there


def test_no_slo_and_no_probe_is_no_pass_in_any_format() -> None:
    made = document(RunFacts(experiment="empty", timeline=marks()))
    assert made["outcome"] == "inconclusive"
    for format_ in NAME_OF_ENDING.values():
        assert "inconclusive" in rendered(made, format_)
