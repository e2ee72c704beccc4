"""Whether the process of a run still runs, from here or from elsewhere."""

from __future__ import annotations

import os
import socket

from sloguard.host.identity import Identity, Machine, identify, this_machine

#: A run on another machine counts as dead when it was not heard of for so long, in seconds.
SILENT_SECONDS = 60.0


def myself() -> Identity:
    """This process; where it cannot be told apart from others, only its heartbeat will speak for it."""
    try:
        found = identify(os.getpid())
    except OSError:
        found = None
    return found or Identity(os.getpid(), 0, "", Machine(socket.gethostname(), "", ""))


def is_alive(process: Identity, heartbeat: float, now: float) -> bool:
    """By the process itself where this machine can see it, else by a heartbeat under a minute old.

    A host's name proves nothing (containers share them): the boot and the pid namespace do.
    """
    if is_here(process):
        return process.alive()
    return now - heartbeat < SILENT_SECONDS


def is_here(process: Identity) -> bool:
    """Whether this machine, in this pid namespace, can see the process itself."""
    if not process.machine.boot:
        return False
    try:
        here = this_machine()
    except OSError:
        return False
    return (here.boot, here.pids) == (process.machine.boot, process.machine.pids)
