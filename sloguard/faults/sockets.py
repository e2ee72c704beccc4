"""Who listens where on this machine."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from sloguard.faults.base import FaultError
from sloguard.host.identity import Identity


def listeners(port: int) -> frozenset[int]:
    """The processes that listen on a TCP port or are bound to it with UDP, as far as one may see."""
    return frozenset(pid for pid, found, _ in listening() if found == port)


def listening() -> list[tuple[int, int, str]]:
    """(pid, port, address) of every listening socket that this user may see."""
    import psutil

    try:
        found = psutil.net_connections(kind="inet")
    except (psutil.AccessDenied, PermissionError) as error:
        raise FaultError(f"port: the listening sockets cannot be read here: {error}") from error
    return [
        (c.pid, c.laddr.port, c.laddr.ip)
        for c in found
        if c.pid
        and c.laddr
        and (c.status == psutil.CONN_LISTEN or (c.status == psutil.CONN_NONE and not c.raddr))
    ]


def instances_of(victims: Iterable[Identity]) -> frozenset[str]:
    """Names under which Prometheus may scrape these processes: ``host:port`` of what they listen on.

    Only where they are the only ones on that port. Empty where the sockets cannot be read.
    """
    pids = {victim.pid for victim in victims}
    try:
        sockets = listening()
    except FaultError:
        return frozenset()
    shared = {port for pid, port, _ in sockets if pid not in pids}
    names: set[str] = set()
    for pid, port, address in sockets:
        if pid in pids and port not in shared:
            names.update(f"{host}:{port}" for host in _hosts(address))
    return frozenset(names)


def _hosts(address: str) -> set[str]:
    """How an address is written in a scrape configuration."""
    local = {"localhost", "127.0.0.1", "[::1]"}
    here = {socket.gethostname()}
    if address in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        return local | here
    written = f"[{address}]" if ":" in address else address
    return local if address.startswith("127.") or address == "::1" else {written} | here
