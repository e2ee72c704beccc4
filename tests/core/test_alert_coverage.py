"""Blind spots and noise, the rules that are proposed, and what late alerts change."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sloguard.core.alert_rules import Alerting, AlertPattern, ExpectedAlert, Matcher
from sloguard.core.alerting import AlertsRead, expectations, fired, judge_alerts
from sloguard.core.amending import amended
from sloguard.core.document import document
from sloguard.core.episodes import AlertEpisode
from sloguard.core.model import Slo
from sloguard.core.outcome import RunFacts
from sloguard.core.proposing import proposed_rule
from tests.support.evidence import FAULT, between, judged, marks, rule, slo

HIGH = AlertPattern((Matcher("alertname", "=", "High"),))
BAD = between(10, 40, 0.2)


def alert(
    start: float, end: float | None = None, name: str = "High", **labels: Any
) -> AlertEpisode:
    more = {k: labels.pop(k) for k in ("origin", "fingerprint") if k in labels}
    ends = None if end is None else FAULT + end
    return AlertEpisode(
        labels={"alertname": name, **labels}, starts_at=FAULT + start, ends_at=ends, **more
    )


def verdict(
    *episodes: AlertEpisode,
    declared: Slo | None = None,
    curve: Any = BAD,
    unread: str = "",
    **alerting: Any,
) -> Any:
    result = judged(declared or slo("< 1%"), {"": curve})
    read = AlertsRead(episodes=episodes, unread=(unread,) if unread else ())
    held = judge_alerts(read, Alerting(**alerting), marks())
    facts = RunFacts(
        experiment="x",
        timeline=marks(),
        slos=(result,),
        alerts=held.entries,
        alert_scope=held.scope,
    )
    return document(facts)


def coverage(*episodes: AlertEpisode, **more: Any) -> Any:
    return verdict(*episodes, **more)["alert_coverage"]


def test_a_breach_that_nobody_was_told_of_is_a_blind_spot() -> None:
    (spot,) = coverage()["blind_spots"]
    assert (spot["slo"], spot["series"], spot["phase"]) == ("slo", "slo", "during")
    assert spot["reason"] == (
        "slo was in breach for 35s from 12:00:10Z (during), and no alert fired in the 3m after the fault"
    )


def test_one_that_an_alert_told_of_is_covered() -> None:
    found = coverage(alert(25))
    assert found["blind_spots"] == []
    assert found["covered"] == [
        {"slo": "slo", "alert": "High", "seconds": 25, "after_breach_seconds": 15}
    ]


def test_alerts_that_fired_before_or_do_not_count_cover_nothing() -> None:
    assert len(coverage(alert(-30))["blind_spots"]) == 1
    assert len(coverage(alert(20, name="Other"), expect=(ExpectedAlert(HIGH),))["blind_spots"]) == 1
    where = AlertPattern((Matcher("namespace", "=", "shop"),))
    assert len(coverage(alert(20), where=where)["blind_spots"]) == 1
    # Whether an expected one that fired already would have told of it, nobody knows.
    assert coverage(alert(-30), expect=(ExpectedAlert(HIGH),))["blind_spots"] == []


def test_nothing_is_said_where_somebody_could_not_be_asked() -> None:
    found = coverage(unread="Alertmanager is away")
    assert (found["blind_spots"], found["noise"], found["unknown"]) == (
        [],
        [],
        "Alertmanager is away",
    )


def test_an_slo_that_weighs_nothing_is_no_blind_spot() -> None:
    assert coverage(declared=slo("< 1%", weight=0.0))["blind_spots"] == []


def test_an_alert_while_every_slo_was_met_is_noise_unless_it_was_expected() -> None:
    quiet = coverage(alert(25), alert(-20, name="Old"), curve=0.0)
    assert [n["alert"] for n in quiet["noise"]] == ["High"]
    assert coverage(alert(25), curve=0.0, expect=(ExpectedAlert(HIGH),))["noise"] == []
    assert coverage(alert(25))["noise"] == []


def test_coverage_changes_no_outcome() -> None:
    assert verdict(curve=0.0)["outcome"] == verdict(alert(25), curve=0.0)["outcome"] == "met"
    assert verdict()["outcome"] == verdict(alert(25))["outcome"] == "deviated"


def test_the_time_to_alert_is_that_of_the_alerts_that_count() -> None:
    assert verdict(alert(25), alert(10, name="Other"))["time_to_alert_seconds"] == 10
    expected = (ExpectedAlert(HIGH),)
    assert (
        verdict(alert(25), alert(10, name="Other"), expect=expected)["time_to_alert_seconds"] == 25
    )


# The rules.


def proposed(declared: Slo, curve: Any = BAD) -> Any:
    text = verdict(declared=declared, curve=curve)["alert_coverage"]["blind_spots"][0][
        "proposed_rule"
    ]
    return yaml.safe_load(text)["groups"][0]["rules"][0]


def test_a_rule_fires_on_what_the_slo_calls_a_breach() -> None:
    made = proposed(slo("< 1%", target=0.999))
    assert made["alert"] == "SloOutOfObjective"
    assert made["expr"] == "(q) >= 0.01"
    # At most half of the 35 seconds that were seen.
    assert made["for"] == "15s"
    assert made["labels"] == {"severity": "page", "slo": "slo"}


def series(
    value: float = 0.2, baseline: float | None = None, during: str = "deviated", lasted: float = 35
) -> Any:
    phase = {"verdict": during, "longest_breach_seconds": lasted}
    return {
        "labels": {},
        "baseline": baseline,
        "phases": {"during": phase, "after": {"verdict": "met"}},
    }


CASES: list[tuple[Slo, Any, str]] = [
    (slo("<= 300ms"), series(), "(q) > 0.3"),
    (slo(">= 3"), series(), "(q) < 3.0"),
    (slo("between 2 and 4"), series(), "(q) < 2.0 or (q) > 4.0"),
    (slo("<= baseline + 50%"), series(baseline=0.2), "(q) > 0.3"),
    (slo("<= baseline + 50%", during=rule("< 5%")), series(), "(q) >= 0.05"),
    (slo("< 1%", pair="bad"), series(), "((p) / (t)) >= 0.01"),
    (slo("< 1%", pair="good"), series(), "(((t) - ((p) or (t) * 0)) / (t)) >= 0.01"),
    (slo("< 1%"), series(lasted=0), "last_over_time((q)[10m:]) unless (q)"),
]  # fmt: skip


@pytest.mark.parametrize(("declared", "worst", "expr"), CASES)
def test_what_a_rule_asks(declared: Slo, worst: Any, expr: str) -> None:
    made = yaml.safe_load(proposed_rule(declared, worst))["groups"][0]["rules"][0]
    assert made["expr"] == expr


def test_without_the_baseline_that_a_bound_names_there_is_no_rule() -> None:
    assert proposed_rule(slo("<= baseline + 50%"), series()) == ""


names = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=30
).filter(str.strip)


@given(
    names, st.sampled_from(["q", "up{job='it''s'}", 'a{b="\\n"}', "sum(\n  q\n) # why", "q\t+ 1"])
)
def test_whatever_stands_in_an_slo_the_rule_is_yaml_and_says_it(name: str, query: str) -> None:
    declared = Slo(
        name=name, objective=rule("< 1%").objective, before=rule("< 1%"), during=rule("< 1%"),
        after=rule("< 1%"), query=query,
    )  # fmt: skip
    made = yaml.safe_load(proposed_rule(declared, series()))["groups"][0]["rules"][0]
    assert query.strip() in made["expr"]
    assert made["labels"]["slo"].replace('{{ "{{" }}', "{{") == name


def test_promtool_takes_every_proposed_rule(tmp_path: Path) -> None:
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed")
    queries = {
        "query": 'shop_errors{place=~"a|b"}',
        "total": "sum by (service) (rate(all_total[30s]))",
    }
    part = "sum by (service) (rate(part_total[30s])) # a comment"
    declared = [
        Slo(name=f"{d.name} {i} {{{{ $x }}}} ünïcode", objective=d.objective, before=d.before,
            during=d.during, after=d.after,
            **({"query": queries["query"]} if not d.is_pair else
               {"total": queries["total"], "bad" if d.bad else "good": part}))
        for i, (d, _, _) in enumerate(CASES)
    ]  # fmt: skip
    files = []
    for index, (one, (_, worst, _)) in enumerate(zip(declared, CASES, strict=True)):
        file = tmp_path / f"rule-{index}.yml"
        file.write_text(proposed_rule(one, worst), "utf-8")
        files.append(str(file))
    checked = subprocess.run(
        ["promtool", "check", "rules", *files], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_promtool_fires_a_proposed_rule_on_a_breach_and_on_nothing_else(tmp_path: Path) -> None:
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed")
    whole = rule("< 1%")
    declared = Slo("errors", whole.objective, whole, whole, whole, query="shop_errors")
    (tmp_path / "rule.yml").write_text(proposed_rule(declared, series()), "utf-8")
    expected = {
        "exp_labels": {"severity": "page", "slo": "errors", "place": "a"},
        "exp_annotations": {"summary": "errors is not < 1% (50%)"},
    }
    looks = [
        {"eval_time": at, "alertname": "ErrorsOutOfObjective", "exp_alerts": alerts}
        for at, alerts in (("20s", []), ("30s", []), ("45s", [expected]), ("100s", []))
    ]
    test = {
        "rule_files": ["rule.yml"],
        "evaluation_interval": "5s",
        "tests": [
            {
                "interval": "5s",
                "input_series": [
                    {"series": 'shop_errors{place="a"}', "values": "0x4 0.5x6 0x20"},
                    {"series": 'shop_errors{place="b"}', "values": "0.005x30"},
                ],
                "alert_rule_test": looks,
            }
        ],
    }
    (tmp_path / "test.yml").write_text(json.dumps(test), "utf-8")
    done = subprocess.run(
        ["promtool", "test", "rules", str(tmp_path / "test.yml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


# Late alerts.


def test_a_late_alert_is_added_and_marked_and_the_outcome_stays() -> None:
    before = verdict()
    late = alert(20, 90, origin="webhook", fingerprint="f")
    after = amended(before, [late])
    assert after is not None
    (entry,) = fired(after["alerts"])
    assert (entry["late"], entry["time_to_alert_seconds"], entry["time_to_resolve_seconds"]) == (
        True,
        20,
        30,
    )
    assert after["time_to_alert_seconds"] == 20
    assert after["alert_coverage"]["blind_spots"] == []
    assert after["alert_coverage"]["covered"][0]["alert"] == "High"
    assert after["alert_coverage"]["amended"]
    kept = ("outcome", "reason", "score", "slos", "timeline")
    assert {k: after[k] for k in kept} == {k: before[k] for k in kept}
    assert before["alert_coverage"]["blind_spots"], "the document given stays as it was"
    assert amended(after, [late]) is None


def test_an_end_that_comes_late_is_filled_in() -> None:
    before = verdict(alert(20), expect=(ExpectedAlert(HIGH, 60.0, 300.0),))
    assert before["outcome"] == "deviated"
    (was,) = expectations(before["alerts"])
    assert was["verdict"] == "inconclusive"
    after = amended(before, [alert(20.4, 200, origin="webhook")])
    assert after is not None
    (entry,) = fired(after["alerts"])
    assert (entry["amended"], entry["time_to_alert_seconds"]) == (True, 20)
    assert entry["time_to_resolve_seconds"] == 140
    (now,) = expectations(after["alerts"])
    assert now["verdict"] == "inconclusive"
    assert now["late_verdict"] == "met"
    assert "resolved 2m20s after restored, within 5m" in now["late_reason"]
    assert after["alerts"][now["alert"]]["name"] == "High"


def test_an_expected_alert_that_comes_late_leaves_the_verdict_as_it_was() -> None:
    before = verdict(expect=(ExpectedAlert(HIGH, 60.0),))
    after = amended(before, [alert(20, origin="webhook")])
    assert after is not None
    (entry,) = expectations(after["alerts"])
    assert (entry["verdict"], entry["late_verdict"]) == ("deviated", "met")
    assert after["outcome"] == before["outcome"] == "deviated"


def test_what_a_late_verdict_said_goes_when_it_no_longer_holds() -> None:
    before = verdict(expect=(ExpectedAlert(HIGH, 60.0, 150.0),))
    fires = amended(before, [alert(20, origin="webhook")])
    assert fires is not None
    (entry,) = expectations(fires["alerts"])
    assert (entry["verdict"], entry["late_verdict"]) == ("deviated", "inconclusive")
    over = amended(fires, [alert(20, 400, origin="webhook")])
    assert over is not None
    (entry,) = expectations(over["alerts"])
    assert entry["verdict"] == "deviated"
    assert "late_verdict" not in entry
    assert "late_reason" not in entry


@pytest.mark.parametrize("span", [(-50, -10), (181, None)])
def test_what_is_not_of_the_run_changes_nothing(span: Any) -> None:
    assert amended(verdict(), [alert(*span, origin="webhook")]) is None
    assert amended(verdict(), []) is None
    assert amended({"outcome": "not-started", "timeline": None, "alerts": []}, [alert(1)]) is None


def test_a_document_from_before_coverage_can_be_amended() -> None:
    keys = ("name", "labels", "starts_at", "ends_at", "firing_before", "time_to_alert_seconds")
    old = verdict(alert(20))
    del old["alert_coverage"]
    old["alerts"] = [{k: entry[k] for k in keys} for entry in old["alerts"]]
    after = amended(
        old, [alert(20.2, 90, origin="webhook"), alert(30, name="More", origin="webhook")]
    )
    assert after is not None
    assert [(a["name"], a.get("late")) for a in fired(after["alerts"])] == [
        ("High", None),
        ("More", True),
    ]
    assert "alert_coverage" not in after
    assert json.dumps(after)
