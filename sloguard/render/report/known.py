"""What a report has to know besides the runs of its weeks: what came before, and what could be tried."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sloguard.core.backlog import Standing
from sloguard.core.reporting import ExperimentPast, VerdictSource

History = Callable[[str, str], Iterable[VerdictSource]]


def no_history(_experiment: str, _slo: str) -> Iterable[VerdictSource]:
    """Nothing is known of before."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What the store knows up to the end of the period.

    ``experiments``: of each, its newest run and when it was last met. ``faults``: every fault that was ever
    injected. ``history``: the verdicts of one SLO of one experiment, newest run first.
    """

    experiments: Sequence[ExperimentPast] = ()
    faults: Iterable[str] = ()
    history: History = no_history


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownExperiment:
    """An experiment of the catalogue. ``services`` that it names; ``valid``: whether it can be run."""

    name: str
    title: str = ""
    services: tuple[str, ...] = ()
    valid: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownBacklog:
    """The hypotheses by risk, as they stood at the end of the period, and ``before`` it began."""

    standings: Sequence[Standing] = ()
    before: Sequence[Standing] = ()
    title: str = ""
    problems: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What could be tried: all faults by name with what they do, and the experiments of the catalogue."""

    faults: Mapping[str, str] = field(default_factory=dict)
    experiments: Sequence[KnownExperiment] = ()
