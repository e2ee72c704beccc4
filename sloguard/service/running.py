"""The part of a service that is no web page: it takes jobs, watches their workers, and looks around."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from sloguard.ports import OutsideError
from sloguard.service import alerting, report_schedule
from sloguard.service.alerting import AlertDesk
from sloguard.service.executor import LOOK_SECONDS
from sloguard.service.orphans import OrphanWatch
from sloguard.service.outbox import Courier
from sloguard.service.report_schedule import ReportSchedule
from sloguard.service.starting import TURN_SECONDS, Janitor

log = logging.getLogger(__name__)

#: What is on its way when the service stops has so long to arrive, in seconds; else it is sent again.
_COURIER_SECONDS = 3.0


class Takes(Protocol):
    """What takes jobs from the queue: service.executor.Dispatcher, service.following.Follower."""

    @property
    def busy(self) -> bool:
        """Whether a worker of this process is under way."""
        ...

    def turn(self, *, take: bool = True) -> None:
        """Look after the workers, and take what may start."""
        ...

    def stop_all(self) -> None:
        """Ask every worker of this process to stop and undo."""
        ...


class Service:
    """Threads: one for the queue, one for the janitor, one for alerts, one for faults on the cluster, and the
    courier's. ``start`` returns at once.

    Nothing new is begun before what was found dead at the start is finished. It may be killed at any time:
    its workers go on, and the next one finds them.
    """

    def __init__(
        self,
        dispatcher: Takes,
        janitor: Janitor,
        alerts: AlertDesk | None = None,
        *,
        courier: Courier | None = None,
        reports: ReportSchedule | None = None,
        orphans: OrphanWatch | None = None,
    ) -> None:
        self._dispatcher, self._janitor, self._alerts = dispatcher, janitor, alerts
        self._courier = courier
        self._stop, self._wake, self._ready = (
            threading.Event(),
            threading.Event(),
            threading.Event(),
        )
        self._threads = [
            threading.Thread(target=self._dispatch, name="dispatcher", daemon=True),
            threading.Thread(target=self._look_around, name="janitor", daemon=True),
        ]
        if alerts is not None:
            works = threading.Thread(
                target=self._work_off, args=(alerts,), name="alerts", daemon=True
            )
            self._threads.append(works)
        if reports is not None:
            makes = threading.Thread(
                target=self._make_reports, args=(reports,), name="reports", daemon=True
            )
            self._threads.append(makes)
        if orphans is not None:
            looks = threading.Thread(
                target=self._look_at_cluster, args=(orphans,), name="orphans", daemon=True
            )
            self._threads.append(looks)

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()
        if self._courier is not None:
            self._courier.start()

    def ended(self) -> None:
        """A worker has died: look around at once. From any thread."""
        self._wake.set()

    def stop(self, *, abort: bool = False, patience: float = 0.0) -> bool:
        """Take nothing more. Workers go on, unless ``abort`` asks them to stop and undo; they are waited for
        at most ``patience`` seconds. Whether none is left."""
        self._stop.set()
        self._wake.set()
        if self._courier is not None:
            self._courier.stop(_COURIER_SECONDS)
        for thread in self._threads:
            thread.join(10.0)
        if abort:
            self._dispatcher.stop_all()
        deadline = time.monotonic() + patience
        while self._dispatcher.busy and time.monotonic() < deadline:
            self._quietly(lambda: self._dispatcher.turn(take=False))
            time.sleep(0.1)
        return not self._dispatcher.busy

    def _dispatch(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            self._quietly(lambda: self._dispatcher.turn(take=self._ready.is_set()))

    def _work_off(self, alerts: AlertDesk) -> None:
        while not self._stop.wait(alerting.LOOK_SECONDS):
            self._quietly(lambda: alerts.turn(self._stop.is_set))

    def _make_reports(self, reports: ReportSchedule) -> None:
        while not self._stop.is_set():
            self._quietly(reports.turn)
            self._stop.wait(report_schedule.LOOK_SECONDS)

    def _look_at_cluster(self, orphans: OrphanWatch) -> None:
        while not self._stop.is_set():
            # What the store knows to be dead is finished by the ledger first.
            if self._ready.is_set():
                self._quietly(orphans.turn)
            self._stop.wait(LOOK_SECONDS)

    def _look_around(self) -> None:
        while not self._stop.is_set():
            done = self._quietly(self._janitor.turn)
            if not done:
                self._janitor.unreachable()
            elif not self._janitor.recovering:
                self._ready.set()
            # Whoever waits for the first recovery should not wait longer than it takes.
            soon = self._janitor.recovering or not self._ready.is_set()
            self._wake.wait(LOOK_SECONDS if soon else TURN_SECONDS)
            self._wake.clear()

    def _quietly(self, work: Callable[[], object]) -> bool:
        """A store that is away, or a bug, must not end the thread; whether all went well."""
        try:
            work()
            return True
        except OutsideError as error:
            log.warning("%s", error)
        except Exception:
            log.exception("this is a bug")
        return False
