"""Faults on the network of this machine, with ``tc``: delay, loss, throttling, partition.

What leaves through an interface is disturbed, all of it or what goes to chosen hosts and ports; ``lo`` carries both
directions of what this machine says to itself. They need root (CAP_NET_ADMIN), ``tc`` (iproute2), and of the
kernel: sch_netem for delay and loss, sch_tbf for throttling, sch_htb and cls_u32 where hosts or ports are chosen.
Before anything is touched, the very commands are rehearsed in a network namespace of their own, the way back
included; where that fails the fault says "not available here" and why.

Undoing puts back what was there: the kernel's own default, or a simple queueing discipline of somebody's own.
An interface with more than that is not touched in the first place.
"""

from __future__ import annotations

import os
import random
import re
import shlex
import time
from collections.abc import Sequence
from typing import Any

from sloguard.core.model import Json
from sloguard.faults import tc, traffic
from sloguard.faults.arguments import duration as as_duration
from sloguard.faults.arguments import percent
from sloguard.faults.base import Context, FaultError, Injection, Plan, Record, fault
from sloguard.faults.reaching import pause
from sloguard.faults.traffic import Towards
from sloguard.host.identity import this_machine

LONGEST = 86_400.0


def _inject(record: Record, context: Context) -> Json:
    began = time.monotonic()
    _same_place(record)
    if tc.comparable(tc.qdiscs(record["interface"]) or []) != tc.comparable(record["before"]):
        raise FaultError(
            f"{record['interface']} was set up anew since it was looked at: not touched"
        )
    try:
        for command in record["commands"]:
            tc.run(command)
        if record["duration"] is None:
            return {"interface": record["interface"], "what": record["what"]}
        pause(float(record["duration"]), context.stop)
    except BaseException:
        _undo(record, context)
        raise
    _undo(record, context)
    seconds = round(time.monotonic() - began, 3)
    return {"interface": record["interface"], "what": record["what"], "seconds": seconds}


def _undo(record: Record, context: Context) -> str:
    """Put the old setting back, if the new one is still there: it is known by its handle."""
    interface = record["interface"]
    if not _same_place(record):
        return ""
    found = tc.qdiscs(interface)
    if found is None:
        return ""  # the interface is gone, and all that was on it
    root = tc.root_of(found)
    if root is None or root.get("handle") != record["handle"]:
        if tc.comparable(found) != tc.comparable(record["before"]):
            context.note(f"{interface}: somebody else has set up traffic control since; left alone")
        return ""
    # The kernel takes it away only if the handle still fits.
    tc.run(
        record["restore"] or ["qdisc", "del", "dev", interface, "root", "handle", record["handle"]]
    )
    after = tc.qdiscs(interface)
    if after is not None and tc.comparable(after) != tc.comparable(record["before"]):
        kinds = ", ".join(str(e.get("kind")) for e in after)
        context.note(f"{interface}: the kernel's default is another one by now ({kinds})")
    return f"restored traffic control of {interface}"


def _same_place(record: Record) -> bool:
    """Whether this is where it was injected; False after a reboot. Raises FaultError elsewhere."""
    here, there = this_machine(), record["machine"]
    if there["boot"] != here.boot:
        if there["host"] == here.host:
            return False
        raise FaultError(f"this was injected on {there['host']}, and this is {here.host}")
    if there["network"] != _namespace():
        raise FaultError(
            f"this was injected in another network namespace ({there['network']}) of this machine"
        )
    return True


def _namespace() -> str:
    return os.readlink("/proc/self/ns/net")


