"""A verdict as JUnit XML: a suite a run, a case an SLO, probe, expected alert, budget's guard and action, as CI systems show them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from datetime import datetime

from sloguard.core.model import Verdict
from sloguard.render.alerting import expectations_of
from sloguard.render.summary import Document, Row, probe_rows, slo_rows

#: Characters that XML 1.0 cannot hold at all.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(document: Document) -> str:
    """The whole verdict as one ``testsuites`` document; ends with a newline."""
    rows = slo_rows(document) + probe_rows(document)
    suite = ET.Element("testsuite", name=_clean(document["experiment"]))
    for row in rows:
        _case(suite, row, document)
    for one in expectations_of(document):
        case = ET.SubElement(suite, "testcase", classname="alerts", name=_clean(one.title))
        _judged(case, one.verdict, one.reason)
    for entry in document.get("budget", ()):
        if guard := entry.get("guard"):
            case = ET.SubElement(suite, "testcase", classname="budget", name=_clean(entry["slo"]))
            _judged(case, Verdict(guard["verdict"]), guard["reason"])
    for activity in document.get("activities", ()):
        if activity["type"] == "action":
            _action_case(suite, activity)
    # Whatever the outcome stands on, a suite without a failure is that of a run that is met.
    told = suite.findall("testcase/failure") + suite.findall("testcase/error")
    ended_early = document["outcome"] in ("not-started", "aborted", "not-restored")
    if ended_early or not rows or (document["outcome"] != "met" and not told):
        case = ET.SubElement(suite, "testcase", classname="sloguard", name="run")
        _problem(case, "error", document["outcome"], document["reason"])
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(name, str(len(suite.findall(f"testcase/{tag}"))))
    suite.set("tests", str(len(suite.findall("testcase"))))
    timeline = document.get("timeline")
    if timeline:
        suite.set("timestamp", timeline["start"].rstrip("Z"))
        suite.set("time", f"{_seconds(timeline['end']) - _seconds(timeline['start']):.3f}")
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _case(suite: ET.Element, row: Row, document: Document) -> None:
    case = ET.SubElement(
        suite, "testcase", classname=_clean(document["experiment"]), name=_clean(row.name)
    )
    _judged(case, row.verdict, row.reason)


def _judged(case: ET.Element, verdict: Verdict, reason: str) -> None:
    if verdict is Verdict.DEVIATED:
        _problem(case, "failure", "deviated", reason)
    elif verdict is not Verdict.MET:
        # No evidence is no pass: an error, so that no CI shows it as green or as skipped.
        _problem(case, "error", str(verdict), reason)


def _action_case(suite: ET.Element, activity: Document) -> None:
    case = ET.SubElement(
        suite, "testcase", classname=f"{activity['section']}", name=_clean(activity["name"])
    )
    took = _seconds(activity["end"]) - _seconds(activity["start"])
    case.set("time", f"{took:.3f}")
    if activity["status"] != "succeeded":
        _problem(case, "error", activity["status"], activity["error"] or activity["status"])


def _problem(case: ET.Element, tag: str, kind: str, reason: str) -> None:
    problem = ET.SubElement(case, tag, type=kind, message=_clean(reason))
    problem.text = _clean(reason)


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", str(text))


def _seconds(iso: str) -> float:
    return datetime.fromisoformat(iso).timestamp()
