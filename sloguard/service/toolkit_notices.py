"""Events of runs as the Chaos Toolkit names them, for the notifications of its settings.

The payload that is kept is ``{"run", "ts"}``: the experiment and the journal are in the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sloguard.core import events
from sloguard.core.model import Outcome
from sloguard.ports.outbox import Draft
from sloguard.service.announcing import Story

#: A journal of one of these says that the run was completed.
_COMPLETED = frozenset({Outcome.MET, Outcome.DEVIATED})


class ToolkitNotices:
    """A writer (see ``announcing``). ``channels``: names in the outbox, with the events that each asks for;
    None: all."""

    def __init__(self, channels: Iterable[tuple[str, frozenset[str] | None]]) -> None:
        self._channels = tuple(channels)

    def __call__(self, event: events.Event, story: Story) -> Iterator[Draft]:
        """What is told of this event."""
        if story.kind != "run":
            return
        for name in _names(event):
            for channel, wanted in self._channels:
                if wanted is None or name in wanted:
                    yield Draft(
                        channel=channel,
                        key=f"{story.run}:{name}",
                        kind=name,
                        stream=story.run,
                        payload={"run": story.run, "ts": event.at},
                    )


def _names(event: events.Event) -> list[str]:
    if isinstance(event, events.RunStarted):
        return ["run-started"]
    if not isinstance(event, events.RunEnded):
        return []
    names = ["run-completed" if event.outcome in _COMPLETED else "run-failed"]
    return [*names, "run-deviated"] if event.outcome is Outcome.DEVIATED else names
