"""What people are told: events of runs as notices, one message for every channel that wants it.

A notice is whole: what happened in one sentence, to what, what explains most of it (an SLO, a probe, an alert,
a budget) with its numbers and times, what to do, and where to look. Its payload (JSON, times in seconds since the epoch or ISO 8601, UTC)::

    {"event": "run-deviated", "at": 1.0, "run": "ID", "experiment": "checkout", "title": "…", "kind": "run",
     "tags": […], "targets": […], "outcome": "deviated", "reason": "…", "score": 50.0, "tone": "bad",
     "headline": "…", "action": "…", "worst": {"kind", "name", "slo", "verdict", "reason"} | null,
     "facts": [["time to impact", "10s"], …], "timeline": {…} | null,
     "left": [{"fault", "target", "detail", "by_hand"}], "link": "https://…" | "", "chart": "SLO" | "",
     "quiet": 3600.0}
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sloguard.core import events
from sloguard.core.model import FaultRecord, Outcome, Verdict
from sloguard.core.people import Ask
from sloguard.core.text import iso_time
from sloguard.core.visible import visible
from sloguard.ports.outbox import Draft
from sloguard.render.summary import budget_lines, key_times
from sloguard.service.announcing import Story
from sloguard.settings.notify import ENDS, ChannelSettings

Notice = dict[str, Any]

_OF_OUTCOME = {
    Outcome.MET: "run-completed",
    Outcome.DEVIATED: "run-deviated",
    Outcome.INCONCLUSIVE: "run-inconclusive",
    Outcome.NOT_STARTED: "run-not-started",
    Outcome.ABORTED: "run-aborted",
    Outcome.NOT_RESTORED: "fault-left",
}
_WORDS = {
    "run-started": "begins",
    "approval-asked": "asks for approval. Nothing was injected yet.",
    "run-completed": "met. The steady state held before, during and after.",
    "run-deviated": "deviated. The steady state did not hold: a weakness was found.",
    "run-inconclusive": "inconclusive. There is no evidence either way.",
    "run-not-started": "not started. Nothing was injected.",
    "run-aborted": "aborted. It was stopped early, and everything was undone.",
    "run-failed": "aborted. Its process died; another one has undone everything.",
    "fault-left": "not restored. A fault is still there and has to be undone by hand.",
}
_ACTIONS = {
    "run-deviated": "Look at the chart: this is what users would see. Fix the weakness, or what is promised, "
    "and run it again.",
    "run-inconclusive": "Nothing is proven. Fix what the reason names, and run it again.",
    "run-not-started": "See whether the system is all right: the reason says what spoke against the run.",
    "run-failed": "See why the process died (its host, its memory, its logs), and run it again.",
    "fault-left": "Undo it by hand with what is given here, then run 'sloguard recover', which looks again.",
}
_ANSWER = (
    "Open the link, look at the plan, and approve or refuse it until {until}; or on a terminal that shares the "
    "store: sloguard runs approve {run}"
)
_GUARDED = "A guard rail stopped it: the fault hurt more than it may. See the reason before it is run again."
_TONES = {
    "run-completed": "good",
    "run-deviated": "bad",
    "fault-left": "bad",
    "run-failed": "bad",
    "run-started": "info",
    "approval-asked": "warning",
}
_NEEDED = frozenset({"run-deviated", "run-failed", "fault-left", "approval-asked"})
#: What is asked for by its name alone: it is no run's and happens whenever somebody works.
_BY_NAME = frozenset({"validate-failed"})
#: Somebody has to do something about each of them.
_NEVER_QUIET = frozenset({"fault-left", "approval-asked"})
#: Nobody wants to know an hour later that a run began.
_STARTED_EXPIRES = 3600.0
_LONGEST, _LONGEST_REASON, _MOST = 200, 1000, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What one channel wants. ``channel``: its name in the outbox. ``events`` empty: as ``when`` says.

    ``outcomes``, ``tags`` and ``experiments`` (with ``*``) empty: all. ``quiet``: seconds.
    """

    channel: str
    when: str = "ended"
    events: frozenset[str] = frozenset()
    outcomes: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    experiments: tuple[str, ...] = ()
    quiet: float = 0.0

    def wants(self, notice: Mapping[str, Any], *, guarded: bool = False) -> bool:
        """Whether this is to be told there. ``guarded``: a guard rail has stopped the run."""
        event = notice["event"]
        if self.events:
            wanted = event in self.events
        elif self.when == "action-needed":
            wanted = event in _NEEDED or (event == "run-aborted" and guarded)
        elif self.when == "always":
            wanted = event not in _BY_NAME
        else:
            wanted = event in ENDS or event in ("report-ready", "approval-asked")
        return wanted and self._lets_through(notice)

    def _lets_through(self, notice: Mapping[str, Any]) -> bool:
        outcome = notice.get("outcome")
        if self.outcomes and outcome and outcome not in self.outcomes:
            return False
        if not notice.get("run"):
            return True
        if self.tags and not self.tags & set(notice.get("tags") or ()):
            return False
        names = (str(notice.get("experiment", "")), str(notice.get("title", "")))
        return not self.experiments or any(
            fnmatch.fnmatchcase(name, pattern) for name in names for pattern in self.experiments
        )


