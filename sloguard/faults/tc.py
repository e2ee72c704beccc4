"""Talking to ``tc``: what is set up on an interface now, setting up, and rehearsing in a namespace of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sloguard.core.model import Json
from sloguard.faults.base import FaultError

Command = list[str]
#: How long a call of tc may take, seconds.
_TIMEOUT = 10.0
_CAP_NET_ADMIN = 12
#: What counts and varies without anybody changing the configuration.
_COUNTERS = {"refcnt", "direct_packets_stat", "offloaded"}

#: How an option of ``tc -j qdisc show`` is written on the command line, by kind of qdisc.
_WRITTEN: dict[str, dict[str, tuple[str, str]]] = {
    "pfifo": {"limit": ("limit", "{}")},
    "bfifo": {"limit": ("limit", "{}")},
    "tbf": {
        "rate": ("rate", "{}bps"),
        "burst": ("burst", "{}b"),
        "lat": ("latency", "{}us"),
    },
    "fq_codel": {
        "limit": ("limit", "{}p"),
        "flows": ("flows", "{}"),
        "quantum": ("quantum", "{}"),
        "target": ("target", "{}us"),
        "interval": ("interval", "{}us"),
        "memory_limit": ("memory_limit", "{}"),
        "drop_batch": ("drop_batch", "{}"),
        "ecn": ("ecn", ""),
    },
}


def program(name: str = "tc") -> str:
    """Where a program is, also in the places that only root has on its PATH. Raises FaultError."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    found = shutil.which(name, path=path)
    if found is None:
        raise FaultError(f"not available here: no '{name}' program; install iproute2")
    return found


def need_rights() -> None:
    """Raises FaultError if this process may not configure the network."""
    found = re.search(
        r"^CapEff:\s*([0-9a-f]+)$", Path("/proc/self/status").read_text(), re.MULTILINE
    )
    if not found or not int(found.group(1), 16) >> _CAP_NET_ADMIN & 1:
        raise FaultError("not available here: changing the network needs root, or CAP_NET_ADMIN")


def run(command: Sequence[str]) -> str:
    """Run ``tc`` with these words; its standard output. Raises FaultError with the kernel's message."""
    try:
        done = subprocess.run(
            [program(), *command], capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        raise FaultError(f"tc {' '.join(command)}: no end after {_TIMEOUT:g}s") from None
    if done.returncode:
        raise FaultError(f"tc {' '.join(command)}: {_said(done.stderr)}")
    return done.stdout


def _said(text: str) -> str:
    line = next((s for s in text.splitlines() if s.strip()), "failed without a word")
    return line.removeprefix("Error: ").strip()


def interfaces() -> list[str]:
    """The network interfaces of this namespace (/sys may show those of another)."""
    return sorted(name for _, name in socket.if_nameindex())


def qdiscs(interface: str) -> list[dict[str, Any]] | None:
    """The queueing disciplines of an interface as ``tc -j`` tells them; None if there is no interface."""
    if interface not in interfaces():
        return None
    return parsed(run(["-j", "qdisc", "show", "dev", interface]))


def parsed(text: str) -> list[dict[str, Any]]:
    """An answer of ``tc -j``. Raises FaultError."""
    try:
        found = json.loads(text or "[]")
        return [dict(entry) for entry in found]
    except (ValueError, TypeError):
        raise FaultError("tc did not answer in JSON: iproute2 4.16 or newer is needed") from None


def comparable(found: Json) -> list[dict[str, Any]]:
    """The configuration in an answer of ``qdiscs``, without counters and without the interface's name."""
    kept = []
    for entry in found:
        options = {k: v for k, v in (entry.get("options") or {}).items() if k not in _COUNTERS}
        rest = {k: v for k, v in entry.items() if k not in (*_COUNTERS, "dev", "options")}
        kept.append({**rest, "options": options})
    return sorted(kept, key=lambda e: json.dumps(e, sort_keys=True))


def root_of(found: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The root qdisc among these."""
    return next((entry for entry in found if entry.get("root")), None)


def is_default(found: Sequence[dict[str, Any]]) -> bool:
    """Whether the kernel set all of this up by itself: it gives its own the handle 0."""
    return all(entry.get("handle") == "0:" for entry in found if entry.get("kind") not in _INGRESS)


_INGRESS = ("ingress", "clsact")


def restoring(found: Sequence[dict[str, Any]], interface: str) -> Command | None:
    """The command that sets up again what somebody had set up; None if the kernel's default is enough.

    Raises FaultError where sloguard does not know how to: better not to touch it.
    """
    if is_default(found):
        return None
    root = root_of([e for e in found if e.get("kind") not in _INGRESS])
    others = [e for e in found if e is not root and e.get("kind") not in _INGRESS]
    known = _WRITTEN.get(str(root.get("kind"))) if root else None
    options = (root or {}).get("options") or {}
    if root is None or others or known is None or any(key not in known for key in options):
        kinds = ", ".join(f"{e.get('kind')} {e.get('handle')}" for e in found)
        raise FaultError(
            f"{interface} already has traffic control of somebody's own ({kinds}), which could not be "
            "restored exactly: not touched"
        )
    words = [
        "qdisc",
        "replace",
        "dev",
        interface,
        "root",
        "handle",
        str(root["handle"]),
        str(root["kind"]),
    ]
    for key, value in options.items():
        name, form = known[key]
        if form:
            words += [name, form.format(value)]
        elif value:
            words.append(name)
    return words


def rehearse(commands: Sequence[Command], interface: str) -> tuple[bool, list[dict[str, Any]], str]:
    """Run commands in a network namespace of their own, where they touch nothing.

    Returns whether a namespace could be had at all, what is set up at the end, and the kernel's complaint.
    """
    unshare = shutil.which("unshare")
    if unshare is None:
        return False, [], ""
    there = [["lo" if word == interface else word for word in command] for command in commands]
    batch = "".join(f"{' '.join(command)}\n" for command in there)
    script = 'echo have-namespace; "$0" -batch - && echo done && "$0" -j qdisc show dev lo'
    try:
        done = subprocess.run(
            [unshare, "--net", "sh", "-c", script, program()],
            input=batch, capture_output=True, text=True, timeout=_TIMEOUT, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False, [], ""
    lines = done.stdout.splitlines()
    if "have-namespace" not in lines[:1]:
        return False, [], ""
    if "done" not in lines:
        return True, [], _said(done.stderr)
    return True, parsed("".join(lines[lines.index("done") + 1 :])), ""
