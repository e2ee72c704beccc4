"""What a companion tells: events for those who keep and announce them, notes for its verdict, nothing secret."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sloguard.chaostoolkit.surround import Consumer
from sloguard.core.document import document
from sloguard.core.events import Event, Judged, Note, RunEnded, RunStarted
from sloguard.core.masking import Masker
from sloguard.core.model import Experiment
from sloguard.core.outcome import RunFacts, conclude

log = logging.getLogger("sloguard.chaostoolkit")


@dataclass(slots=True)
class Teller:
    """Tells of one run. ``now``: seconds since the epoch, UTC, on Prometheus's clock."""

    experiment: Experiment
    run: str
    consumers: Sequence[Consumer]
    now: Callable[[], float]
    notes: list[str] = field(default_factory=list)
    masker: Masker = field(init=False)

    def __post_init__(self) -> None:
        self.masker = Masker.of(self.experiment.secrets)

    def tell(self, event: Event) -> None:
        """Hand an event to everybody; what one of them does wrong is logged and changes nothing."""
        for consumer in self.consumers:
            try:
                consumer(event)
            except Exception as error:
                name = getattr(consumer, "__qualname__", type(consumer).__qualname__)
                log.warning("sloguard: %s failed at %s: %s", name, type(event).__name__, error)
                log.debug("the consumer's failure", exc_info=True)

    def note(self, text: str) -> None:
        """From any thread: what stays with the verdict."""
        text = self.masker.text(text)
        self.notes.append(text)
        log.warning("sloguard: %s", text)
        self.tell(Note(self.now(), "warning", text))

    def say(self, text: str) -> None:
        """From any thread: what is worth knowing while it goes on."""
        text = self.masker.text(text)
        log.info("sloguard: %s", text)
        self.tell(Note(self.now(), "info", text))

    def started(self) -> None:
        """The run has begun."""
        kept: Mapping[str, Any] = self.masker.data(self.experiment.declared)
        self.tell(RunStarted(self.now(), self.run, self._shown(), kept))

    def ended(self, facts: RunFacts) -> dict[str, Any]:
        """The run is over; its document."""
        conclusion = conclude(facts)
        made: dict[str, Any] = self.masker.data(document(facts))
        reason = self.masker.text(conclusion.reason)
        self.tell(Judged(self.now(), conclusion.outcome, made))
        ended = RunEnded(self.now(), self.run, conclusion.outcome, reason, made, facts.timeline)
        self.tell(ended)
        return made

    def _shown(self) -> Experiment:
        masked, text = self.masker.data, self.masker.text
        return replace(
            self.experiment,
            title=text(self.experiment.title),
            description=text(self.experiment.description),
            tags=tuple(map(text, self.experiment.tags)),
            configuration=masked(self.experiment.configuration),
            secrets=masked(self.experiment.secrets),
        )
