"""Runs that only judge: a window that another tool made, or the evidence of an earlier run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from sloguard.core import events
from sloguard.core.document import document
from sloguard.core.history import StoredRun
from sloguard.core.masking import Masker
from sloguard.core.model import Experiment, PhaseName, Phases, Timeline
from sloguard.core.objective import parse_duration
from sloguard.core.outcome import RunFacts, conclude
from sloguard.core.results import SloResult
from sloguard.core.series import SloEvidence, Surroundings
from sloguard.engine.holding import Spool
from sloguard.engine.options import Options
from sloguard.engine.rejudge import alerts_again, budget_again, judge_kept, limits_again
from sloguard.engine.window import judge_streamed
from sloguard.ports import Clock, Metrics
from sloguard.ports.alerts import AlertSource
from sloguard.ports.service import Window, WindowState
from sloguard.service.windows import EXPIRED, timeline_of
from sloguard.spec import masked


@dataclass(frozen=True)
class Judgement:
    """A run that is over before it begins: what it is, and all that was found."""

    run: str
    experiment: Experiment
    resolved: Mapping[str, Any]
    facts: RunFacts
    evidence: Sequence[SloEvidence]
    surroundings: Surroundings
    at: float

    @cached_property
    def document(self) -> Mapping[str, Any]:
        """The answer of the JSON contract."""
        made: Mapping[str, Any] = Masker.of(self.experiment.secrets).data(document(self.facts))
        return made

    def told(self) -> Iterator[events.Event]:
        """As any run tells it, at the times of the timeline."""
        timeline = self.facts.timeline
        assert timeline is not None  # noqa: S101 - nothing is judged without one
        yield events.RunStarted(timeline.start, self.run, self.experiment, self.resolved)
        yield events.PhaseStarted(timeline.start, PhaseName.BEFORE, timeline.fault)
        yield events.PhaseStarted(timeline.fault, PhaseName.DURING, timeline.restored)
        yield events.PhaseStarted(timeline.restored, PhaseName.AFTER, timeline.end)
        for note in self.facts.notes:
            yield events.Note(self.at, "warning", note)
        for evidence in self.evidence:
            yield events.EvidenceCollected(self.at, evidence)
        yield events.SurroundingsCollected(self.at, self.surroundings)
        made, conclusion = self.document, conclude(self.facts)
        reason = Masker.of(self.experiment.secrets).text(conclusion.reason)
        yield events.Judged(self.at, conclusion.outcome, made)
        yield events.RunEnded(self.at, self.run, conclusion.outcome, reason, made, timeline)


def judge_window(
    window: Window,
    slos: Experiment,
    metrics: Metrics,
    clock: Clock,
    options: Options,
    sources: Sequence[AlertSource] = (),
) -> Judgement:
    """Ask Prometheus, and ``sources`` for alerts, about a closed window. Blocking."""
    timeline = timeline_of(window, slos)
    experiment = replace(
        slos,
        title=window.title,
        tags=tuple(dict.fromkeys((*slos.tags, *window.tags))),
        phases=_phases(timeline),
    )
    removed = {label: frozenset(names) for label, names in window.removed.items()}
    kept = Spool(options.held_samples)
    facts, surroundings = judge_streamed(
        experiment,
        timeline,
        metrics,
        clock,
        options,
        removed=removed,
        sources=sources,
        run=window.id,
        each=kept.add,
    )
    if window.state is WindowState.EXPIRED:
        facts = replace(facts, inconclusive=(EXPIRED,), notes=(*facts.notes, EXPIRED))
    if window.detail and window.state is WindowState.CLOSED:
        facts = replace(facts, notes=(*facts.notes, window.detail))
    return Judgement(
        window.id,
        experiment,
        _resolved(experiment, timeline),
        facts,
        kept,
        surroundings,
        clock.now(),
    )


def judge_again(
    run: str,
    stored: StoredRun,
    evidence: Iterable[SloEvidence],
    other: Experiment | None,
    at: float,
    options: Options | None = None,
) -> Judgement:
    """The kept evidence of a run, by its own SLOs or by those of ``other``. Raises ValueError."""
    options = options or Options()
    timeline, kept = stored.timeline, Spool(options.held_samples)
    slos: tuple[SloResult, ...] = ()
    if timeline is not None:
        slos = judge_kept(
            evidence,
            other,
            timeline,
            stored.surroundings,
            _declared_after(stored.resolved) if other is None else other.phases.after,
            limits=limits_again(stored.document, other),
            max_series=options.max_series,
            each=kept.add,
        )
    if timeline is None or not kept:
        raise ValueError(
            f"run {stored.id} has no samples to judge: nothing was injected, or it was interrupted"
        )
    held = alerts_again(stored.document, other, timeline)
    facts = RunFacts(
        experiment=stored.title,
        run=run,
        timeline=timeline,
        slos=slos,
        # With its own objectives it is the same run: a fault that was not injected still counts.
        activities=stored.activities if other is None else (),
        alerts=tuple((stored.document or {}).get("alerts", ())) if held is None else held.entries,
        alert_scope=None if held is None else held.scope,
        notes=(f"judged again from the samples of run {stored.id}",),
        budget=budget_again(slos, stored.document, other, timeline),
    )
    experiment = Experiment(
        title=stored.title,
        tags=stored.tags,
        slos=tuple(result.evidence.slo for result in slos),
        source=stored.source,
        declared=stored.declared,
    )
    return Judgement(run, experiment, stored.resolved, facts, kept, stored.surroundings, at)


def _phases(timeline: Timeline) -> Phases:
    return Phases(
        timeline.fault - timeline.start,
        timeline.restored - timeline.fault,
        timeline.end - timeline.restored,
    )


def _resolved(experiment: Experiment, timeline: Timeline) -> dict[str, Any]:
    """With the lengths of this window, by which its evidence would be judged again."""
    phases = _phases(timeline)
    lengths = {"before": phases.before, "during": phases.during, "after": phases.after}
    made = masked(experiment)
    made["phases"] = {name: f"{round(seconds, 3)}s" for name, seconds in lengths.items()}
    return {**made, "title": experiment.title}


def _declared_after(resolved: Mapping[str, Any]) -> float:
    """The length of ``after`` as a stored experiment declares it, seconds."""
    phases = resolved.get("phases") or {}
    return parse_duration(phases["after"]) if "after" in phases else Phases().after
