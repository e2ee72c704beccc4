"""Times and durations as they come in queries and bodies."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, Field

from sloguard.core.objective import ObjectiveError, parse_duration

DURATION_PATTERN = r"^[0-9]{1,5}(\.[0-9]{1,3})?(ms|s|m|h)?$"


def _duration(text: str) -> str:
    try:
        parse_duration(text)
    except ObjectiveError as error:
        raise ValueError(str(error)) from error
    return text


def _time(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a time needs its zone, such as 2026-01-01T12:00:00Z")
    return moment


Duration = Annotated[
    str,
    Field(pattern=DURATION_PATTERN, examples=["60s"]),
    AfterValidator(_duration),
]
Moment = Annotated[datetime, AfterValidator(_time)]


def seconds(moment: datetime | None) -> float | None:
    """Since the epoch."""
    return None if moment is None else moment.astimezone(UTC).timestamp()
