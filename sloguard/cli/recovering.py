"""Finishing what killed runs have left, without showing what their files were trusted with."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

from sloguard.cli.streams import Masked, tell

if TYPE_CHECKING:
    from sloguard.adapters.store import Store
    from sloguard.core.events import Event
    from sloguard.core.model import Experiment
    from sloguard.ports import Runs
    from sloguard.settings import Settings


class Known:
    """Reads experiments, and knows the secrets of those that it has read."""

    def __init__(self, load: Callable[..., Experiment]) -> None:
        self._load = load
        self._secrets: list[Mapping[str, Any]] = []

    def __call__(self, source: str | Mapping[str, Any], variables: Mapping[str, Any]) -> Experiment:
        """As the loader does it."""
        found = self._load(source, variables)
        self._secrets.append(found.secrets)
        return found

    def mask(self, text: str) -> str:
        """The text without any of their secrets."""
        from sloguard.core.masking import Masker

        return Masker.of(*self._secrets).text(text)

    def quietly(self, events: Iterator[Event]) -> Iterator[Event]:
        """What rollbacks print meanwhile is no result, and may hold what they were trusted with."""
        while True:
            with redirect_stdout(Masked(sys.stderr, self.mask)):
                event = next(events, None)
            if event is None:
                return
            yield event


def recover_dead_runs(store: Store, settings: Settings, runs: Runs | None = None) -> None:
    """Finish what killed runs have left, before anything new is broken. ``runs``: in place of the store's
    own."""
    from sloguard.bootstrap import loader, options, ports
    from sloguard.engine.recover import recover
    from sloguard.render.lines import line

    if not any(not run.alive for run in store.unfinished()):
        return
    known = Known(loader())
    made = ports(settings, store, metrics=False)
    for event in known.quietly(recover(runs or store, made, known, options(settings))):
        text = line(event)
        if text:
            tell(f"recover: {known.mask(text)}")
