"""What the judge decides, from a phase of one series up to an SLO."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sloguard.core.model import PhaseName, Verdict
from sloguard.core.series import LabelSet, SloEvidence

#: Why a series is left out where another one of its SLO was judged.
IDLE_NOTE = "idle all through"


@dataclass(frozen=True, slots=True)
class PhaseResult:
    """One series in one phase. Times are seconds since the epoch; spans are seconds.

    ``points``: grid points of the phase in the series' life, ``gaps`` and ``idle`` of them without a
    sample and without events. The last three fields are None outside their phase or where they do not
    apply; ``recovered_seconds`` is also None where the series never recovered.
    """

    verdict: Verdict
    reason: str
    points: int = 0
    gaps: int = 0
    idle: int = 0
    breach_seconds: float = 0.0
    longest_breach_seconds: float = 0.0
    worst: float | None = None
    worst_at: float | None = None
    first_breach_seconds: float | None = None
    recovered_seconds: float | None = None
    recovered_between_seconds: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class SeriesResult:
    """One series over the whole timeline. ``note``: why it counts for nothing, where it does not."""

    labels: LabelSet
    verdict: Verdict
    reason: str
    phases: Mapping[PhaseName, PhaseResult]
    baseline: float | None = None
    budget_burned: float | None = None
    budget_is_lower_bound: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Omitted:
    """Series that were judged and counted, and are not told one by one: none is worse than those that are.

    ``verdicts``: how many of each. The rest is what a run's times to impact and recovery follow from:
    the first breach under the fault, the longest recovery (s), and how many did not recover.
    """

    verdicts: Mapping[str, int] = field(default_factory=dict)
    first_breach_seconds: float | None = None
    recovered_seconds: float | None = None
    not_recovered: int = 0

    @property
    def count(self) -> int:
        """How many series."""
        return sum(self.verdicts.values())


@dataclass(frozen=True, slots=True)
class SloResult:
    """One SLO: its worst series. ``settled``: ``after`` may end early as far as this SLO goes.

    Where its samples were let go (``core.condensing``) ``evidence`` has no answers; ``omitted`` are the
    series that ``series`` lacks, ``guard`` is what the error budget's guard said, and ``baselines`` are
    those of all series, where an objective names them.
    """

    name: str
    verdict: Verdict
    reason: str
    evidence: SloEvidence
    series: Sequence[SeriesResult]
    settled: bool = False
    notes: tuple[str, ...] = ()
    omitted: Omitted | None = None
    guard: Mapping[str, object] | None = None
    baselines: Mapping[LabelSet, float] | None = None