def rule_of(channel: ChannelSettings) -> Rule:
    """What the settings of a channel say."""
    return Rule(
        channel=f"{channel.type}:{channel.name}",
        when=channel.when,
        events=frozenset(channel.events),
        outcomes=frozenset(channel.outcomes),
        tags=frozenset(channel.tags),
        experiments=channel.experiments,
        quiet=channel.quiet,
    )


class Notices:
    """A writer (see ``announcing``): one message an event and channel. ``base_url``: where people find a
    run, if anywhere."""

    def __init__(self, rules: Sequence[Rule], *, base_url: str = "") -> None:
        self._rules, self._base_url = tuple(rules), base_url.rstrip("/")
        self._tripped: set[str] = set()

    def __call__(self, event: events.Event, story: Story) -> Iterator[Draft]:
        """What is told of this event."""
        if story.kind == "rejudge":
            # Somebody asked for it, and sees the answer.
            return
        if isinstance(event, events.GuardTripped) and not event.blind:
            self._tripped.add(story.run)
        elif isinstance(event, events.RunStarted):
            yield from self.drafts(self._notice("run-started", event.at, story))
        elif isinstance(event, events.ApprovalAsked):
            yield from self._asking(event, story)
        elif isinstance(event, events.RunEnded):
            guarded = story.run in self._tripped
            self._tripped.discard(story.run)
            yield from self.drafts(self._ended(event, story, guarded), guarded=guarded)

    def drafts(self, notice: Notice, *, guarded: bool = False) -> Iterator[Draft]:
        """A notice as messages, one for every channel that wants it."""
        for rule in self._rules:
            if rule.wants(notice, guarded=guarded):
                yield _draft(rule, notice)

    def report(self, ready: Mapping[str, Any], at: float) -> Iterator[Draft]:
        """What is told of a report that is there; ``ready`` as ``core.reporting.ready`` makes it."""
        notice = {
            **_blank("report-ready", at),
            "title": str(ready.get("title", "")),
            "headline": f"Report: {_short(ready.get('title', ''))}",
            "reason": _short(ready.get("summary", ""), _LONGEST_REASON),
            "link": str(ready.get("link", "")),
            "report": str(ready.get("report", "")),
        }
        return self.drafts(notice)

    def said(
        self, event: str, at: float, *, about: str, headline: str, reason: str
    ) -> Iterator[Draft]:
        """What is told of a command, such as validate-failed; the same of the same thing is told once.

        ``about``: what makes it the same: the file and what is wrong with it, say.
        """
        notice = {**_blank(event, at), "headline": _short(headline), "about": about}
        return self.drafts({**notice, "reason": _short(reason, _LONGEST_REASON)})

    def _notice(self, event: str, at: float, story: Story) -> Notice:
        title = _short(story.title or story.experiment or story.run)
        made = {
            **_blank(event, at),
            "run": story.run,
            "experiment": story.experiment,
            "title": title,
            "kind": story.kind,
            "tags": list(story.tags[:_MOST]),
            "targets": [_short(target) for target in story.targets[:_MOST]],
            "tone": _TONES.get(event, "warning"),
            "headline": f"{title}: {_WORDS[event]}",
            "action": _ACTIONS.get(event, ""),
        }
        if self._base_url:
            made["link"] = f"{self._base_url}/runs/{story.run}"
        return made

    def _asking(self, event: events.ApprovalAsked, story: Story) -> Iterator[Draft]:
        """What the link leads to is made when it is sent, so that its secret is kept nowhere."""
        ask = event.ask
        notice = {
            **self._notice("approval-asked", event.at, story),
            "ask": ask.id,
            "until": ask.until,
            "reason": _short(_planned(ask), _LONGEST_REASON),
            "facts": _asked(ask),
            "action": _ANSWER.format(run=story.run, until=iso_time(round(ask.until))),
        }
        for draft in self.drafts(notice):
            # Each question is one of its own, and nobody wants it once it is too late.
            key = f"{story.run}:approval-asked:{ask.id}"
            yield replace(draft, key=key, expires_at=ask.until)

    def _ended(self, event: events.RunEnded, story: Story, guarded: bool) -> Notice:
        kind = _OF_OUTCOME[event.outcome]
        if story.recovered and kind == "run-aborted":
            kind = "run-failed"
        document = event.document
        notice = self._notice(kind, event.at, story)
        left = _left(document.get("faults"), story.faults.values())
        if guarded and kind == "run-aborted":
            notice["action"] = _GUARDED
        return {
            **notice,
            "outcome": str(event.outcome),
            "reason": _short(event.reason, _LONGEST_REASON),
            "score": document.get("score"),
            "worst": _worst(document, str(event.outcome)),
            "facts": _facts(document, story),
            "timeline": document.get("timeline"),
            "left": left,
            "chart": _charted(document),
        }


