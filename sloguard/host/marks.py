"""Environment variables by which the processes of a run are found again, whoever they belong to by then.

A child inherits them, a daemon keeps them; so a run that was killed can be cleaned up by a later one.
"""

from __future__ import annotations

import os
from pathlib import Path

from sloguard.host.identity import Identity, all_pids, identify, protected_pids

#: The id of the run, the key of the activity (``method[0]``), the token of one injection.
RUN = "SLOGUARD_RUN"
ACTIVITY = "SLOGUARD_ACTIVITY"
FAULT = "SLOGUARD_FAULT"


def marked(**wanted: str) -> list[Identity]:
    """Living processes started with all of these environment variables, oldest first.

    Never this process or one of its parents. Processes whose environment this user may not read are
    passed over: they are not this user's.
    """
    kept = protected_pids()
    found = [_marked_as(pid, wanted) for pid in all_pids() if pid not in kept]
    return sorted((i for i in found if i), key=lambda i: (i.started, i.pid))


def processes_of(run: str, activity: str | None = None) -> list[Identity]:
    """Living processes that a run has started, or one of its activities."""
    wanted = {RUN: run} if activity is None else {RUN: run, ACTIVITY: activity}
    return marked(**wanted)


def _marked_as(pid: int, wanted: dict[str, str]) -> Identity | None:
    identity = identify(pid)
    if identity is None:
        return None
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    if not all(os.fsencode(f"{name}={value}") in variables for name, value in wanted.items()):
        return None
    # The pid may have changed hands between the two looks.
    return identity if identity.alive() else None
