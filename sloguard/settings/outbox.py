"""How messages to others are delivered."""

from __future__ import annotations

from dataclasses import dataclass

from sloguard.settings.fields import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxSettings:
    """Messages to Grafana and to people, kept in the store until they have arrived."""

    flush: float = setting(
        5.0,
        "How long the end of a run waits for messages to arrive, once its verdict is out. What is left "
        "goes with the next run, the service or 'sloguard outbox flush'.",
        "duration",
        least=0,
        most=60,
    )
    give_up_after: float = setting(
        7 * 86400.0,
        "A message that has not arrived after so long is given up, and kept to be looked at.",
        "duration",
        above=0,
    )
    longest_pause: float = setting(
        600.0,
        "Longest pause between two attempts; the first is a second, and each twice the one before.",
        "duration",
        least=1,
    )
    keep_days: float = setting(
        30.0, "How long messages that arrived, or were given up, are kept.", "number", above=0
    )
