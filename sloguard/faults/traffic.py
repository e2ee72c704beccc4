"""The ``tc`` commands for a fault: pure construction, touching nothing.

On a whole interface the root qdisc is the fault itself. Towards chosen addresses or ports it is an ``htb``
that lets everything else pass as fast as it comes, with one class that holds the fault and filters that lead
into it. The root carries a handle of its own, by which an undo knows it.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sloguard.faults.arguments import whole
from sloguard.faults.base import FaultError

Command = list[str]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MOST_FILTERS = 200
_TCP_AND_UDP = ("6", "17")
_RATE = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([kmg]?)bit\s*$", re.IGNORECASE)
_RATE_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}


@dataclass(frozen=True, slots=True)
class Towards:
    """What traffic is meant: to these networks and remote ports, or from these local ports. Empty: all."""

    networks: tuple[Network, ...] = ()
    ports: tuple[int, ...] = ()
    local_ports: tuple[int, ...] = ()

    @classmethod
    def of(cls, hosts: Any, ports: Any, local_ports: Any) -> Towards:
        """From a fault's arguments; names are looked up now. Raises FaultError."""
        networks = tuple(n for host in _many(hosts) for n in _networks(str(host)))
        return cls(networks, _ports(ports, "ports"), _ports(local_ports, "local_ports"))

    def __bool__(self) -> bool:
        return bool(self.networks or self.ports or self.local_ports)

    def __str__(self) -> str:
        parts = []
        if self.networks:
            parts.append("to " + ", ".join(_short(n) for n in self.networks))
        if self.ports:
            parts.append("to port " + ", ".join(map(str, self.ports)))
        if self.local_ports:
            parts.append("from port " + ", ".join(map(str, self.local_ports)))
        return " ".join(parts) or "all"

    def matches(self) -> list[tuple[str, list[str]]]:
        """(protocol, words of an u32 match), one for each filter. Raises FaultError if they are too many."""
        found: list[tuple[str, list[str]]] = []
        every: tuple[Network | None, ...] = self.networks or (None,)
        for network in every:
            families = ("ip", "ipv6") if network is None else (_family(network),)
            for family in families:
                word = "ip" if family == "ip" else "ip6"
                towards = [] if network is None else ["match", word, "dst", str(network)]
                found += [(family, towards + more) for more in self._port_matches(word)]
        if len(found) > MOST_FILTERS:
            raise FaultError(
                f"hosts and ports: {len(found)} filters are needed, at most {MOST_FILTERS}"
            )
        return found

    def _port_matches(self, word: str) -> list[list[str]]:
        wanted = [("dport", p) for p in self.ports] + [("sport", p) for p in self.local_ports]
        if not wanted:
            return [[]]
        return [
            ["match", word, "protocol", number, "0xff", "match", word, side, str(port), "0xffff"]
            for number in _TCP_AND_UDP
            for side, port in wanted
        ]


def setting_up(
    interface: str, handle: str, leaf: Sequence[str], towards: Towards, *, replace: bool
) -> list[Command]:
    """The commands in order; nothing is disturbed until the last of them but one.

    ``replace``: over a root qdisc of somebody's own. Else the first fails where there is one by now.
    """
    first = ["qdisc", "replace" if replace else "add", "dev", interface, "root", "handle", handle]
    if not towards:
        return [[*first, *leaf]]
    target = f"{handle}1"
    commands = [
        [*first, "htb", "default", "0"],
        # The class is there to hold the fault, not to limit anything itself.
        ["class", "add", "dev", interface, "parent", handle, "classid", target, "htb",
         "rate", "10gbit", "quantum", "60000"],
        ["qdisc", "add", "dev", interface, "parent", target, *leaf],
    ]  # fmt: skip
    # One priority for each protocol: the kernel refuses to mix them.
    for family, match in towards.matches():
        priority = "1" if family == "ip" else "2"
        commands.append(
            ["filter", "add", "dev", interface, "parent", handle, "protocol", family,
             "prio", priority, "u32", *match, "flowid", target]
        )  # fmt: skip
    return commands


def delay_leaf(delay: float, jitter: float) -> list[str]:
    """Hold each packet for ``delay`` seconds, give or take ``jitter``."""
    words = ["netem", "limit", "20000", "delay", f"{round(delay * 1e6)}us"]
    return [*words, f"{round(jitter * 1e6)}us"] if jitter else words


def loss_leaf(share: float) -> list[str]:
    """Lose this share (0..1) of the packets."""
    return ["netem", "limit", "20000", "loss", f"{share * 100:.6g}%"]


def throttle_leaf(bits: int) -> list[str]:
    """Let this many bits a second through."""
    # Loopback packets are up to 64 KiB, and must fit.
    burst = max(bits // 8 // 100, 128 * 1024)
    return ["tbf", "rate", f"{bits}bit", "burst", f"{burst}b", "latency", "400ms"]


def drop_leaf() -> list[str]:
    """Let nothing through."""
    return ["pfifo", "limit", "0"]


def bits_per_second(value: Any) -> int:
    """``10mbit`` -> 10,000,000. Raises FaultError."""
    found = _RATE.match(str(value))
    bits = round(float(found.group(1)) * _RATE_UNITS[found.group(2).lower()]) if found else 0
    if not 8_000 <= bits <= 100 * 10**9:
        raise FaultError(f"rate: expected 8kbit to 100gbit, such as 10mbit, found {value!r}")
    return bits


def _networks(host: str) -> list[Network]:
    try:
        return [ipaddress.ip_network(host.strip("[]"), strict=False)]
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise FaultError(
            f"hosts: '{host}' is not an address and does not resolve: {error}"
        ) from None
    # A scope (fe80::1%eth0) is no part of an address in a packet.
    addresses = dict.fromkeys(str(f[4][0]).partition("%")[0] for f in found)
    return [ipaddress.ip_network(address) for address in addresses]


def _family(network: Network) -> str:
    return "ip" if network.version == 4 else "ipv6"


def _short(network: Network) -> str:
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def _ports(value: Any, name: str) -> tuple[int, ...]:
    return tuple(whole(port, name, least=1, most=65535) for port in _many(value))


def _many(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]
