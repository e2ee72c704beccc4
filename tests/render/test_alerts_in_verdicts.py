"""Every format says what was expected, what nobody saw, and the rule that would have seen it."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from typing import Any

from rich.console import Console

from sloguard.render.charts.stored import alerts_of
from sloguard.render.console import print_verdict
from sloguard.render.junit import junit
from sloguard.render.markdown import markdown
from tests.support.alerting import EXPECTED, fired, verdict


def text_of(made: dict[str, Any]) -> str:
    out = io.StringIO()
    print_verdict(made, Console(file=out, width=120))
    return out.getvalue()


def test_expectations_are_told_in_text_markdown_and_junit() -> None:
    made = verdict(fired("High", 20, 50), fired("Other", 30), alerting=EXPECTED)
    for said in (text_of(made), markdown(made)):
        assert (
            "High fired 20s after the fault, within 1m; resolved 10s before the fault was undone"
            in said
        )
        assert '{severity="critical"} did not fire within 30s of the fault' in said
        assert "Other fired 30s after the fault, still firing at the end" in said
        # Told once: by the expectation.
        assert said.count("High fired") == 1
    cases = {case.get("name"): case for case in ET.fromstring(junit(made)).iter("testcase")}
    assert cases["High (expected)"].find("failure") is None
    assert cases['{severity="critical"} (expected)'].find("failure") is not None
    assert cases['{severity="critical"} (forbidden)'].find("failure") is None


def test_a_blind_spot_brings_its_rule() -> None:
    made = verdict()
    (spot,) = made["alert_coverage"]["blind_spots"]
    assert spot["reason"] in text_of(made).replace("\n  ", " ")
    assert f"```yaml\n{spot['proposed_rule']}```" in markdown(made)
    assert "(q) >= 0.01" in spot["proposed_rule"]


def test_noise_is_named_once() -> None:
    made = verdict(fired("Other", 10, at="a"), fired("Other", 10, at="b"), bad=False)
    assert "noise: Other fired though every SLO was met" in text_of(made)
    assert [n["labels"] for n in made["alert_coverage"]["noise"]] == [{"at": "a"}, {"at": "b"}]


def test_a_document_from_before_all_this_is_shown_as_it_was() -> None:
    made = verdict(fired("Other", 10))
    old = {k: v for k, v in made.items() if k != "alert_coverage"}
    keys = ("name", "labels", "starts_at", "ends_at", "firing_before", "time_to_alert_seconds")
    old["alerts"] = [{k: entry[k] for k in keys} for entry in made["alerts"]]
    assert "alert Other fired 10s after the fault" in text_of(old)
    assert "blind" not in markdown(old)


def test_a_chart_marks_what_was_expected() -> None:
    made = verdict(fired("High", 20, 50), fired("Other", 30), alerting=EXPECTED)
    assert [(a.name, a.expected) for a in alerts_of(made["alerts"])] == [
        ("High", True),
        ("Other", False),
    ]
