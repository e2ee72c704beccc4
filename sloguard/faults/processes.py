"""Faults on processes of this machine: kill, stop, restart, and stress on CPU and memory.

Whom ``kill``, ``stop`` and ``restart`` hit is said by the same arguments: criteria that must all hold
(``pid``, ``pid_file``, ``name_pattern``, ``command_pattern``, ``port``, ``user``), and how many (``qty``,
``percentage`` or ``all``; one if nothing is said). sloguard itself, its parents, pid 1, kernel threads and
processes that this user may not signal are never touched. A process is known by its pid and its start,
so that one that merely got the same pid later is left alone.
"""

from __future__ import annotations

import signal as signals
import time

from sloguard.core.model import Json
from sloguard.faults import restarting, stress
from sloguard.faults.arguments import duration as as_duration
from sloguard.faults.base import Context, FaultError, Injection, Plan, Planner, Record, fault
from sloguard.faults.finding import Candidate, Criteria
from sloguard.faults.reaching import ended_within, in_words, lock_of, pause, reach, within_reach
from sloguard.faults.selection import Choice, select
from sloguard.faults.sockets import instances_of
from sloguard.host.identity import Identity
from sloguard.host.signals import signal_number

#: Signals of which a process is expected to end, and those that only stop it.
_FATAL = {signals.SIGKILL, signals.SIGTERM, signals.SIGINT, signals.SIGQUIT, signals.SIGABRT}
_STOPPING = {signals.SIGSTOP, signals.SIGTSTP, signals.SIGTTIN, signals.SIGTTOU}

_WHOM = """

pid: Process id, or a list of them; all that are named are hit unless qty says otherwise.
pid_file: File with one process id a line, or a list of such files. A process that started after the
    file was written has another's old pid, and is left alone.
name_pattern: Regular expression, searched in the program's name; for Python, Java, Node, Ruby, Perl, PHP and
    shells also in the name of the script or module they run.
command_pattern: Regular expression, searched in the whole command line.
port: TCP or UDP port that the process listens on.
user: Name or number of the user that the process belongs to.
qty: How many to hit at most. One if neither qty, percentage nor all is given.
percentage: Share of the processes that match, rounded down, but one at the least.
all: Hit all that match.
rand: Choose at random, repeatably by the seed; else the oldest first.
seed: Seed of that choice; the run's own if none is given.
leave_at_least: How many of those that match are spared, whatever else is asked."""


def _whom(planner: Planner) -> Planner:
    """Adds what the three have in common to their documentation."""
    planner.__doc__ = (planner.__doc__ or "").rstrip() + _WHOM.replace("\n", "\n    ")
    return planner


def _inject_kill(record: Record, context: Context) -> Json:
    identity, number = Identity.from_record(record["process"]), int(record["signal"])
    if not reach(identity, number):
        raise FaultError(f"{identity} ended before it could be hit")
    output = {"process": str(identity), "signal": signals.Signals(number).name}
    if number in _FATAL:
        return {**output, "ended": ended_within(identity, float(record["wait"]), context.stop)}
    return output


def _undo_kill(_record: Record, _context: Context) -> str:
    return ""  # nobody can bring a killed process back as it was; its supervisor may start another