def _plan(
    interface: Any,
    leaf: list[str],
    towards: Towards,
    what: str,
    duration: Any,
    context: Context,
) -> Plan:
    """Look whether it can be done here, and how it would be taken back. Raises FaultError."""
    seconds = None if duration is None else as_duration(duration, "duration", longest=LONGEST)
    name = _interface(interface)
    tc.program()
    tc.need_rights()
    before = tc.qdiscs(name) or []
    restore = tc.restoring(before, name)
    handle = _handle(before, context.random)
    commands = traffic.setting_up(name, handle, leaf, towards, replace=restore is not None)
    rehearsed = _rehearse(name, commands, restore, before)
    machine = this_machine()
    how_long = "until undone" if seconds is None else f"for {seconds:g}s"
    summary = f"{what} on {name} ({towards}) {how_long}"
    way_back = restore or ["qdisc", "del", "dev", name, "root", "handle", handle]
    injection = Injection(
        target=f"{name} ({towards})",
        record={
            "interface": name,
            "what": f"{what} ({towards})",
            "handle": handle,
            "before": before,
            "commands": commands,
            "restore": restore,
            "duration": seconds,
            "machine": {"host": machine.host, "boot": machine.boot, "network": _namespace()},
        },
        lock=f"network {machine.host} {_namespace()} {name}",
        by_hand=shlex.join(["tc", *way_back]),
    )
    return Plan(
        (injection,), summary=summary if rehearsed else f"{summary}; could not be rehearsed here"
    )


def _interface(name: Any) -> str:
    known = tc.interfaces()
    if not isinstance(name, str) or not re.fullmatch(r"[^\s/]{1,15}", name) or name not in known:
        raise FaultError(f"interface: no '{name}' here; there are {', '.join(known)}")
    return name


def _handle(before: Sequence[dict[str, Any]], source: random.Random) -> str:
    """A handle that nobody has; those from 8000 on are the kernel's to give."""
    taken = {entry.get("handle") for entry in before}
    while (handle := f"{source.randrange(0x5000, 0x7000):x}:") in taken:
        pass
    return handle


def _rehearse(
    name: str,
    commands: list[list[str]],
    restore: list[str] | None,
    before: Sequence[dict[str, Any]],
) -> bool:
    """Try it all where it touches nothing; False if there is no place for that. Raises FaultError."""
    if restore is None:
        possible, _, complaint = tc.rehearse(commands, name)
    else:
        # Its own setting first, then over it, then back: what is there at the end must be the same.
        possible, after, complaint = tc.rehearse([restore, *commands, restore], name)
        if not possible:
            raise FaultError(
                f"{name} has traffic control of somebody's own, and whether it could be restored exactly "
                "cannot be tried here (unshare --net): not touched"
            )
        ours = [e for e in before if e.get("kind") not in ("ingress", "clsact")]
        if not complaint and tc.comparable(after) != tc.comparable(ours):
            raise FaultError(
                f"{name} has traffic control of somebody's own, which could not be restored exactly: "
                "not touched"
            )
    if complaint:
        raise FaultError(f"not available here: {_explained(complaint, commands)}")
    return possible


def _explained(complaint: str, commands: list[list[str]]) -> str:
    """The kernel's complaint, and what it most likely lacks."""
    words = {word for command in commands for word in command}
    if "qdisc kind is unknown" in complaint:
        needed = " or ".join(f"sch_{kind}" for kind in ("netem", "htb", "tbf") if kind in words)
        return f"this kernel has no {needed} ({complaint})"
    if "Operation not permitted" in complaint:
        return f"changing the network is not permitted ({complaint})"
    return complaint


@fault("network.delay", inject=_inject, undo=_undo)
def delay(
    interface: str,
    delay: float | str,
    jitter: float | str = 0,
    hosts: str | list[str] | None = None,
    ports: int | list[int] | None = None,
    local_ports: int | list[int] | None = None,
    duration: float | str | None = None,
    *,
    context: Context,
) -> Plan:
    """Delay what leaves through an interface.

    interface: Name of the interface, such as eth0; lo for what this machine says to itself.
    delay: How long each packet is held, in seconds or as 100ms.
    jitter: By how much that varies to either side.
    hosts: Only what goes to these addresses, networks (10.0.0.0/8) or names, looked up when it is planned.
    ports: Only what goes to these ports, TCP and UDP.
    local_ports: Only what comes from these ports of this machine: the answers of a local service.
    duration: How long, in seconds or as 30s; the action lasts as long. Without one until the run undoes it.
    """
    seconds = as_duration(delay, "delay", longest=60)
    spread = as_duration(jitter, "jitter", longest=seconds) if jitter else 0.0
    towards = Towards.of(hosts, ports, local_ports)
    give = f" ± {spread * 1e3:g}ms" if spread else ""
    what = f"delay of {seconds * 1e3:g}ms{give}"
    leaf = traffic.delay_leaf(seconds, spread)
    return _plan(interface, leaf, towards, what, duration, context)