def _blank(event: str, at: float) -> Notice:
    return {
        "event": event,
        "at": at,
        "run": "",
        "experiment": "",
        "title": "",
        "kind": "",
        "tags": [],
        "targets": [],
        "outcome": None,
        "reason": "",
        "score": None,
        "tone": "bad" if event == "validate-failed" else "info",
        "headline": "",
        "action": "",
        "worst": None,
        "facts": [],
        "timeline": None,
        "left": [],
        "link": "",
        "chart": "",
        "quiet": 0.0,
    }


def _draft(rule: Rule, notice: Notice) -> Draft:
    event, run = notice["event"], notice["run"]
    subject = run or notice.get("report") or notice.get("about") or ""
    # What may be kept quiet has to know what was said before, of this experiment.
    quiet = rule.quiet if run and event not in _NEVER_QUIET else 0.0
    stream = f"experiment:{notice['experiment']}" if rule.quiet and run else str(subject)
    return Draft(
        channel=rule.channel,
        key=f"{subject}:{event}"[:200],
        kind=event,
        stream=stream[:200],
        payload={**notice, "quiet": quiet},
        expires_at=notice["at"] + _STARTED_EXPIRES if event == "run-started" else None,
    )


def _planned(ask: Ask) -> str:
    """What will happen, in a few words; of what changed since it was approved, first that it did."""
    actions: Any = ask.plan.get("actions") or ()
    told = []
    for action in actions:
        targets = ", ".join(map(str, (action.get("targets") or ())[:5]))
        does = action.get("does") or action.get("name", "")
        told.append(f"{does}: {targets}" if targets else str(does))
    text = "; ".join(told) or "nothing is injected"
    return f"{ask.again}: {text}" if ask.again else text