@fault("processes.kill", inject=_inject_kill, undo=_undo_kill)
@_whom
def kill(
    pid: int | list[int] | None = None,
    pid_file: str | list[str] | None = None,
    name_pattern: str | None = None,
    command_pattern: str | None = None,
    port: int | None = None,
    user: str | None = None,
    qty: int | None = None,
    percentage: float | str | None = None,
    all: bool = False,
    rand: bool = False,
    seed: int | None = None,
    leave_at_least: int = 0,
    signal: str | int = "KILL",
    wait: float | str = 5.0,
    *,
    context: Context,
) -> Plan:
    """Send processes a signal, SIGKILL unless another is named.

    There is nothing to undo: whatever supervises a process may start it again, sloguard does not.

    signal: Name or number of the signal. For those that stop a process use processes.stop.
    wait: How long the end of the process is waited for, in seconds; it is no error if it does not come.
    """
    try:
        number = signal_number(signal)
    except ValueError as error:
        raise FaultError(f"signal: {error}") from None
    if number in _STOPPING:
        raise FaultError("signal: a stopped process has to be continued: use processes.stop")
    seconds = as_duration(wait, "wait", longest=600)
    criteria = Criteria.of(
        pid=pid, pid_file=pid_file, name_pattern=name_pattern, command_pattern=command_pattern,
        port=port, user=user,
    )  # fmt: skip
    choice = Choice.of(
        qty=qty, percentage=percentage, all=all, rand=rand, seed=seed, leave_at_least=leave_at_least
    )
    victims, spared = select(criteria, choice, context.random)
    names = instances_of(v.identity for v in victims) if number in _FATAL else frozenset()
    return Plan(
        tuple(
            Injection(
                target=str(victim.identity),
                record={"process": victim.identity.record(), "signal": number, "wait": seconds},
                lock=lock_of(victim.identity),
                by_hand=f"start {victim.identity.name} again, if nothing else does",
                removes={"instance": names} if names else {},
            )
            for victim in victims
        ),
        spared,
        f"send {signals.Signals(number).name} to {in_words(victims)}",
    )


def _inject_stop(record: Record, context: Context) -> Json:
    identity, began = Identity.from_record(record["process"]), time.monotonic()
    try:
        if not reach(identity, signals.SIGSTOP):
            raise FaultError(f"{identity} ended before it could be stopped")
        if record["duration"] is None:
            return {"stopped": str(identity)}
        pause(float(record["duration"]), context.stop)
    except BaseException:
        _undo_stop(record, context)
        raise
    _undo_stop(record, context)
    return {"stopped": str(identity), "seconds": round(time.monotonic() - began, 3)}


def _undo_stop(record: Record, _context: Context) -> str:
    continued: list[str] = []
    for identity in map(Identity.from_record, [record["process"], *record["together_with"]]):
        with within_reach(identity):
            was_stopped = identity.state() in ("T", "t")
            # Sent in any case: it also takes back a stop that has not arrived yet.
            if reach(identity, signals.SIGCONT) and was_stopped:
                continued.append(str(identity))
    return f"continued {', '.join(continued)}" if continued else ""


@fault("processes.stop", inject=_inject_stop, undo=_undo_stop)
@_whom
def stop(
    pid: int | list[int] | None = None,
    pid_file: str | list[str] | None = None,
    name_pattern: str | None = None,
    command_pattern: str | None = None,
    port: int | None = None,
    user: str | None = None,
    qty: int | None = None,
    percentage: float | str | None = None,
    all: bool = False,
    rand: bool = False,
    seed: int | None = None,
    leave_at_least: int = 0,
    duration: float | str | None = None,
    *,
    context: Context,
) -> Plan:
    """Stop processes with SIGSTOP: they keep their connections and answer nothing. Undone with SIGCONT.

    duration: How long to stop them, in seconds or as 30s; the action lasts as long. Without one they are
        stopped until the run undoes it, at the end of its method.
    """
    seconds = None if duration is None else as_duration(duration, "duration", longest=86400)
    criteria = Criteria.of(
        pid=pid, pid_file=pid_file, name_pattern=name_pattern, command_pattern=command_pattern,
        port=port, user=user,
    )  # fmt: skip
    choice = Choice.of(
        qty=qty, percentage=percentage, all=all, rand=rand, seed=seed, leave_at_least=leave_at_least
    )
    victims, spared = select(criteria, choice, context.random, _spare_stopped)
    how_long = "" if seconds is None else f" for {seconds:g}s"
    # They are stopped one right after the other; the last one waits, and continues them all.
    waits = [None] * (len(victims) - 1) + [seconds]
    injections = [
        _stopping(victim, wait, victims[:-1] if wait else [])
        for victim, wait in zip(victims, waits, strict=True)
    ]
    return Plan(tuple(injections), spared, f"stop {in_words(victims)}{how_long}")


