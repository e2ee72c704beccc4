"""Sending signals to the processes of a record, and saying who they were."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence

from sloguard.faults.base import FaultError
from sloguard.faults.finding import Candidate
from sloguard.host.identity import AnotherMachine, Identity
from sloguard.host.signals import send

#: How often a process is looked at while something is waited for, seconds.
LOOK = 0.02


@contextlib.contextmanager
def within_reach(identity: Identity) -> Iterator[None]:
    """What keeps a process out of reach, as a FaultError."""
    try:
        yield
    except AnotherMachine as error:
        raise FaultError(str(error)) from error
    except PermissionError:
        raise FaultError(f"{identity}: this user may not send it signals") from None


def reach(identity: Identity, number: int) -> bool:
    """Send a signal; False if the process is gone. Raises FaultError."""
    with within_reach(identity):
        return send(identity, number)


def alive(identity: Identity) -> bool:
    """Whether a process still runs. Raises FaultError."""
    with within_reach(identity):
        return identity.alive()


def pause(seconds: float, stop: threading.Event) -> None:
    """Wait, until ``stop``. In short pieces, so that an exception raised from outside comes through."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0 and not stop.wait(min(left, 0.25)):
        pass


def ended_within(identity: Identity, seconds: float, stop: threading.Event) -> bool:
    """Wait for the end of a process, until ``stop``; whether it came."""
    deadline = time.monotonic() + seconds
    while alive(identity):
        left = deadline - time.monotonic()
        if left <= 0 or stop.wait(min(LOOK, left)):
            return not alive(identity)
    return True


def lock_of(identity: Identity) -> str:
    """What keeps other runs away from this process."""
    return f"process {identity.machine.host} {identity.pid}"


def in_words(victims: Sequence[Candidate]) -> str:
    """``checkout[12], checkout[13] and 2 more``."""
    names = [str(victim.identity) for victim in victims]
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
