"""What a caller can choose about a run. Durations are seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sloguard.core.model import Approval
from sloguard.engine.toolkit import Toolkit


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a run, a judgement or a recovery goes about its work.

    ``run``: the run's id, made up if empty. ``step``: the flag's, before an SLO's own. ``fallback_step``:
    the scrape interval where Prometheus cannot tell it. ``seed`` of random choices, made up if None.
    ``variables``: what ``--var`` gave, kept so that recovery can read the file again.
    """

    run: str = ""
    step: float | None = None
    fallback_step: float = 15.0
    seed: int | None = None
    variables: Mapping[str, object] = field(default_factory=dict)
    #: ``after`` may end early once recovery has held.
    end_early: bool = True
    #: How often the live picture is announced.
    tick: float = 2.0
    #: Queries under way at once.
    concurrency: int = 4
    #: Series that a verdict tells one by one, the worst of every SLO first; the others are counted.
    max_series: int = 10_000
    #: Samples that are held between two looks at them; beyond that they are read again, or from a file.
    held_samples: int = 8_000_000
    #: How long a Prometheus that is away when the evidence is collected is waited for.
    metrics_patience: float = 75.0
    #: Whether Prometheus is asked at the end how much of the error budgets was left before the fault.
    budget_history: bool = True
    #: How long an activity that was stopped may take to end before the rollbacks begin without it.
    stop_grace: float = 5.0
    #: An undo is tried at least this often, and for at least this long, with growing pauses.
    undo_attempts: int = 3
    undo_patience: float = 60.0
    undo_timeout: float = 30.0
    #: A declared rollback is tried this often; one attempt may take this long.
    rollback_attempts: int = 3
    rollback_timeout: float = 300.0
    #: Whether activities that name a driver of the Chaos Toolkit are called on it, also where sloguard has
    #: a function of its own.
    use_drivers: bool = False
    #: What has to be approved beside what the experiment says itself; None: nothing.
    approval: Approval | None = None
    #: How long an approval is waited for where nobody says how long, and how many people have to agree.
    approval_within: float = 1800.0
    approval_minimum: int = 1
    #: What is done as the Chaos Toolkit does it.
    toolkit: Toolkit = field(default_factory=Toolkit)
    #: How long the hooks of the controls at one place may take.
    control_timeout: float = 60.0
