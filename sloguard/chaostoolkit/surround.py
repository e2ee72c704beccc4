"""What a companion works with, and what it may say to the Chaos Toolkit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sloguard.core.events import Event
from sloguard.engine.options import Options
from sloguard.ports import Clock, Metrics
from sloguard.ports.alerts import AlertSource
from sloguard.ports.silences import Silences

Consumer = Callable[[Event], object]


class Refusal(Exception):
    """The experiment must not go on: nothing was injected yet. The text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surround:
    """``live``: the same Prometheus with short deadlines, for the guards. ``sources``: who knows of alerts
    besides Prometheus; ``silences``: where they can be silenced."""

    metrics: Metrics
    live: Metrics
    clock: Clock
    options: Options
    sources: Sequence[AlertSource] = ()
    silences: Silences | None = None
    consumers: Sequence[Consumer] = ()
