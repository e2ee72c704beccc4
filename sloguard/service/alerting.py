"""Works off what Alertmanager has sent: payloads become episodes, and runs that have ended learn of them.

Whatever is done here is done once for each payload, however many services share a store: a payload leaves the
inbox in the same transaction in which what it says is written.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from sloguard.core.amending import amended
from sloguard.core.deliveries import NotTaken
from sloguard.core.episodes import AlertEpisode
from sloguard.core.text import iso_time
from sloguard.ports import OutsideError
from sloguard.ports.alert_inbox import AlertInbox, Received, WorkedOff
from sloguard.service.payloads import telling

log = logging.getLogger(__name__)

#: How often it is looked for something new, seconds.
LOOK_SECONDS = 0.25
#: So many payloads, but no more alerts than these unless one brings them, are written at once: whoever delivers the
#: next one must not wait for long.
BITE, BITE_ALERTS = 50, 100
#: A pause between two bites is as long as the one before took, within these bounds (s): while much is sent, answering
#: comes first, and what waits in the inbox is safe there.
PAUSE_SECONDS = (0.005, 0.1)
#: A payload that could not be written so often, while others could, is refused.
MOST_FAILURES = 20
PRUNE_SECONDS = 600.0
#: Refused payloads are looked at within this time or never, seconds.
REFUSED_SECONDS = 90 * 86400.0
#: Of what was refused, so much is kept, bytes.
REFUSED_BODY = 16 << 10
_DAY = 86400.0


class AlertStore(AlertInbox, Protocol):
    """What is needed of the store."""

    def payloads_wait(self) -> bool:
        """Whether there is anything to work off; a cheap question."""
        ...


class EpisodeStore(Protocol):
    """The read side of it."""

    def episodes(self, start: float, end: float, *, stale_after: float) -> Sequence[AlertEpisode]:
        """Every episode that overlaps [start, end]."""
        ...


@dataclass(frozen=True, slots=True)
class StoredAlerts:
    """ports.alerts.AlertSource: what webhooks have brought."""

    store: EpisodeStore
    stale_after: float

    def episodes(self, start: float, end: float) -> Sequence[AlertEpisode]:
        """Every episode that overlaps [start, end], by its start."""
        return self.store.episodes(start, end, stale_after=self.stale_after)


class AlertDesk:
    """Takes payloads from the inbox in the order in which they came.

    ``retention``: seconds that episodes are kept after they were last heard of, None: for ever.
    ``late``: told of each run whose document got alerts after its end, with the new document.
    """

    def __init__(
        self,
        store: AlertStore,
        *,
        retention: float | None = None,
        most_refused: int = 1000,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] = time.sleep,
        late: Callable[[str, Mapping[str, Any]], None] = lambda _run, _document: None,
    ) -> None:
        self._store, self._late = store, late
        self._retention, self._most_refused = retention, most_refused
        self._now, self._monotonic, self._pause = now, monotonic, pause
        self._pruned_at = float("-inf")
        self._failures: Counter[int] = Counter()
        self._newest: Mapping[str, Any] | None = None

    def turn(self, stopping: Callable[[], bool] = lambda: False) -> int:
        """Work off what there is, unless it is to stop; how many payloads. Raises OutsideError where the store is
        away."""
        count, spent = 0, 0.0
        while not stopping() and self._store.payloads_wait():
            if count:
                self._pause(min(max(spent, PAUSE_SECONDS[0]), PAUSE_SECONDS[1]))
            begun = self._monotonic()
            bite = self._store.waiting_payloads(BITE, alerts=BITE_ALERTS)
            settled = self._settle([_worked_off(payload) for payload in bite])
            count += settled
            spent = self._monotonic() - begun
            if settled < len(bite) or not bite:
                break
        self._amend()
        self._prune()
        return count

    def _settle(self, done: Sequence[WorkedOff]) -> int:
        """How many are written. One that the database will not have stands in nobody's way."""
        try:
            self._store.settle_payloads(done)
            return len(done)
        except OutsideError:
            # Where the store itself is away, this goes on until it is back.
            if len(done) == 1 and self._failures[done[0].payload.number] < MOST_FAILURES:
                self._failures[done[0].payload.number] += 1
                raise
        return sum(self._settle_one(one) for one in done)

    def _settle_one(self, one: WorkedOff) -> bool:
        number = one.payload.number
        try:
            self._store.settle_payloads([one])
            return True
        except OutsideError as error:
            self._failures[number] += 1
            if self._failures[number] <= MOST_FAILURES:
                return False
            log.error("payload %d could not be kept: %s", number, error)
            self._store.settle_payloads([_refused(one.payload, f"it could not be kept: {error}")])
            return True

    def _amend(self) -> None:
        """Runs that had ended when an alert came, or that were under way then and have ended since."""
        for run, turn in self._store.runs_to_amend(100):
            self._newest = None
            try:
                done = self._store.amend_run(run, turn, self._amended)
            except OutsideError:
                raise
            except Exception:
                log.exception("the alerts of run %s could not be brought up to date", run)
                done = self._store.amend_run(run, turn, lambda _document, _episodes: None)
            if done:
                log.info("run %s: alerts that came later are added", run, extra={"run": run})
                self._tell(run)

    def _amended(
        self, document: Mapping[str, Any], episodes: Sequence[AlertEpisode]
    ) -> Mapping[str, Any] | None:
        made = amended(document, episodes)
        self._newest = None if made is None else {**made, "amended_at": iso_time(self._now())}
        return self._newest

    def _tell(self, run: str) -> None:
        """Others, of what was added. It is in the document whatever becomes of this."""
        made, self._newest = self._newest, None
        if made is None:
            return
        try:
            self._late(run, made)
        except Exception:
            log.exception("run %s: nobody was told of the alerts that came later", run)

    def _prune(self) -> None:
        if self._monotonic() - self._pruned_at < PRUNE_SECONDS:
            return
        self._pruned_at = self._monotonic()
        now = self._now()
        gone = self._store.prune_alerts(
            episodes_before=float("-inf") if self._retention is None else now - self._retention,
            refused_before=now - REFUSED_SECONDS,
            most_refused=self._most_refused,
        )
        if gone:
            log.info("deleted %d alerts that were older than they are kept", gone)


def retention_seconds(days: float) -> float | None:
    """Of the setting: 0 means for ever."""
    return days * _DAY if days else None


def _worked_off(payload: Received) -> WorkedOff:
    try:
        told = telling(payload.body, payload.received_at)
    except NotTaken as error:
        return _refused(payload, str(error))
    except Exception as error:  # a bug must not stop all that come behind
        log.exception("payload %d could not be read: this is a bug", payload.number)
        return _refused(payload, f"sloguard failed on it: {type(error).__name__}")
    if told.problems:
        left = f"{len(told.problems)} of {payload.alerts} alerts could not be taken"
        return replace(_refused(payload, f"{left}: {'; '.join(told.problems)}"), told=told)
    return WorkedOff(payload=payload, told=told)


def _refused(payload: Received, reason: str) -> WorkedOff:
    kept = replace(payload, body=payload.body[:REFUSED_BODY])
    return WorkedOff(payload=kept, told=None, refused=reason[:4000])
