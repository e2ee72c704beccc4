"""Which processes a fault could hit: find by criteria, spare what must not be touched.

All criteria that are given must hold. Never found: sloguard itself and its parents, pid 1, kernel threads,
zombies, and processes that this user may not signal.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sloguard.core.model import Json
from sloguard.faults.arguments import whole
from sloguard.faults.base import FaultError
from sloguard.faults.sockets import listeners
from sloguard.host.identity import Identity, all_pids, identify, protected_pids, read_stat
from sloguard.host.signals import may_signal

Spared = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One process that could be hit. ``names``: its program, and the script an interpreter runs."""

    identity: Identity
    names: tuple[str, ...] = ()
    command: str = ""


@dataclass(frozen=True, slots=True)
class Criteria:
    """What a process must be. As JSON it holds what the author wrote, and nothing of the processes."""

    pid: tuple[int, ...] = ()
    pid_file: tuple[str, ...] = ()
    name_pattern: str = ""
    command_pattern: str = ""
    port: int = 0
    user: str = ""

    @classmethod
    def of(
        cls,
        *,
        pid: Any = None,
        pid_file: Any = None,
        name_pattern: str | None = None,
        command_pattern: str | None = None,
        port: Any = None,
        user: Any = None,
    ) -> Criteria:
        """From a fault's arguments. Raises FaultError."""
        made = cls(
            pid=tuple(whole(p, "pid", least=1) for p in _many(pid)),
            pid_file=tuple(str(path) for path in _many(pid_file)),
            name_pattern=_pattern(name_pattern, "name_pattern"),
            command_pattern=_pattern(command_pattern, "command_pattern"),
            port=0 if port is None else whole(port, "port", least=1, most=65535),
            user="" if user is None else str(user),
        )
        if made == cls():
            raise FaultError(
                "which processes? give one or more of "
                "pid, pid_file, name_pattern, command_pattern, port, user"
            )
        return made

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Criteria:
        """What ``record`` gave."""
        lists = {key: tuple(record[key]) for key in ("pid", "pid_file")}
        return cls(**{**record, **lists})

    def record(self) -> dict[str, Json]:
        """As JSON."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}

    def __str__(self) -> str:
        shown = ((key, value) for key, value in self.record().items() if value)
        return ", ".join(f"{key} {_words(value)}" for key, value in shown)


def find(
    criteria: Criteria, spare: Callable[[Candidate], str] = lambda _candidate: ""
) -> tuple[list[Candidate], Spared]:
    """All processes that fit, and those that fit but must not be touched. Raises FaultError."""
    fits = _filter(criteria)
    kept = protected_pids()
    found: list[Candidate] = []
    spared: list[tuple[str, str]] = []
    for candidate, reason in _listed(criteria):
        if candidate is None or not fits(candidate):
            continue
        reason = reason or _untouchable(candidate.identity.pid, kept) or spare(candidate)
        if reason:
            spared.append((str(candidate.identity), reason))
        else:
            found.append(candidate)
    return found, tuple(spared)


def _listed(criteria: Criteria) -> Iterable[tuple[Candidate | None, str]]:
    """Every process that may come into question, with a reason not to touch it."""
    if criteria.pid or criteria.pid_file:
        wanted = dict.fromkeys(criteria.pid, math.inf)
        written = {p: at for path in criteria.pid_file for p, at in read_pid_file(path).items()}
        pids = {
            p: min(wanted.get(p, math.inf), written.get(p, math.inf)) for p in {*wanted, *written}
        }
        if wanted and written:
            pids = {p: at for p, at in pids.items() if p in wanted and p in written}
        for pid, at in sorted(pids.items()):
            found = candidate_of(pid)
            late = found is not None and started_at(found.identity) > at + _CLOCK_SLACK
            yield (
                found,
                "started after the pid file was written: the pid was reused" if late else "",
            )
        return
    for pid in all_pids():
        yield candidate_of(pid), ""


#: The boot time is known to a second, and a pid file may be written a little before its process.
_CLOCK_SLACK = 3.0


def read_pid_file(path: str) -> dict[int, float]:
    """The pids of a file, one a line up to the first line that is none, and when it was written."""
    try:
        where = Path(path).expanduser()
        text, written = where.read_text(), where.stat().st_mtime
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else "not a text file"
        raise FaultError(f"pid_file {path}: {said}") from error
    pids: dict[int, float] = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        if not line.strip().isdecimal():
            break
        pids[int(line)] = written
    if not pids:
        raise FaultError(f"pid_file {path}: expected a process id in its first line")
    return pids


def started_at(identity: Identity) -> float:
    """When a process started: seconds since the epoch, to about a second."""
    boot = next(
        int(line.split()[1])
        for line in Path("/proc/stat").read_text().splitlines()
        if line.startswith("btime")
    )
    return boot + identity.started / os.sysconf("SC_CLK_TCK")


_INTERPRETERS = re.compile(r"^(python[\d.]*|ruby[\d.]*|perl|node|java|bash|sh|dash|php[\d.]*)$")


def candidate_of(pid: int) -> Candidate | None:
    """What there is to know about a process without reading its environment."""
    identity = identify(pid)
    if identity is None:
        return None
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    words = [w.decode("utf-8", "replace") for w in raw.rstrip(b"\0").split(b"\0")] if raw else []
    program = os.path.basename(words[0]) if words else ""
    names = [identity.name, program]
    if _INTERPRETERS.match(program):
        # The script, or the module after -m; options come first.
        rest = words[1:]
        module = rest[rest.index("-m") + 1 : rest.index("-m") + 2] if "-m" in rest else []
        script = [os.path.basename(w) for w in rest if not w.startswith("-")][:1]
        names += module or script
    return Candidate(identity, tuple(dict.fromkeys(n for n in names if n)), " ".join(words))


def _untouchable(pid: int, kept: Mapping[int, str]) -> str:
    if pid in kept:
        return kept[pid]
    stat = read_stat(pid)
    if stat is None or stat.state in "ZX":
        return "has ended"
    if stat.kernel:
        return "a kernel thread"
    return "" if may_signal(pid) else "belongs to another user: not permitted"


def _filter(criteria: Criteria) -> Callable[[Candidate], bool]:
    tests: list[Callable[[Candidate], bool]] = []
    if criteria.name_pattern:
        by_name = re.compile(criteria.name_pattern)
        tests.append(lambda c: any(by_name.search(name) for name in c.names))
    if criteria.command_pattern:
        by_command = re.compile(criteria.command_pattern)
        tests.append(lambda c: bool(by_command.search(c.command)))
    if criteria.port:
        owners = listeners(criteria.port)
        tests.append(lambda c: c.identity.pid in owners)
    if criteria.user:
        uid = _uid(criteria.user)
        tests.append(lambda c: _owner(c.identity.pid) == uid)
    return lambda candidate: all(test(candidate) for test in tests)


def _uid(user: str) -> int:
    import pwd

    try:
        return int(user) if user.isdecimal() else pwd.getpwnam(user).pw_uid
    except KeyError:
        raise FaultError(f"user: no user '{user}' here") from None


def _owner(pid: int) -> int | None:
    try:
        return Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        return None


def nobody(criteria: Criteria, spared: Spared) -> str:
    if spared:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in spared[:3])
        return f"no process to hit for {criteria}: {reasons}"
    hint = ""
    if criteria.name_pattern and not criteria.command_pattern:
        pattern = re.compile(criteria.name_pattern)
        everybody = (candidate_of(pid) for pid in all_pids() if pid != os.getpid())
        others = sum(1 for c in everybody if c and pattern.search(c.command))
        if others:
            what = "a process has" if others == 1 else f"{others} processes have"
            hint = f"; {what} it elsewhere in the command line: use command_pattern for that"
    return f"no process matches {criteria}{hint}"


def _many(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _pattern(value: Any, name: str) -> str:
    if value is None:
        return ""
    try:
        re.compile(value)
    except (re.error, TypeError) as error:
        raise FaultError(f"{name}: {value!r} is not a regular expression: {error}") from None
    if not value:
        raise FaultError(f"{name}: an empty pattern would match every process")
    return str(value)


def _words(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(str(v) for v in value)
    return f"'{value}'" if isinstance(value, str) else str(value)
