"""A histogram of latencies in bounded memory: about 1% exact from a microsecond to a day."""

from __future__ import annotations

import math

_SMALLEST = 1e-6
_GROWTH = math.log(1.01)


class Latencies:
    """Counts by size; maximum, sum and number are exact."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self.count = 0
        self.sum = 0.0
        self.max = 0.0

    def add(self, seconds: float) -> None:
        """One more."""
        bucket = max(math.ceil(math.log(max(seconds, _SMALLEST) / _SMALLEST) / _GROWTH), 0)
        self._counts[bucket] = self._counts.get(bucket, 0) + 1
        self.count += 1
        self.sum += seconds
        self.max = max(self.max, seconds)

    def quantile(self, share: float) -> float | None:
        """The smallest latency that at least ``share`` (0..1) of them do not exceed; None without any."""
        if not self.count:
            return None
        wanted, seen = max(math.ceil(share * self.count - 1e-9), 1), 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= wanted:
                return min(_SMALLEST * math.exp(bucket * _GROWTH), self.max)
        return self.max  # pragma: no cover - the counts add up

    def summary(self) -> dict[str, float | None]:
        """Mean, quantiles and maximum in seconds, to the microsecond."""
        found: dict[str, float | None] = {
            "mean": self.sum / self.count if self.count else None,
            **{f"p{q}": self.quantile(q / 100) for q in (50, 90, 95, 99)},
            "max": self.max if self.count else None,
        }
        return {name: None if v is None else round(v, 6) for name, v in found.items()}
