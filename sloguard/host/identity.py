"""Who a process is: a pid alone is reused, a pid with its start time within one boot is not.

Linux only: everything is read from /proc. Nothing here reads a command line or an environment.
"""

from __future__ import annotations

import functools
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class AnotherMachine(Exception):
    """A process was recorded on another machine, or in another container: ask there."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a pid means something: host name, this boot of its kernel, and the pid namespace."""

    host: str
    boot: str
    pids: str


@functools.cache
def this_machine() -> Machine:
    """The machine, boot and pid namespace of this process."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        pids = os.readlink("/proc/self/ns/pid")
    except OSError as error:  # pragma: no cover - not Linux, or /proc hidden
        raise OSError(f"processes cannot be told apart here without /proc: {error}") from error
    return Machine(socket.gethostname(), boot, pids)


@dataclass(frozen=True, slots=True)
class Identity:
    """One process for good: ``started`` is its start in clock ticks since boot."""

    pid: int
    started: int
    name: str
    machine: Machine

    def record(self) -> dict[str, Any]:
        """As JSON, readable by ``from_record`` in any later process."""
        where = self.machine
        return {
            "pid": self.pid,
            "started": self.started,
            "name": self.name,
            "host": where.host,
            "boot": where.boot,
            "pids": where.pids,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Identity:
        """The process that ``record`` was made of."""
        machine = Machine(str(record["host"]), str(record["boot"]), str(record["pids"]))
        return cls(int(record["pid"]), int(record["started"]), str(record["name"]), machine)

    def __str__(self) -> str:
        return f"{self.name}[{self.pid}]"

    def state(self) -> str:
        """The kernel's letter (R, S, D, T, Z …), or an empty text once this process is gone.

        A pid that now belongs to another process counts as gone, and so does every process of an
        earlier boot of this host. Raises AnotherMachine where this machine cannot tell.
        """
        here = this_machine()
        if self.machine.boot != here.boot:
            if self.machine.host == here.host:
                return ""
            raise AnotherMachine(f"{self} ran on {self.machine.host}, and this is {here.host}")
        if self.machine.pids != here.pids:
            raise AnotherMachine(
                f"{self} belongs to another pid namespace ({self.machine.pids}) of this machine; "
                "run this in the same container"
            )
        found = read_stat(self.pid)
        return found.state if found and found.started == self.started else ""

    def alive(self) -> bool:
        """Whether it still runs (a zombie does not)."""
        return self.state() not in ("", "Z", "X")


@dataclass(frozen=True, slots=True)
class Stat:
    """What /proc/PID/stat says of one process."""

    name: str
    state: str
    parent: int
    group: int
    started: int
    kernel: bool


_PF_KTHREAD = 0x00200000


def read_stat(pid: int) -> Stat | None:
    """The kernel's view of a process; None if there is none of this pid."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes().decode("utf-8", "replace")
    except OSError:
        return None
    # The name stands in brackets and may hold brackets and blanks itself.
    name = text[text.index("(") + 1 : text.rindex(")")]
    fields = text[text.rindex(")") + 2 :].split()
    flags = int(fields[6])
    return Stat(
        name,
        fields[0],
        int(fields[1]),
        int(fields[2]),
        int(fields[19]),
        bool(flags & _PF_KTHREAD),
    )


def identify(pid: int) -> Identity | None:
    """The process that has this pid now; None if there is none."""
    stat = read_stat(pid)
    return Identity(pid, stat.started, stat.name, this_machine()) if stat else None


def all_pids() -> list[int]:
    """Every pid of this pid namespace, ascending."""
    return sorted(int(entry) for entry in os.listdir("/proc") if entry.isdigit())


def protected_pids() -> dict[int, str]:
    """Processes that are never touched, with the reason: this one, its parents, pid 1."""
    kept = {1: "the first process (pid 1)", os.getpid(): "sloguard itself"}
    parent = os.getppid()
    while parent > 1 and parent not in kept:
        kept[parent] = "a parent of sloguard"
        stat = read_stat(parent)
        parent = stat.parent if stat else 0
    return kept
