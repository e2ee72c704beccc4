"""When reports are made by themselves, and how long they are kept."""

from __future__ import annotations

from dataclasses import dataclass

from sloguard.settings.fields import setting

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSettings:
    """Reports of weeks."""

    weekly: str = setting(
        "off",
        "Day on which the service makes the report of the week that ended last, and tells that it is there.",
        "choice",
        choices=("off", *DAYS),
    )
    at: str = setting("07:00", "Time of that day, HH:MM.")
    time_zone: str = setting(
        "UTC", "Time zone of that time, and of the weeks, such as Europe/Berlin."
    )
    weeks: int = setting(
        5, "Weeks side by side, the report's own among them.", "whole", least=1, most=26
    )
    retention_days: float = setting(
        0.0, "Reports that are older are deleted; 0: none is.", "number", least=0
    )
