"""What looking before a run has found so far: told at once, and kept where it speaks against the run."""

from __future__ import annotations

from dataclasses import dataclass, field

from sloguard.core.events import Event, Preflight
from sloguard.engine.session import Session


@dataclass(slots=True)
class Findings:
    """``against``: what speaks against the run, each with its check. All texts are masked."""

    session: Session
    against: list[str] = field(default_factory=list)

    def good(self, name: str, message: str) -> Event:
        """A check that found nothing against it."""
        return Preflight(self.session.now(), name, True, self.session.masker.text(message))

    def odd(self, name: str, message: str) -> Event:
        """A warning, which stops nothing."""
        return Preflight(self.session.now(), name, None, self.session.masker.text(message))

    def bad(self, name: str, message: str) -> Event:
        """What keeps the run from starting."""
        message = self.session.masker.text(message)
        self.against.append(f"{name}: {message}")
        return Preflight(self.session.now(), name, False, message)
