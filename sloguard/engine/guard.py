"""Guard rails, judged live: from instant answers to "it has tripped".

Chosen here: an empty answer of a plain query is no value and trips nothing (no errors, say); a value
that is NaN, or a pair whose total is 0, neither, and it ends a breach; a pair whose total answered
before and is gone entirely cannot be read. A read that fails says nothing about a breach under way.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from sloguard.core.comparing import assess
from sloguard.core.model import Guard
from sloguard.core.objective import Objective
from sloguard.core.series import LabelSet, Vector
from sloguard.core.text import format_duration, format_series, format_time, format_value

Answers = Mapping[str, Vector]


class Unreadable(Exception):
    """An answer that says nothing about the guard."""


@dataclass(slots=True)
class Values:
    """Live values by label set, NaN where nothing happened, of a query or a pair."""

    is_pair: bool
    same_metric: bool = True
    _seen: set[LabelSet] = field(default_factory=set)
    _had_total: bool = False

    def of(self, answers: Answers) -> dict[LabelSet, float]:
        """Raises Unreadable where a pair's total was there before and is gone."""
        if not self.is_pair:
            return {s.labels: s.value for s in answers["query"].samples}
        totals = nameless(answers["total"])
        if not totals and self._had_total:
            raise Unreadable("the total of the pair is gone")
        self._had_total = self._had_total or bool(totals)
        role = "bad" if "bad" in answers else "good"
        parts = nameless(answers[role])
        values = {labels: self._share(labels, t, parts, role) for labels, t in totals.items()}
        self._seen.update(parts)
        return values

    def _share(
        self, labels: LabelSet, total: float, parts: Mapping[LabelSet, float], role: str
    ) -> float:
        absent_is_zero = self.same_metric or labels not in self._seen
        part = parts.get(labels, 0.0 if absent_is_zero else math.nan)
        if math.isnan(total) or math.isnan(part) or total <= 0:
            return math.nan
        share = part / total if role == "bad" else (total - part) / total
        return math.nan if math.isnan(share) else min(max(share, 0.0), 1.0)


def nameless(answer: Vector) -> dict[LabelSet, float]:
    """By label set without the metric's name, which differs between the halves of a pair; with it where
    the series could not be told apart otherwise."""
    found = {shown(s.labels): s.value for s in answer.samples}
    if len(found) < len(answer.samples):
        return {s.labels: s.value for s in answer.samples}
    return found


def shown(labels: LabelSet) -> LabelSet:
    """What tells a series from its siblings, for people: not the metric's name."""
    return tuple(pair for pair in labels if pair[0] != "__name__")


def breaches(objective: Objective, values: Mapping[LabelSet, float]) -> dict[LabelSet, float]:
    """The series in breach with their values. A bound that names the baseline decides nothing here."""
    found = {labels: value for labels, value in values.items() if not math.isnan(value)}
    if not found:
        return {}
    column = np.array(list(found.values()))[:, None]
    assessed = assess(objective, column, np.full(len(found), np.nan))
    return {
        labels: v
        for (labels, v), bad in zip(found.items(), assessed.breach[:, 0], strict=True)
        if bad
    }


class GuardWatch:
    """One guard from reading to reading. ``interval``: how often its value can be new, seconds."""

    def __init__(self, guard: Guard, *, interval: float, same_metric: bool = True) -> None:
        self.guard, self.interval = guard, interval
        self._values = Values("total" in guard.queries, same_metric)
        self._since: dict[LabelSet, float] = {}
        self._unread_since: float | None = None
        self._error = ""

    def start(self) -> None:
        """From now on it has to be readable."""
        self._unread_since = None

    def asked(self, at: float) -> None:
        """A reading was due and is under way."""
        if self._unread_since is None:
            self._unread_since = at

    def take(self, answers: Answers, at: float) -> str | None:
        """A reading of ``at``; the reason if it trips."""
        values = self.read(answers)
        if values is None:
            return None
        bad = breaches(self.guard.objective, values)
        found = self.held(bad, at)
        if found is None:
            return None
        longest, held, more = found
        return self._reason(longest, bad[longest], at, held, more)

    def read(self, answers: Answers) -> dict[LabelSet, float] | None:
        """The values of a reading; None where it says nothing."""
        try:
            values = self._values.of(answers)
        except Unreadable as error:
            self.failed(str(error))
            return None
        self._unread_since, self._error = None, ""
        return values

    def held(self, bad: Iterable[LabelSet], at: float) -> tuple[LabelSet, float, int] | None:
        """Of the series that are in breach at ``at``, the one that has been so for longest, for how long,
        and how many more; None where none has been for as long as allowed."""
        self._since = {labels: self._since.get(labels, at) for labels in bad}
        held = {labels: at - since for labels, since in self._since.items()}
        tripped = [labels for labels in held if held[labels] >= self.guard.hold_for]
        if not tripped:
            return None
        longest = max(tripped, key=lambda labels: held[labels])
        return longest, held[longest], len(tripped) - 1

    def failed(self, error: str) -> None:
        """A reading that did not come."""
        self._error = error

    def blind(self, at: float) -> str | None:
        """The reason, once it could not be read for longer than its ``for`` + 2 intervals.

        Counted from the first reading that was due and has not come.
        """
        away = 0.0 if self._unread_since is None else at - self._unread_since
        allowed = self.guard.hold_for + 2 * self.interval
        if away <= allowed:
            return None
        why = f": {self._error}" if self._error else ""
        return (
            f"guard {self.guard.name} could not be read for {format_duration(away)}, "
            f"{format_duration(allowed)} allowed{why}"
        )

    def _reason(self, labels: LabelSet, value: float, at: float, held: float, more: int) -> str:
        unit = "%" if self._values.is_pair else self.guard.objective.unit
        text = (
            f"guard {format_series(self.guard.name, shown(labels))}: {format_value(value, unit)} at "
            f"{format_time(at)}, not {self.guard.objective.text}"
        )
        if self.guard.hold_for:
            allowed = format_duration(self.guard.hold_for)
            text += f"; {format_duration(held)} in breach, {allowed} allowed"
        return f"{text} (and {more} more series)" if more else text
