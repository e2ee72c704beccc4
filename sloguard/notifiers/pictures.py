"""Charts for messages, drawn when they are sent from the samples that the store has."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Protocol

from sloguard.core.series import SloEvidence
from sloguard.notifiers.base import Notice, Picture
from sloguard.ports import OutsideError

log = logging.getLogger(__name__)


class Kept(Protocol):
    """What of the store is needed."""

    def evidence(self, run: str, slo: str | None = None) -> Sequence[SloEvidence]:
        """The samples of a run."""
        ...

    def run(self, run: str) -> Any:
        """A run as it is kept."""
        ...


class Pictures:
    """Makes the picture of a notice. A message without one is better than none: what fails is logged."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def __call__(self, notice: Notice, size: tuple[int, int]) -> Picture | None:
        """The chart of the worst SLO of a run; None where there is none, or none can be drawn."""
        if not notice.run or not notice.chart or not notice.payload.get("timeline"):
            return None
        try:
            return self._drawn(notice, size)
        except (OutsideError, ValueError, KeyError) as error:
            log.info("no chart of run %s: %s", notice.run, error)
            return None
        except Exception:
            log.exception("no chart of run %s: this is a bug", notice.run)
            return None

    def _drawn(self, notice: Notice, size: tuple[int, int]) -> Picture | None:
        from sloguard.core.judge import judge_slo
        from sloguard.render.charts import chart
        from sloguard.render.charts.stored import timeline_of

        found = self._kept.evidence(notice.run, notice.chart)
        if not found:
            return None
        timeline = timeline_of(notice.payload)
        surroundings = self._kept.run(notice.run).surroundings
        after = timeline.end - timeline.restored
        result = judge_slo(found[0], timeline, surroundings, after)
        png = chart(
            found[0],
            result,
            timeline,
            format="png",
            title=notice.title,
            size=size,
            surroundings=surroundings,
        )
        return Picture(png, _spark(result), f"{notice.chart}: {result.reason}")


def _spark(result: Any) -> str:
    """The worst series in a line of text."""
    from sloguard.core.points import slo_values
    from sloguard.render.sparkline import sparkline

    values = slo_values(result.evidence)
    worst = max(result.series, key=lambda s: s.verdict.rank, default=None)
    if worst is None or worst.labels not in values.labels:
        return ""
    return sparkline(list(values.values[values.labels.index(worst.labels)]), 48)
