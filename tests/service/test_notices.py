"""Events of runs as notices: which event, for whom, with what in it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sloguard.core import events
from sloguard.core.model import Outcome, PhaseName
from sloguard.core.reporting import ReportLine, ready
from sloguard.service.notices import Notices, Rule, rule_of
from sloguard.service.toolkit_notices import ToolkitNotices
from sloguard.settings.notify import EVENTS, ChannelSettings
from tests.support.notices import (
    AT,
    BUDGET,
    RUN,
    STORY,
    ended,
    left_behind,
    payload,
    started,
    verdict,
)

ALL = Rule(channel="http:all", when="always")


def told(rule: Rule, *happened: events.Event, story=STORY) -> list[str]:
    notices = Notices([rule])
    return [draft.kind for event in happened for draft in notices(event, story)]


def tripped(blind: bool = False) -> events.GuardTripped:
    return events.GuardTripped(AT, "rail", "guard rail: 60%", blind)


@pytest.mark.parametrize(
    ("outcome", "event"),
    [
        (Outcome.MET, "run-completed"),
        (Outcome.DEVIATED, "run-deviated"),
        (Outcome.INCONCLUSIVE, "run-inconclusive"),
        (Outcome.NOT_STARTED, "run-not-started"),
        (Outcome.ABORTED, "run-aborted"),
        (Outcome.NOT_RESTORED, "fault-left"),
    ],
)
def test_each_outcome_is_an_event(outcome, event):
    assert told(ALL, ended(outcome)) == [event]
    assert event in EVENTS


def test_a_run_that_another_process_finished_has_failed():
    dead = replace(STORY, recovered=True)
    assert told(ALL, ended(Outcome.ABORTED), story=dead) == ["run-failed"]
    assert told(ALL, ended(Outcome.NOT_RESTORED), story=dead) == ["fault-left"]
    # Recovery knows no document.
    bare = events.RunEnded(AT, RUN, Outcome.ABORTED, "interrupted", {})
    found = payload(bare, dead)
    assert (found["event"], found["worst"], found["chart"]) == ("run-failed", None, "")


def test_nothing_else_is_told_and_nothing_of_what_is_judged_again():
    others = (events.PhaseStarted(AT, PhaseName.DURING), tripped(), events.Note(AT, "error", "x"))
    assert told(ALL, *others) == []
    assert told(ALL, started(), ended(), story=replace(STORY, kind="rejudge")) == []
    assert told(ALL, ended(), story=replace(STORY, kind="window")) == ["run-deviated"]


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("ended", {"run-completed", "run-deviated", "run-inconclusive", "run-not-started",
                   "run-aborted", "fault-left"}),
        ("action-needed", {"run-deviated", "fault-left"}),
        ("always", {"run-started", "run-completed", "run-deviated", "run-inconclusive",
                    "run-not-started", "run-aborted", "fault-left"}),
    ],
)  # fmt: skip
def test_a_word_says_when(when, expected):
    rule = Rule(channel="http:x", when=when)
    assert set(told(rule, started(), *(ended(outcome) for outcome in Outcome))) == expected


def test_action_is_needed_where_a_guard_rail_stopped_it_and_not_where_a_person_did():
    rule = Rule(channel="http:x", when="action-needed")
    assert told(rule, ended(Outcome.ABORTED)) == []
    assert told(rule, tripped(), ended(Outcome.ABORTED)) == ["run-aborted"]
    # Of another run, or a guard that could not be read, it says nothing.
    assert told(rule, tripped(blind=True), ended(Outcome.ABORTED)) == []
    notices = Notices([rule])
    list(notices(tripped(), replace(STORY, run="other")))
    assert list(notices(ended(Outcome.ABORTED), STORY)) == []
    dead = replace(STORY, recovered=True)
    assert told(rule, ended(Outcome.ABORTED), story=dead) == ["run-failed"]


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({"events": frozenset({"run-started"})}, ["run-started"]),
        ({"events": frozenset({"run-deviated", "run-started"})}, ["run-started", "run-deviated"]),
        ({"outcomes": frozenset({"met"})}, ["run-started"]),
        ({"outcomes": frozenset({"deviated"})}, ["run-started", "run-deviated"]),
        ({"tags": frozenset({"pod", "x"})}, ["run-started", "run-deviated"]),
        ({"tags": frozenset({"x"})}, []),
        ({"experiments": ("check*",)}, ["run-started", "run-deviated"]),
        ({"experiments": ("*promise",)}, ["run-started", "run-deviated"]),
        ({"experiments": ("search", "front-*")}, []),
    ],
)
def test_filters(filters, wanted):
    assert told(replace(ALL, **filters), started(), ended()) == wanted


def test_the_settings_of_a_channel_are_its_rule():
    channel = ChannelSettings(
        name="ops",
        type="slack",
        when="action-needed",
        outcomes=("deviated",),
        tags=("a",),
        experiments=("x*",),
        quiet=60,
    )
    assert rule_of(channel) == Rule(
        channel="slack:ops",
        when="action-needed",
        outcomes=frozenset({"deviated"}),
        tags=frozenset({"a"}),
        experiments=("x*",),
        quiet=60,
    )


def test_a_notice_says_what_somebody_on_call_needs():
    found = payload()
    assert found["headline"] == (
        "Checkout keeps its promise: deviated. The steady state did not hold: a weakness was found."
    )
    assert found["worst"]["slo"] == "error-ratio"
    assert "12% at 12:00:10Z, not < 5%" in found["worst"]["reason"]
    assert ["time to impact", "10s"] in found["facts"]
    assert ["target", "python[12]"] in found["facts"]
    assert found["link"] == f"https://chaos.example.com/runs/{RUN}"
    assert found["chart"] == "error-ratio"
    assert found["tone"] == "bad"
    assert payload(base_url="")["link"] == ""


def test_a_fault_that_is_left_comes_with_the_whole_command():
    event, story = left_behind()
    found = payload(event, story)
    assert found["left"][0]["by_hand"] == "tc qdisc del dev eth0 root && echo 'done <ok>'"
    assert "sloguard recover" in found["action"]
    # Recovery tells it without a document.
    bare = events.RunEnded(AT, RUN, Outcome.NOT_RESTORED, "left behind", {})
    assert payload(bare, story)["left"] == found["left"]


def test_texts_are_cut_and_commands_are_not():
    event, story = left_behind()
    fault = {**event.document["faults"][0], "by_hand": "x" * 3000, "detail": "y" * 3000}
    long = replace(event, reason="r" * 5000, document={**event.document, "faults": [fault]})
    found = payload(long, replace(story, title="t" * 900, targets=tuple("abcdefgh")))
    assert len(found["reason"]) == 1000
    assert len(found["title"]) == 200
    assert len(found["left"][0]["by_hand"]) == 3000
    assert ["target", "a, b, c, d, e and 3 more"] in found["facts"]


def test_the_same_event_of_a_run_has_one_key_and_keeps_its_order():
    notices = Notices([ALL])
    first, again = [next(iter(notices(ended(), STORY))) for _ in range(2)]
    assert (first.channel, first.key, first.stream) == ("http:all", f"{RUN}:run-deviated", RUN)
    assert first == again
    (begun,) = notices(started(), STORY)
    assert begun.stream == first.stream
    assert begun.expires_at == started().at + 3600
    assert first.expires_at is None


def test_where_silence_is_asked_for_all_of_an_experiment_is_one_stream():
    notices = Notices([replace(ALL, quiet=600)])
    (draft,) = notices(ended(), STORY)
    assert (draft.stream, draft.payload["quiet"]) == ("experiment:checkout", 600)
    event, story = left_behind()
    (draft,) = notices(event, story)
    assert (draft.stream, draft.payload["quiet"]) == ("experiment:checkout", 0)


def test_budgets_and_alerts_are_among_the_facts():
    budget = {
        "slo": "error-ratio", "target": 0.99, "period_seconds": 86400, "labels": {}, "known_share": 1.0,
        "left_before": 0.5, "spent_by_run": 0.1, "left_after": 0.4, "reason": "",
    }  # fmt: skip
    alerts = [
        {"name": "Burning", "firing_before": False, "time_to_alert_seconds": 20, "ends_at": None},
        {"name": "Old", "firing_before": True, "time_to_alert_seconds": None, "ends_at": None},
    ]
    facts = payload(ended(budget=[budget], alerts=alerts))["facts"]
    assert ["alerts", "Burning"] in facts
    assert any("50% left before, 10% spent by the run, 40% left" in value for _, value in facts)


def test_old_documents_without_a_budget_are_told():
    old = {k: v for k, v in verdict().items() if k != "budget"}
    found = payload(events.RunEnded(AT, RUN, Outcome.DEVIATED, "why", old))
    assert found["event"] == "run-deviated"


def test_a_report_is_told_to_those_who_are_told_of_ends():
    line = ReportLine(
        id="r7", kind="weekly", name="2026-W47", title="Week 47", summary="3 runs", start=0, end=1,
        created_at=1,
    )  # fmt: skip
    needed = Rule(channel="http:needed", when="action-needed")
    notices = Notices(
        [replace(ALL, when="ended"), needed, replace(ALL, channel="http:t", tags=frozenset("x"))]
    )
    drafts = list(notices.report(ready(line, "https://c/reports/r7"), AT))
    assert [d.channel for d in drafts] == ["http:all", "http:t"]
    assert drafts[0].key == "r7:report-ready"
    assert drafts[0].payload["headline"] == "Report: Week 47"
    assert drafts[0].payload["link"] == "https://c/reports/r7"


def test_commands_are_told_by_name_alone():
    named = Rule(channel="http:named", events=frozenset({"validate-failed"}))
    notices = Notices([ALL, named])
    drafts = list(
        notices.said("validate-failed", AT, about="f:1", headline="f is wrong", reason="x")
    )
    assert [(d.channel, d.key) for d in drafts] == [("http:named", "f:1:validate-failed")]


# The Chaos Toolkit's names.


@pytest.mark.parametrize(
    ("outcome", "names"),
    [
        (Outcome.MET, ["run-completed"]),
        (Outcome.DEVIATED, ["run-completed", "run-deviated"]),
        (Outcome.INCONCLUSIVE, ["run-failed"]),
        (Outcome.NOT_STARTED, ["run-failed"]),
        (Outcome.ABORTED, ["run-failed"]),
        (Outcome.NOT_RESTORED, ["run-failed"]),
    ],
)
def test_the_chaos_toolkits_events(outcome, names):
    write = ToolkitNotices(
        [("chaostoolkit:1", None), ("chaostoolkit:2", frozenset({"run-failed"}))]
    )
    drafts = [d for event in (started(), ended(outcome)) for d in write(event, STORY)]
    assert [d.kind for d in drafts if d.channel == "chaostoolkit:1"] == ["run-started", *names]
    own = [d.kind for d in drafts if d.channel == "chaostoolkit:2"]
    assert own == [name for name in names if name == "run-failed"]
    assert drafts[0].payload == {"run": RUN, "ts": started().at}
    assert list(write(ended(outcome), replace(STORY, kind="window"))) == []


MET_SLO = {"name": "error-ratio", "verdict": "met", "reason": "0.1%, < 1%", "series": []}


@pytest.mark.parametrize(
    ("changes", "kind", "name"),
    [
        ({"alerts": [{"name": "HighErrors", "verdict": "deviated", "reason": "HighErrors did not fire", "expectation": "expect"}]}, "alert", "HighErrors"),
        ({"budget": [{**BUDGET, "slo": "error-ratio", "guard": {"verdict": "deviated", "reason": "6% spent, not < 5%"}}]}, "budget", "error-ratio"),
        ({"probes": [{"name": "front-answers", "verdict": "deviated", "reason": "503, not 200"}]}, "probe", "front-answers"),
    ],
)  # fmt: skip
def test_what_deviated_alone_is_named_and_no_slo_that_was_met(changes, kind, name):
    given = {"slos": [MET_SLO], "probes": [], "alerts": [], "budget": [], **changes}
    found = payload(ended(**given))
    assert (found["worst"]["kind"], found["worst"]["name"]) == (kind, name)
    assert (found["worst"]["slo"], found["worst"]["verdict"]) == ("", "deviated")
    [judged] = next(iter(changes.values()))
    assert found["worst"]["reason"] == judged.get("guard", judged)["reason"]
    # Its picture is that of the SLO all the same: there is no other.
    assert found["chart"] == "error-ratio"


def test_an_slo_comes_first_of_equals_and_what_is_only_met_explains_no_abort():
    alert = {"name": "HighErrors", "verdict": "deviated", "reason": "it did not fire"}
    assert payload(ended(alerts=[alert]))["worst"]["kind"] == "slo"
    quiet = {"slos": [MET_SLO], "probes": [], "alerts": [{"name": "x", "starts_at": "…"}], "budget": []}  # fmt: skip
    assert payload(ended(Outcome.ABORTED, "guard rail: 60%", **quiet))["worst"] is None
    assert payload(ended(Outcome.MET, **quiet))["worst"]["verdict"] == "met"