def _asked(ask: Ask) -> list[list[str]]:
    steady: Any = ask.plan.get("steady") or ()
    met = sum(one.get("verdict") == "met" for one in steady)
    phases: Any = ask.plan.get("phases") or {}
    facts = [
        ["decide until", iso_time(round(ask.until))],
        ["steady state", f"{met} of {len(steady)} met" if steady else "nothing is judged before"],
        ["fault lasts", str(phases.get("during", ""))],
    ]
    if ask.minimum > 1:
        facts.append(["people needed", str(ask.minimum)])
    if ask.by:
        facts.append(["who may", _short(", ".join(ask.by))])
    return facts


def _worst(document: Mapping[str, Any], outcome: str) -> dict[str, str] | None:
    """What explains most: the worst verdict, of an SLO, a probe, an alert that was expected or forbidden, or a
    budget's limit, the first of these. None where all was met and it ended otherwise for another reason."""
    worst = max(_verdicts(document), key=lambda one: Verdict(one["verdict"]).rank, default=None)
    if worst is None or (worst["verdict"] == Verdict.MET and outcome != Outcome.MET):
        return None
    return worst


def _verdicts(document: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for slo in document.get("slos") or ():
        yield _verdict("slo", slo["name"], slo)
    for probe in document.get("probes") or ():
        yield _verdict("probe", probe["name"], probe)
    for alert in document.get("alerts") or ():
        if "verdict" in alert:
            yield _verdict("alert", alert.get("name") or "", alert)
    for entry in document.get("budget") or ():
        for limit in (entry.get("gate"), entry.get("guard")):
            if limit and "verdict" in limit:
                yield _verdict("budget", entry.get("slo") or "", limit)


def _verdict(kind: str, name: Any, judged: Mapping[str, Any]) -> dict[str, str]:
    return {
        "kind": kind,
        "name": str(name),
        "slo": str(name) if kind == "slo" else "",
        "verdict": str(judged["verdict"]),
        "reason": _short(judged.get("reason") or "", _LONGEST_REASON),
    }


def _charted(document: Mapping[str, Any]) -> str:
    """The SLO whose chart shows most."""
    slos = document.get("slos") or () if document.get("timeline") else ()
    worst = max(slos, key=lambda slo: Verdict(slo["verdict"]).rank, default=None)
    return "" if worst is None else str(worst["name"])


def _facts(document: Mapping[str, Any], story: Story) -> list[list[str]]:
    """Names with values, for a table of two columns."""
    facts: list[list[str]] = []
    if document:
        facts += [[name, value] for name, value in key_times(document)]
        facts += [["budget", _short(line, 400)] for line in budget_lines(document)]
        fired = [a["name"] for a in document.get("alerts") or () if _fired(a)]
        if fired:
            facts.append(["alerts", _short(", ".join(dict.fromkeys(fired)))])
    if story.targets:
        more = len(story.targets) - 5
        shown = ", ".join(story.targets[:5]) + (f" and {more} more" if more > 0 else "")
        facts.append(["target", _short(shown)])
    marks = document.get("timeline") if document else None
    if marks:
        facts.append(["fault", f"{marks['fault']} to {marks['restored']}"])
    return facts


def _fired(alert: Mapping[str, Any]) -> bool:
    """An alert that the fault may have raised, and not what was expected of one."""
    return "expectation" not in alert and not alert.get("firing_before") and bool(alert.get("name"))


def _left(told: Any, known: Iterable[FaultRecord]) -> list[dict[str, str]]:
    """What could not be undone, and how a person would."""
    records: list[Mapping[str, Any]] = list(told or ()) or [
        {key: getattr(fault, key) for key in ("fault", "target", "status", "detail", "by_hand")}
        for fault in known
    ]
    return [
        {
            "fault": str(one["fault"]),
            "target": str(one["target"]),
            "detail": _short(one.get("detail") or "", 400),
            # Whole: half a command does harm.
            "by_hand": str(one.get("by_hand") or ""),
        }
        for one in records
        if one["status"] == "left"
    ][:_MOST]


def _short(text: Any, most: int = _LONGEST) -> str:
    whole = visible(" ".join(str(text).split()))
    return whole if len(whole) <= most else whole[: most - 1] + "…"
