"""What is done with alerts that Alertmanager sends."""

from __future__ import annotations

from dataclasses import dataclass

from sloguard.settings.fields import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsSettings:
    """Alerts that Alertmanager sends to the service."""

    body_limit: int = setting(
        8 << 20,
        "Largest payload of a webhook that is read, in bytes; of a larger one the beginning is kept for "
        "inspection, and nothing is taken from it.",
        "whole",
        least=1024,
        most=64 << 20,
    )
    stale_after: float = setting(
        86400.0,
        "An alert that fires and was not heard of for so long may be over. Longer than Alertmanager's "
        "repeat_interval.",
        "duration",
        above=0,
    )
    retention_days: float = setting(
        90.0,
        "Alerts are kept for so long after they were last heard of; 0: for ever.",
        "number",
        least=0,
    )
    refused_kept: int = setting(
        1000, "So many of the newest refused payloads are kept for inspection.", "whole", least=1
    )
