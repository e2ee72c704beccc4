"""A run that only looks: the preflight, the plan of every fault, and nothing touched."""

from __future__ import annotations

from collections.abc import Generator

from sloguard.core.events import Event, Note
from sloguard.core.model import Experiment
from sloguard.engine.approving import wanted
from sloguard.engine.budgeting import gate_budget
from sloguard.engine.control import Control
from sloguard.engine.loop import Work
from sloguard.engine.options import Options
from sloguard.engine.ports_bundle import Ports
from sloguard.engine.preflight import preflight
from sloguard.engine.session import NotStarted, Session, Stopped


def dry_run(
    experiment: Experiment,
    ports: Ports,
    options: Options | None = None,
    control: Control | None = None,
) -> Generator[Event, None, bool]:
    """The events of a preflight; returns whether a run could start now.

    The locks are taken to see whether they are free, and given back at once.
    """
    session = Session(experiment, ports, options or Options(), control or Control())
    work = _looking(session)
    try:
        for item in work:
            if item is None:
                yield from session.turn()
            else:
                yield item
    except NotStarted as error:
        yield Note(session.now(), "error", f"it would not start: {error}")
        return False
    except Stopped as error:
        yield Note(session.now(), "error", str(error))
        return False
    finally:
        work.close()
        ports.locks.release()
    return True


def _looking(session: Session) -> Work[None]:
    yield from preflight(session)
    yield from gate_budget(session)
    approval = wanted(session)
    if approval is not None:
        who = f" by {', '.join(approval.by)}" if approval.by else ""
        yield Note(
            session.now(), "info", f"a run would wait for an approval{who} before its first fault"
        )
