"""Real Prometheus and Alertmanager servers on free loopback ports, in directories of their own.

Every server is a child process, stopped by its pid; nothing is shared and nothing is left behind.
"""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Blocks made from files are as old as their samples: without this Prometheus would delete them.
RETENTION = "100y"
READY_SECONDS = 30.0


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def has(*programs: str) -> bool:
    """Whether all of these are installed."""
    return all(shutil.which(program) for program in programs)


@dataclass
class Server:
    """A child process that answers HTTP when it is ready, restartable on the same port."""

    directory: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    ready_path: str = "/-/ready"

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """What it printed."""
        return self.directory / "server.log"

    def command(self) -> list[str]:
        """How it is started."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it and wait until it is ready."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log)
        deadline = time.monotonic() + READY_SECONDS
        while not self._ready():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.command()[0]} ended: {self.log.read_text()[-2000:]}")
            if time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(
                    f"{self.command()[0]} is not ready: {self.log.read_text()[-2000:]}"
                )
            time.sleep(0.05)

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(self.url + self.ready_path, timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def stop(self) -> None:
        """End it as an operator would; what it holds is written out."""
        self._end(kill=False)

    def kill(self) -> None:
        """End it as the kernel would."""
        self._end(kill=True)

    def freeze(self) -> None:
        """Stop it (SIGSTOP); done when every thread of it stands still."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        deadline = time.monotonic() + 10
        threads = Path(f"/proc/{self.process.pid}/task")
        while any(_state(thread) != "T" for thread in threads.iterdir()):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.command()[0]} does not stand still")
            time.sleep(0.005)

    def thaw(self) -> None:
        """Let it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def _end(self, *, kill: bool) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            (self.process.kill if kill else self.process.terminate)()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)
        self.process = None

    def get(self, path: str) -> Any:
        """The JSON under a path, for what a test wants to know of the server itself."""
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return json.load(answer)


@dataclass
class PrometheusServer(Server):
    """A Prometheus. ``targets``: job -> addresses (``host:port``) to scrape, at ``interval`` seconds
    (``intervals``: other ones by job); ``rules``: groups as in a rules file; ``openmetrics``: files whose
    samples become blocks; ``alertmanager``: its ``host:port``; ``web_config``: TLS and passwords, as in its
    web configuration file; ``more``: other top keys of its configuration."""

    targets: Mapping[str, Sequence[str]] = field(default_factory=dict)
    interval: float = 1.0
    intervals: Mapping[str, float] = field(default_factory=dict)
    rules: Sequence[Mapping[str, Any]] = ()
    openmetrics: Sequence[Path] = ()
    alertmanager: str = ""
    flags: Sequence[str] = ()
    web_config: Mapping[str, Any] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where it answers."""
        scheme = "https" if "tls_server_config" in self.web_config else "http"
        return f"{scheme}://127.0.0.1:{self.port}"

    @property
    def data(self) -> Path:
        """Its database."""
        return self.directory / "data"

    def command(self) -> list[str]:
        """How it is started."""
        return [
            "prometheus",
            f"--config.file={self.directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.data}",
            f"--storage.tsdb.retention.time={RETENTION}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--web.enable-lifecycle",
            "--log.level=warn",
            # It finds its Alertmanager some seconds after its first alert, and must tell it again.
            *(["--rules.alert.resend-delay=1s"] if self.alertmanager else []),
            *([f"--web.config.file={self.directory / 'web.yml'}"] if self.web_config else []),
            *self.flags,
        ]

    def _ready(self) -> bool:
        if not self.web_config:
            return super()._ready()
        # Whoever asks needs a certificate or a password; it listens once it is ready.
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def start(self) -> None:
        """Write its configuration and blocks, start it, wait until it answers."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.data.mkdir(exist_ok=True)
        for file in self.openmetrics:
            create_blocks(file, self.data)
        self.openmetrics = ()
        self.configure()
        super().start()

    def configure(self) -> None:
        """Write the configuration files (JSON, which is YAML)."""
        config: dict[str, Any] = {
            "global": {
                "scrape_interval": _duration(self.interval),
                "evaluation_interval": _duration(self.interval),
                "scrape_timeout": _duration(self.interval),
            },
            "scrape_configs": [self._job(name, hosts) for name, hosts in self.targets.items()],
        }
        if self.rules:
            rules = self.directory / "rules.yml"
            rules.write_text(json.dumps({"groups": list(self.rules)}), "utf-8")
            config["rule_files"] = [str(rules)]
        if self.alertmanager:
            managers = [{"static_configs": [{"targets": [self.alertmanager]}]}]
            config["alerting"] = {"alertmanagers": managers}
        config.update(self.more)
        (self.directory / "prometheus.yml").write_text(json.dumps(config), "utf-8")
        if self.web_config:
            (self.directory / "web.yml").write_text(json.dumps(self.web_config), "utf-8")

    def _job(self, name: str, hosts: Sequence[str]) -> dict[str, Any]:
        interval = _duration(self.intervals.get(name, self.interval))
        return {
            "job_name": name,
            "scrape_interval": interval,
            "scrape_timeout": interval,
            "static_configs": [{"targets": list(hosts)}],
        }


@dataclass
class AlertmanagerServer(Server):
    """An Alertmanager that sends everything to ``webhook`` (a URL), or nowhere. ``http_config``: how."""

    webhook: str = ""
    http_config: Mapping[str, Any] = field(default_factory=dict)

    def command(self) -> list[str]:
        """How it is started."""
        return [
            "prometheus-alertmanager",
            f"--config.file={self.directory / 'alertmanager.yml'}",
            f"--storage.path={self.directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ]

    def start(self) -> None:
        """Write its configuration, start it, wait until it answers."""
        self.directory.mkdir(parents=True, exist_ok=True)
        receiver: dict[str, Any] = {"name": "all"}
        if self.webhook:
            sent: dict[str, Any] = {"url": self.webhook, "send_resolved": True}
            if self.http_config:
                sent["http_config"] = dict(self.http_config)
            receiver["webhook_configs"] = [sent]
        route = {
            "receiver": "all",
            "group_wait": "1s",
            "group_interval": "1s",
            "repeat_interval": "1h",
            "group_by": ["..."],
        }
        config = {"route": route, "receivers": [receiver]}
        (self.directory / "alertmanager.yml").write_text(json.dumps(config), "utf-8")
        super().start()


def _state(thread: Path) -> str:
    """A thread's state as the kernel tells it; one that has ended stands still."""
    try:
        return (thread / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "T"


def create_blocks(openmetrics: Path, data: Path) -> None:
    """Turn the samples of an OpenMetrics file (with timestamps, ending in ``# EOF``) into blocks."""
    done = subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", "--quiet", openmetrics, data],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"promtool: {done.stdout} {done.stderr}")


def write_openmetrics(
    file: Path, samples: Mapping[str, Sequence[tuple[float, float]]], kind: str = "unknown"
) -> Path:
    """Write series (``name{label="v"}`` -> (seconds, value) pairs) as OpenMetrics.

    Series of one name must stand together. A counter's name ends in ``_total``.
    """
    lines: list[str] = []
    declared: set[str] = set()
    for series, points in samples.items():
        name = series.partition("{")[0]
        family = name.removesuffix("_total") if kind == "counter" else name
        if family not in declared:
            declared.add(family)
            lines.append(f"# TYPE {family} {kind}")
        lines.extend(f"{series} {_number(value)} {at:.3f}" for at, value in points)
    lines.append("# EOF")
    file.write_text("\n".join(lines) + "\n", "utf-8")
    return file


def _number(value: float) -> str:
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    return repr(float(value))


def _duration(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"
