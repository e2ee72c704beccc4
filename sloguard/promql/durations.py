"""Seconds -> what people read and PromQL takes: 90 -> ``1m30s``."""

from __future__ import annotations

_UNITS = (("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000))


def format_duration(seconds: float) -> str:
    """Down to milliseconds: ``1h30m``, ``2m``, ``500ms``, ``0s``; a minus for a negative one."""
    left = round(abs(seconds) * 1000)
    parts = []
    for unit, size in (*_UNITS, ("ms", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    text = "".join(parts) or "0s"
    return f"-{text}" if seconds < 0 and parts else text