@fault("network.loss", inject=_inject, undo=_undo)
def loss(
    interface: str,
    percentage: float | str,
    hosts: str | list[str] | None = None,
    ports: int | list[int] | None = None,
    local_ports: int | list[int] | None = None,
    duration: float | str | None = None,
    *,
    context: Context,
) -> Plan:
    """Lose a share of the packets that leave through an interface.

    interface: Name of the interface, such as eth0; lo for what this machine says to itself.
    percentage: Share of the packets that is lost.
    hosts: Only what goes to these addresses, networks (10.0.0.0/8) or names, looked up when it is planned.
    ports: Only what goes to these ports, TCP and UDP.
    local_ports: Only what comes from these ports of this machine: the answers of a local service.
    duration: How long, in seconds or as 30s; the action lasts as long. Without one until the run undoes it.
    """
    share = percent(percentage, "percentage")
    towards = Towards.of(hosts, ports, local_ports)
    if share == 1 and not towards:
        raise FaultError(
            "percentage: all of an interface cuts this machine off; choose hosts or ports"
        )
    what = f"loss of {share * 100:g}%"
    return _plan(interface, traffic.loss_leaf(share), towards, what, duration, context)


@fault("network.throttle", inject=_inject, undo=_undo)
def throttle(
    interface: str,
    rate: str,
    hosts: str | list[str] | None = None,
    ports: int | list[int] | None = None,
    local_ports: int | list[int] | None = None,
    duration: float | str | None = None,
    *,
    context: Context,
) -> Plan:
    """Limit how much leaves through an interface.

    interface: Name of the interface, such as eth0; lo for what this machine says to itself.
    rate: How much, in bits a second: 512kbit, 10mbit, 1gbit.
    hosts: Only what goes to these addresses, networks (10.0.0.0/8) or names, looked up when it is planned.
    ports: Only what goes to these ports, TCP and UDP.
    local_ports: Only what comes from these ports of this machine: the answers of a local service.
    duration: How long, in seconds or as 30s; the action lasts as long. Without one until the run undoes it.
    """
    bits = traffic.bits_per_second(rate)
    towards = Towards.of(hosts, ports, local_ports)
    what = f"limit of {rate}"
    return _plan(interface, traffic.throttle_leaf(bits), towards, what, duration, context)


@fault("network.partition", inject=_inject, undo=_undo)
def partition(
    interface: str,
    hosts: str | list[str] | None = None,
    ports: int | list[int] | None = None,
    local_ports: int | list[int] | None = None,
    duration: float | str | None = None,
    *,
    context: Context,
) -> Plan:
    """Drop all that leaves for chosen hosts or ports: connections hang and time out.

    interface: Name of the interface, such as eth0; lo for what this machine says to itself.
    hosts: What goes to these addresses, networks (10.0.0.0/8) or names, looked up when it is planned.
    ports: What goes to these ports, TCP and UDP; with hosts, only of those.
    local_ports: What comes from these ports of this machine: the answers of a local service.
    duration: How long, in seconds or as 30s; the action lasts as long. Without one until the run undoes it.
    """
    towards = Towards.of(hosts, ports, local_ports)
    if not towards or any(n.prefixlen == 0 for n in towards.networks):
        raise FaultError("all of an interface would cut this machine off; choose hosts or ports")
    return _plan(interface, traffic.drop_leaf(), towards, "partition", duration, context)
