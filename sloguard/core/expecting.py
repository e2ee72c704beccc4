"""One expectation held against the alerts that fired: a verdict and its reason, with both numbers.

Chosen here: an alert that fired before the fault, that fires again with the same labels, or whose condition
was true before the fault, is not known to be the fault's: it proves neither that an expected alert works
nor that a forbidden one was set off. What was not seen is never held to be absent where a source could not
be read, or where Prometheus was away while it could have begun.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sloguard.core.alert_rules import AlertPattern, ExpectedAlert
from sloguard.core.episodes import AlertEpisode
from sloguard.core.model import Timeline, Verdict
from sloguard.core.series import label_set
from sloguard.core.text import format_duration, format_series, format_time

Kind = Literal["expect", "forbid", "abort_on"]


@dataclass(frozen=True, slots=True)
class Firing:
    """An alert beside a fault. ``before``: it fired already then. ``tainted``: it may not be the fault's,
    ``why`` says so."""

    episode: AlertEpisode
    before: bool
    tainted: bool
    why: str = ""

    @classmethod
    def of(cls, episode: AlertEpisode, fault: float, *, again: bool) -> Firing:
        """``again``: it fired with the same labels when the fault began."""
        if episode.starts_at < fault:
            since = format_duration(fault - episode.starts_at)
            return cls(episode, True, True, f"fired already {since} before the fault")
        if again:
            return cls(episode, False, True, "fired already before the fault, and then again")
        pending = episode.pending_since
        # Prometheus tells it in whole seconds, cut off.
        if pending is not None and pending + 1 <= fault:
            since = format_duration(fault - pending)
            return cls(episode, False, True, f"had its condition met {since} before the fault")
        return cls(episode, False, False)

    @property
    def shown(self) -> str:
        """As people read it."""
        return shown_alert(self.episode)


def shown_alert(episode: AlertEpisode) -> str:
    """``HighErrorRate{service="checkout"}``: with all labels, as nobody knows which tell it from others."""
    labels = {k: v for k, v in episode.labels.items() if k != "alertname"}
    return format_series(episode.name or "an alert", label_set(labels))


@dataclass(frozen=True, slots=True)
class Seen:
    """The alerts that concern a run, by start. ``unknown``: why others may have fired unseen."""

    firing: Sequence[Firing]
    timeline: Timeline
    unknown: str = ""
    away: Sequence[tuple[float, float]] = ()

    def matching(self, pattern: AlertPattern) -> list[Firing]:
        """Those that are meant."""
        return [one for one in self.firing if pattern.holds(one.episode.labels)]

    def unseen(self, start: float, end: float) -> str:
        """Why an alert that began in [start, end] may not have been seen; empty where it would have been."""
        if self.unknown:
            return self.unknown
        gaps = [(max(a, start), min(b, end)) for a, b in self.away if b > start and a < end]
        if not gaps:
            return ""
        first = min(gaps)
        spent = sum(b - a for a, b in gaps)
        return f"Prometheus was away for {format_duration(spent)} from {format_time(first[0])}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """An expectation's verdict. ``alert``: what it stands on. ``open_until``: when it can be decided, where it
    waits for something (``open_for``); infinity: as long as anybody looks."""

    kind: Kind
    pattern: AlertPattern
    verdict: Verdict
    reason: str
    alert: Firing | None = None
    within: float | None = None
    resolved_within: float | None = None
    open_until: float | None = None
    open_for: str = ""


def judged_expected(expected: ExpectedAlert, seen: Seen) -> Judgement:
    """Whether it fired in time, and was over in time."""
    found = seen.matching(expected.pattern)
    new = [one for one in found if not one.tainted]
    if not new:
        return _not_fired(expected, seen, found)
    timeline, first = seen.timeline, new[0]
    took = first.episode.starts_at - timeline.fault
    text = f"{first.episode.name or expected.pattern} fired {_span(took)} after the fault"
    if expected.within is not None:
        allowed = format_duration(expected.within)
        if took > expected.within:
            why = f"{text}, {allowed} allowed"
            return _expect(expected, Verdict.DEVIATED, why, first)
        text += f", within {allowed}"
    return _resolved(expected, seen, new, text)


def _not_fired(expected: ExpectedAlert, seen: Seen, found: Sequence[Firing]) -> Judgement:
    timeline, name = seen.timeline, str(expected.pattern)
    if found:
        why = f"{found[0].shown} {found[0].why}: whether the fault would have set it off cannot be told"
        return _expect(expected, Verdict.INCONCLUSIVE, why, found[0])
    deadline = timeline.end if expected.within is None else timeline.fault + expected.within
    if deadline > timeline.end:
        seconds = format_duration(timeline.end - timeline.fault)
        why = (
            f"{name} had not fired when the window ended, {seconds} after the fault; "
            f"{format_duration(deadline - timeline.fault)} allowed"
        )
        return _expect(
            expected,
            Verdict.INCONCLUSIVE,
            why,
            open_until=deadline,
            open_for=f"{name} may still fire",
        )
    unseen = seen.unseen(timeline.fault, deadline)
    if unseen:
        why = f"{name} was not seen to fire, but {unseen}"
        return _expect(expected, Verdict.INCONCLUSIVE, why)
    span = format_duration(deadline - timeline.fault)
    why = f"{name} did not fire within {span} of the fault: the alerting is the weakness"
    # Without a time of its own it may come for as long as anybody looks.
    anytime = math.inf if expected.within is None else None
    open_for = f"{name} may still fire"
    return _expect(expected, Verdict.DEVIATED, why, open_until=anytime, open_for=open_for)


def _resolved(expected: ExpectedAlert, seen: Seen, new: Sequence[Firing], text: str) -> Judgement:
    """Every new one has to be over: the last of them decides."""
    timeline, allowed = seen.timeline, expected.resolved_within
    still = next((one for one in new if one.episode.ends_at is None), None)
    if still is not None:
        if allowed is None:
            return _expect(expected, Verdict.MET, f"{text}; still firing at the end", new[0])
        return _still_firing(expected, seen, still, text, allowed)
    last = max(new, key=lambda one: one.episode.ends_at or 0.0)
    took = (last.episode.ends_at or 0.0) - timeline.restored
    if took < 0:
        over = f"resolved {_span(-took)} before the fault was undone"
    else:
        over = f"resolved {_span(took)} after restored"
    if allowed is None:
        return _expect(expected, Verdict.MET, f"{text}; {over}", new[0])
    limit = format_duration(allowed)
    if took > allowed:
        return _expect(expected, Verdict.DEVIATED, f"{text}; {over}, {limit} allowed", last)
    return _expect(expected, Verdict.MET, f"{text}; {over}, within {limit}", new[0])


def _still_firing(
    expected: ExpectedAlert, seen: Seen, still: Firing, text: str, allowed: float
) -> Judgement:
    timeline, limit = seen.timeline, format_duration(allowed)
    deadline = timeline.restored + allowed
    since = format_duration(timeline.end - timeline.restored)
    why = f"{text}; still firing {since} after restored, {limit} allowed"
    if timeline.end < deadline:
        return _expect(
            expected,
            Verdict.INCONCLUSIVE,
            f"{why}: the window ended before that",
            still,
            open_until=deadline,
            open_for=f"{still.episode.name or expected.pattern} may still resolve",
        )
    unseen = seen.unseen(timeline.restored, timeline.end)
    if unseen:
        return _expect(expected, Verdict.INCONCLUSIVE, f"{why}, but {unseen}", still)
    return _expect(expected, Verdict.DEVIATED, why, still)


def judged_forbidden(pattern: AlertPattern, seen: Seen) -> Judgement:
    """Whether the fault set it off."""
    return _absent("forbid", pattern, seen, "and must not")


def judged_abort(pattern: AlertPattern, seen: Seen) -> Judgement:
    """The same, seen afterwards: one that ended the run, or was too short to be seen live."""
    return _absent("abort_on", pattern, seen, "which ends a run")


def _absent(kind: Kind, pattern: AlertPattern, seen: Seen, but: str) -> Judgement:
    timeline = seen.timeline
    found = seen.matching(pattern)
    new = [one for one in found if not one.tainted]
    if new:
        took = _span(new[0].episode.starts_at - timeline.fault)
        more = f" (and {len(new) - 1} more)" if len(new) > 1 else ""
        why = f"{new[0].shown} fired {took} after the fault, {but}{more}"
        return Judgement(
            kind=kind, pattern=pattern, verdict=Verdict.DEVIATED, reason=why, alert=new[0]
        )
    doubtful = next((one for one in found if not one.before), None)
    if doubtful is not None:
        why = f"{doubtful.shown} {doubtful.why}: whether the fault set it off cannot be told"
        return Judgement(
            kind=kind, pattern=pattern, verdict=Verdict.INCONCLUSIVE, reason=why, alert=doubtful
        )
    unseen = seen.unseen(timeline.fault, timeline.end)
    if unseen:
        why = f"{pattern} was not seen to fire, but {unseen}"
        return Judgement(kind=kind, pattern=pattern, verdict=Verdict.INCONCLUSIVE, reason=why)
    span = format_duration(timeline.end - timeline.fault)
    name = "no alert" if not pattern.matchers else f"no {pattern}"
    why = f"{name} fired in the {span} after the fault"
    if found:
        why += f" ({len(found)} fired already before it)"
    return Judgement(kind=kind, pattern=pattern, verdict=Verdict.MET, reason=why)


def _expect(
    expected: ExpectedAlert,
    verdict: Verdict,
    reason: str,
    alert: Firing | None = None,
    *,
    open_until: float | None = None,
    open_for: str = "",
) -> Judgement:
    return Judgement(
        kind="expect",
        pattern=expected.pattern,
        verdict=verdict,
        reason=reason,
        alert=alert,
        within=expected.within,
        resolved_within=expected.resolved_within,
        open_until=open_until,
        open_for=open_for,
    )


def _span(seconds: float) -> str:
    return format_duration(round(seconds, 3))
