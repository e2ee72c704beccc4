"""A run in a process of its own, for tests that kill it: says every event on a line."""

from __future__ import annotations

import sys
from pathlib import Path

from sloguard.adapters.clock import SystemClock
from sloguard.adapters.locks import FileLocks
from sloguard.adapters.store import Store
from sloguard.core.events import Event
from sloguard.engine.options import Options
from sloguard.engine.ports_bundle import Ports
from sloguard.engine.run import drive, run
from sloguard.spec import load


def ports(store: Store, locks: Path) -> Ports:
    """Everything real but a Prometheus."""
    return Ports(metrics=None, clock=SystemClock(), ledger=store, locks=FileLocks(locks))


def _say(event: Event) -> None:
    detail = getattr(getattr(event, "fault", None), "status", "") or getattr(event, "phase", "")
    print(type(event).__name__, str(detail or "-"), flush=True)


def main(folder: str, run_id: str) -> None:
    """Run ``experiment.yaml`` of a folder."""
    here = Path(folder)
    with Store(str(here / "runs.db")) as store:
        made = load(here / "experiment.yaml")
        events = run(made, ports(store, here / "locks"), Options(run=run_id))
        drive(events, [store.record, _say])


if __name__ == "__main__":
    main(*sys.argv[1:])