def _spare_stopped(candidate: Candidate) -> str:
    stopped = candidate.identity.state() in ("T", "t")
    return "is stopped already, by somebody else" if stopped else ""


def _stopping(victim: Candidate, seconds: float | None, others: list[Candidate]) -> Injection:
    return Injection(
        target=str(victim.identity),
        record={
            "process": victim.identity.record(),
            "duration": seconds,
            "together_with": [other.identity.record() for other in others],
        },
        lock=lock_of(victim.identity),
        by_hand=f"kill -CONT {victim.identity.pid}",
    )


@fault("processes.restart", inject=restarting.inject, undo=restarting.undo)
@_whom
def restart(
    pid: int | list[int] | None = None,
    pid_file: str | list[str] | None = None,
    name_pattern: str | None = None,
    command_pattern: str | None = None,
    port: int | None = None,
    user: str | None = None,
    qty: int | None = None,
    percentage: float | str | None = None,
    all: bool = False,
    rand: bool = False,
    seed: int | None = None,
    leave_at_least: int = 0,
    command: str | list[str] | None = None,
    directory: str | None = None,
    log: str | None = None,
    grace: float | str = 10.0,
    back_within: float | str = 30.0,
    *,
    context: Context,
) -> Plan:
    """End processes (SIGTERM, then SIGKILL), one after the other, and see each of them back.

    A run that is cut off half-way is undone by bringing the process back.

    command: What starts it again: a list, or a text for the shell. It gets sloguard's environment, not
        the old process's, and it is kept in the ledger, so it must not hold secrets. Without a command,
        something else has to bring the process back (systemd, a supervisor), and that is waited for.
    directory: Where the command runs; the old process's working directory if not given.
    log: File to which the command's output is appended; discarded if not given.
    grace: How long the process has between SIGTERM and SIGKILL, in seconds.
    back_within: How long it may take until a process that fits the same criteria is there again.
    """
    criteria = Criteria.of(
        pid=pid, pid_file=pid_file, name_pattern=name_pattern, command_pattern=command_pattern,
        port=port, user=user,
    )  # fmt: skip
    choice = Choice.of(
        qty=qty, percentage=percentage, all=all, rand=rand, seed=seed, leave_at_least=leave_at_least
    )
    victims, spared = select(criteria, choice, context.random)
    how = restarting.How.of(command, directory, log, grace, back_within)
    names = instances_of(v.identity for v in victims)
    return Plan(
        tuple(
            Injection(
                target=str(victim.identity),
                record=restarting.record_of(victim, criteria, how, context.run),
                lock=lock_of(victim.identity),
                by_hand=how.by_hand(victim.identity.name),
                removes={"instance": names} if names else {},
            )
            for victim in victims
        ),
        spared,
        f"restart {in_words(victims)}, {how}",
    )


@fault("processes.cpu_stress", inject=stress.inject, undo=stress.undo)
def cpu_stress(
    workers: int | None = None,
    load: float | str = 100,
    duration: float | str | None = None,
    *,
    context: Context,
) -> Plan:
    """Keep CPUs busy with worker processes, which end when sloguard does.

    workers: How many; one for each CPU that sloguard may use, if not given.
    load: How busy each of them keeps its CPU, in percent.
    duration: How long, in seconds or as 30s; the action lasts as long. Without one the stress lasts until the
        run undoes it, at the end of its method.
    """
    return stress.plan_cpu(workers, load, duration, context)


@fault("processes.memory_stress", inject=stress.inject, undo=stress.undo)
def memory_stress(
    size: int | str,
    duration: float | str | None = None,
    leave_free: int | str = "256MiB",
    *,
    context: Context,
) -> Plan:
    """Fill memory with a worker process, which ends when sloguard does, and which the kernel would kill first.

    size: How much, in bytes or as 500MiB.
    duration: How long, in seconds or as 30s; the action lasts as long. Without one the stress lasts until the
        run undoes it, at the end of its method.
    leave_free: How much memory has to stay available on this machine; the fault is refused otherwise.
    """
    return stress.plan_memory(size, duration, leave_free, context)
