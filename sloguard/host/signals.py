"""Signals that reach the process that was meant, or nobody."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Iterable

from sloguard.host.identity import Identity

#: How often the end of a process is looked for, seconds.
_LOOK = 0.02


def send(identity: Identity, number: int) -> bool:
    """Send a signal; False if that process is gone. Raises PermissionError, and AnotherMachine.

    With a pidfd (Linux 5.3) the pid cannot be reused between the look and the signal; without one that
    window is some microseconds.
    """
    try:
        handle = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return False
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM, errno.EINVAL):
            raise
        return _send_by_pid(identity, number)
    try:
        if not identity.alive():
            return False
        signal.pidfd_send_signal(handle, number)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)


def _send_by_pid(identity: Identity, number: int) -> bool:
    if not identity.alive():
        return False
    try:
        os.kill(identity.pid, number)
    except ProcessLookupError:
        return False
    return True


def may_signal(pid: int) -> bool:
    """Whether this user may send signals to a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return False
    return True


def wait_gone(identities: Iterable[Identity], seconds: float) -> list[Identity]:
    """Wait until all of these have ended, at most ``seconds``; returns those that have not."""
    left = list(identities)
    deadline = time.monotonic() + seconds
    while True:
        left = [i for i in left if i.alive()]
        if not left or time.monotonic() >= deadline:
            return left
        time.sleep(_LOOK)


def end(identities: Iterable[Identity], grace: float = 2.0) -> list[Identity]:
    """SIGTERM (and SIGCONT, lest it sleep), ``grace`` seconds, SIGKILL; returns whom it signalled.

    Processes that this user may not signal are left alone.
    """
    reached = [i for i in identities if _send_quietly(i, signal.SIGTERM)]
    for identity in reached:
        _send_quietly(identity, signal.SIGCONT)
    left = wait_gone(reached, grace)
    for identity in left:
        _send_quietly(identity, signal.SIGKILL)
    wait_gone(left, 1.0)
    return reached


def _send_quietly(identity: Identity, number: int) -> bool:
    try:
        return send(identity, number)
    except PermissionError:
        return False


def signal_number(value: str | int) -> int:
    """``"TERM"``, ``"SIGTERM"`` or 15 -> 15; raises ValueError with what was expected."""
    text = str(value).strip().upper()
    try:
        if text.isdigit():
            return int(signal.Signals(int(text)))
        name = text if text.startswith("SIG") else f"SIG{text}"
        return int(signal.Signals[name])
    except (KeyError, ValueError):
        known = ", ".join(s.name[3:] for s in signal.Signals)
        raise ValueError(f"'{value}' is not a signal; one of {known}") from None
