"""What Prometheus is asked for a run of the Chaos Toolkit, and what the judge makes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sloguard.chaostoolkit.surround import Refusal, Surround
from sloguard.core.condensing import Condensed
from sloguard.core.events import Event, EvidenceCollected
from sloguard.core.judge import judge_slo
from sloguard.core.model import Experiment, Timeline
from sloguard.core.results import SloResult
from sloguard.core.series import SloEvidence, Surroundings
from sloguard.engine.evidence import Collected, Take, collecting
from sloguard.engine.gate import guarded_budgets, with_samples
from sloguard.engine.holding import Held
from sloguard.engine.loop import Loop, Work
from sloguard.engine.queries import Queries, look_up
from sloguard.ports import MetricsError


@dataclass(slots=True)
class Judging:
    """The SLOs of one experiment. All of it blocks."""

    experiment: Experiment
    around: Surround
    loop: Loop
    queries: Queries | None = field(default=None)

    def begin(self) -> tuple[str, ...]:
        """Read Prometheus's clock and look at every query; what is odd about them.

        Raises Refusal where nothing could be judged later.
        """
        metrics, experiment = self.around.metrics, self.experiment
        try:
            self.loop.offset = metrics.clock_offset().seconds
            self.queries = look_up(experiment.slos, experiment.guards, metrics)
        except MetricsError as error:
            raise Refusal(str(error)) from None
        for slo in experiment.slos:
            look = self.queries.lookback(slo, window=self._window)
            if look.refused:
                raise Refusal(f"SLO {slo.name}: {look.problem}")
        return tuple(self.queries.problems)

    def delay(self) -> float:
        """How long after a moment its samples can be had, seconds."""
        if self.queries is None:
            return 0.0
        return self.queries.delay(self.experiment.slos, self.around.options)

    def before(self, start: float, now: float) -> list[SloResult]:
        """The time before the fault, judged as far as it is known, with as many samples as are held."""
        timeline, options = Timeline(start, now, now, now), self.around.options
        judged = Condensed(options.max_series)
        held = Held(options.held_samples, always=guarded_budgets(self.experiment))

        def take(evidence: SloEvidence, surroundings: Surroundings) -> Work[None]:
            judged.add(judge_slo(evidence, timeline, surroundings, self.experiment.phases.after))
            held.add(evidence)
            yield from ()

        self._collect(timeline, take, window=self._window)
        return list(with_samples(judged.results(), held))

    def whole(
        self, timeline: Timeline, tell: Callable[[Event], None], now: Callable[[], float]
    ) -> tuple[tuple[SloResult, ...], Collected]:
        """The whole timeline. A Prometheus that is away is waited for."""
        options = self.around.options
        kept = Condensed(options.max_series, budget=self.experiment.budget, timeline=timeline)

        def take(evidence: SloEvidence, surroundings: Surroundings) -> Work[None]:
            # What is judged is told and let go: no more samples are held than are under way.
            tell(EvidenceCollected(now(), evidence))
            kept.add(judge_slo(evidence, timeline, surroundings, self.experiment.phases.after))
            yield from ()

        collected = self._collect(timeline, take, patience=options.metrics_patience)
        return kept.results(), collected

    @property
    def _window(self) -> float:
        return self.experiment.phases.during + self.experiment.phases.after

    def _collect(
        self,
        timeline: Timeline,
        take: Take,
        *,
        patience: float = 0.0,
        window: float | None = None,
    ) -> Collected:
        queries = self.queries
        assert queries is not None  # noqa: S101 - nothing goes on without them
        more: dict[str, Any] = {} if window is None else {"window": window}
        return self.loop.complete(
            collecting(
                self.loop,
                self.experiment.slos,
                queries,
                timeline,
                self.around.metrics,
                self.around.options,
                patience=patience,
                sources=self.around.sources,
                alerts_alone=self.experiment.alerts.declared,
                take=take,
                **more,
            )
        )
