"""The demo as a whole: started, ready, addressed, stopped without a trace."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

from sloguard.demo.layout import (
    RATE,
    REPLICAS,
    RESTART_AFTER,
    DemoError,
    Ports,
    find_binaries,
    free_ports,
    programs,
    url,
)
from sloguard.demo.leftovers import PREFIX, make_room, read_manifest, remove, remove_leftovers
from sloguard.host.identity import identify

__all__ = ["Demo", "DemoError"]

#: 1 while the shop serves its users, 0 while it does not, absent while nobody knows.
STEADY = (
    "("
    f'sum(rate(http_requests_total{{service="front", code="200"}}[5s])) > bool {RATE * 0.6:g}'
    ') * (sum(rate(http_requests_total{service="front", code=~"5.."}[5s])) == bool 0'
    ") * (histogram_quantile(0.99, sum by (le) "
    '(rate(http_request_duration_seconds_bucket{service="front"}[5s]))) < bool 1'
    f') * (sum(up{{job="checkout"}}) == bool {REPLICAS})'
)

Progress = Callable[[str], None]


class Demo:
    """A shop under load with its Prometheus, Alertmanager and Envoy, in one directory of its own.

    ``directory``: new or empty; it is removed in the end. Default: a fresh one among the temporary files.
    Linux only. However the process that called ``start`` ends, all that it started ends with it.
    """

    def __init__(self, directory: Path | str | None = None) -> None:
        self._given = Path(directory).absolute() if directory is not None else None
        self.directory: Path | None = None
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._ports: Ports | None = None

    def __enter__(self) -> Demo:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, progress: Progress = lambda _message: None, *, within: float = 30.0) -> None:
        """Start all and return when Prometheus scrapes every target and the load flows.

        Raises DemoError if a server is not installed, or if it is not ready ``within`` seconds; then
        nothing is left running.
        """
        if self._supervisor is not None:
            raise DemoError("this demo is already running")
        if sys.platform != "linux":
            raise DemoError(f"the demo needs Linux; this is {sys.platform}")
        binaries = find_binaries()
        remove_leftovers()
        try:
            self._prepare()
            progress("starting the shop, Envoy, Prometheus and Alertmanager")
            self._launch(programs(self._home, binaries, self._chosen))
            self._wait(progress, time.monotonic() + within)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Kill everything and remove the directory; safe to call at any time and again."""
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            assert supervisor.stdin is not None  # noqa: S101 - it was started with a pipe
            supervisor.stdin.close()
            try:
                supervisor.wait(5)
            except subprocess.TimeoutExpired:
                supervisor.kill()
                supervisor.wait()
        if self.directory is not None:
            remove(self.directory)
            self.directory = None

    @property
    def addresses(self) -> dict[str, str]:
        """URLs by name: front, prometheus, alertmanager, envoy, envoy_admin."""
        ports = self._chosen
        return {
            "front": url(ports.front),
            "prometheus": url(ports.prometheus),
            "alertmanager": url(ports.alertmanager),
            "envoy": url(ports.envoy),
            "envoy_admin": url(ports.envoy_admin),
        }

    @property
    def environment(self) -> dict[str, str]:
        """The variables that the demo's experiments, and sloguard itself, read."""
        at = self.addresses
        made = {
            "SLOGUARD_PROMETHEUS_URL": at["prometheus"],
            "SLOGUARD_ALERTMANAGER_URL": at["alertmanager"],
            # Two demos on one machine are two targets, however their experiments are called.
            "SLOGUARD_STORE_LOCKS": str(self._home / "locks"),
            "DEMO_ALERTMANAGER_URL": at["alertmanager"],
            "DEMO_FRONT_URL": at["front"],
            "DEMO_ENVOY_ADMIN_URL": at["envoy_admin"],
            "DEMO_CHECKOUT_PIDFILE": str(self._home / "checkout.pids"),
        }
        if any(name.lower() in ("http_proxy", "all_proxy") for name in os.environ):
            # Nothing of this is beyond a proxy.
            spared = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
            made["no_proxy"] = made["NO_PROXY"] = ",".join(filter(None, [spared, "127.0.0.1"]))
        return made

    def query(self, promql: str) -> float | None:
        """One number from the demo's Prometheus, now; None if there is no series or no answer."""
        try:
            path = "/api/v1/query?" + urlencode({"query": promql})
            result = _get(self.addresses["prometheus"] + path)["data"]["result"]
        except (OSError, HTTPException, ValueError, KeyError):
            return None
        return float(result[0]["value"][1]) if result else None

    def settle(self, seconds: float, *, within: float = 60.0) -> None:
        """Wait until the shop has been steady for the last ``seconds``; raises DemoError if it does not get so."""
        window = f"({STEADY})[{seconds:g}s:1s]"
        deadline = time.monotonic() + within
        while not (
            self.query(f"min_over_time({window})") == 1
            and (self.query(f"count_over_time({window})") or 0) >= seconds
        ):
            self._check(deadline, f"the shop has not been steady for {seconds:g}s")
            time.sleep(0.2)

    @property
    def _home(self) -> Path:
        if self.directory is None:
            raise DemoError("the demo is not running")
        return self.directory

    @property
    def _chosen(self) -> Ports:
        if self._ports is None:
            raise DemoError("the demo was not started")
        return self._ports

    def _prepare(self) -> None:
        if self._given is None:
            self.directory = Path(tempfile.mkdtemp(prefix=PREFIX))
        else:
            make_room(self._given)
            self._given.mkdir(parents=True, exist_ok=True)
            self.directory = self._given
        self._ports = free_ports()

    def _launch(self, plan: tuple[Any, ...]) -> None:
        from sloguard.demo.servers import write_files

        owner = identify(os.getpid())
        manifest = {
            "owner": owner.record() if owner else None,
            "restart_after": RESTART_AFTER,
            "addresses": self.addresses,
            "pidfiles": {"checkout.pids": [p.name for p in plan if p.name.startswith("checkout-")]},
            "programs": {p.name: {"command": p.command, "restart": p.restart} for p in plan},
        }
        (self._home / "manifest.json").write_text(json.dumps(manifest, indent=2))
        write_files(self._home, self._chosen)
        lines = [
            f"export {name}={shlex.quote(value)}\n" for name, value in self.environment.items()
        ]
        (self._home / "env").write_text("".join(lines))
        with (self._home / "logs" / "supervisor.log").open("ab") as log:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-m", "sloguard.demo.supervisor", str(self._home)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C is for the one who holds the demo
                env=importable(os.environ),
            )

    def _wait(self, progress: Progress, deadline: float) -> None:
        for what, ready in (
            ("waiting for Prometheus to scrape every service", self._all_scraped),
            ("waiting for Alertmanager", self._alerts_go_out),
            ("waiting for the load to flow", lambda: self.query(STEADY) == 1),
        ):
            progress(what)
            while not ready():
                self._check(deadline, f"not ready: {what}")
                time.sleep(0.1)
        progress("ready")

    def _all_scraped(self) -> bool:
        return self.query("count(up == 1)") == self.query("count(up)") == REPLICAS + 4

    def _alerts_go_out(self) -> bool:
        try:
            data = _get(self.addresses["prometheus"] + "/api/v1/alertmanagers")["data"]
            ready = _get(self.addresses["alertmanager"] + "/api/v2/status")
        except (OSError, HTTPException, ValueError):
            return False
        return bool(data["activeAlertmanagers"]) and bool(ready)

    def check(self) -> None:
        """Raises DemoError if a server has ended; a service that is down for a while is not one."""
        if self._supervisor is None or self._supervisor.poll() is not None:
            raise DemoError("the demo has ended: its supervisor is gone." + self._log("supervisor"))
        for name, entry in read_manifest(self._home).get("programs", {}).items():
            if entry.get("exit") is not None and not entry["restart"]:
                raise DemoError(f"{name} ended with status {entry['exit']}." + self._log(name))

    def _check(self, deadline: float, problem: str) -> None:
        self.check()
        if time.monotonic() > deadline:
            raise DemoError(f"{problem}, and the time for it is over")

    def _log(self, name: str) -> str:
        try:
            lines = (self._home / "logs" / f"{name}.log").read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return "".join(f"\n  {line[:300]}" for line in lines[-5:])


def importable(environ: Mapping[str, str]) -> dict[str, str]:
    """The services import what this process imports, wherever it found it."""
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, environ.get("PYTHONPATH", "")]
    return {**environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _get(address: str) -> Any:
    """JSON from a server of the demo: on loopback, past any proxy."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(address, timeout=2) as answer:
        return json.load(answer)
