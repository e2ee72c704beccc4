"""One real Prometheus and one target for many runs at once, each with a series, a home and a victim of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from sloguard.host.identity import read_stat
from tests.support.command import start
from tests.support.patience import PATIENCE
from tests.support.servers import PrometheusServer

#: Where the blocks from a file lie: 2026-01-01T00:00:00Z, 15 s apart.
MANY_AT = 1_767_225_600
MANY = 10_000
MANY_POINTS = 13


def process(name: str, path: str, *arguments: str, **more: Any) -> dict[str, Any]:
    """An action that runs a program."""
    made = {"type": "process", "path": path, "arguments": list(arguments), **more}
    return {"type": "action", "name": name, "provider": made}


@dataclass
class Scene:
    """One experiment: it marks its series as broken, stops its victim, holds, and mends by a rollback."""

    name: str
    home: Path
    url: str
    victim: subprocess.Popen[bytes] = field(repr=False)
    runs: list[subprocess.Popen[str]] = field(default_factory=list, repr=False)

    @property
    def mark(self) -> Path:
        """There while the series is broken."""
        return self.home.parent / f"{self.name}.broken"

    @property
    def holding(self) -> Path:
        """There once the fault is on and the method holds it."""
        return self.home / "holding"

    @property
    def file(self) -> Path:
        """The experiment."""
        return self.home / "experiment.json"

    def write(
        self,
        *,
        takes: float = 1.5,
        during: str = "< 60%",
        method: Sequence[Mapping[str, Any]] = (),
        rollbacks: Sequence[Mapping[str, Any]] = (),
        **keys: Any,
    ) -> Path:
        """Write it; ``takes``: how long the method holds, seconds."""
        slo = {
            "name": "errors",
            "query": f'shop_error_ratio{{scene="{self.name}"}}',
            "objective": "< 10%",
            "during": {"objective": during},
        }
        stop = {"module": "sloguard.faults.processes", "func": "stop"}
        made = {
            "title": f"Adversity: {self.name}",
            "description": "A run that meets what nobody wishes for.",
            "phases": {"before": "2s", "during": "2s", "after": "6s"},
            "steady-state-hypothesis": {"title": "it works", "slos": [slo]},
            "method": [
                process("break", "touch", str(self.mark)),
                {
                    "type": "action",
                    "name": "stop",
                    "provider": {"type": "python", **stop, "arguments": {"pid": self.victim.pid}},
                },
                *method,
                process("hold", "sh", "-c", f"touch '{self.holding}'; exec sleep {takes}"),
            ],
            "rollbacks": [*rollbacks, process("mend", "rm", "-f", str(self.mark))],
            **keys,
        }
        self.file.write_text(json.dumps(made), "utf-8")
        return self.file

    def arguments(self, *more: str | Path) -> list[str | Path]:
        """Of ``sloguard`` for a run of it."""
        return ["run", self.file, "--prometheus", self.url, *more]

    def start(
        self, *more: str | Path, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Start a run."""
        self.runs.append(start(*self.arguments(*more), home=self.home, env=env))
        return self.runs[-1]

    def close(self) -> None:
        """End what was started."""
        for run in self.runs:
            run.kill()
            run.wait()
            for stream in (run.stdout, run.stderr):
                if stream is not None:
                    stream.close()
        self.victim.kill()
        self.victim.wait()

    def wait_until_broken(self) -> None:
        """Until the fault is on and held."""
        self.wait_for(self.holding.exists)
        assert self.is_stopped

    @staticmethod
    def wait_for(ready: Callable[[], object]) -> None:
        """Until something is true; two minutes at most."""
        deadline = time.monotonic() + 2 * PATIENCE
        while not ready():
            if time.monotonic() > deadline:
                raise AssertionError("it never came")
            time.sleep(0.02)

    @property
    def is_stopped(self) -> bool:
        """Whether the victim stands still."""
        stat = read_stat(self.victim.pid)
        return stat is not None and stat.state == "T"

    @property
    def is_as_before(self) -> bool:
        """Whether nothing is left of the fault."""
        return not self.is_stopped and not self.mark.exists()


class World:
    """Servers and scenes; ``close`` ends all of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scenes: dict[str, Scene] = {}
        self._shop = _shop(folder)
        thread = threading.Thread(target=self._shop.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        self.prometheus = PrometheusServer(
            folder / "prometheus",
            targets={"shop": [f"127.0.0.1:{self._shop.server_port}"]},
            openmetrics=[_many(folder / "many.om")],
        )
        self.prometheus.start()

    def scene(self, name: str) -> Scene:
        """The scene of a name, made when first asked for."""
        if name not in self.scenes:
            home = self.folder / name
            home.mkdir()
            victim = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            self.scenes[name] = Scene(name, home, self.prometheus.url, victim)
        return self.scenes[name]

    def warm(self, seconds: int = 3) -> None:
        """Until Prometheus has a history of the shop."""
        query = "/api/v1/query?query=min(count_over_time(shop_error_ratio[1h]))"

        def there() -> bool:
            result = self.prometheus.get(query)["data"]["result"]
            return bool(result) and float(result[0]["value"][1]) >= seconds

        Scene.wait_for(there)

    def close(self) -> None:
        """End everything."""
        for scene in self.scenes.values():
            scene.close()
        self.prometheus.stop()
        self._shop.shutdown()
        self._shop.server_close()


def _shop(folder: Path) -> ThreadingHTTPServer:
    """A series for every scene's name that there is, broken while the scene's mark is there."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            lines = ["# TYPE shop_error_ratio gauge"]
            for name in NAMES:
                value = 0.5 if (folder / f"{name}.broken").exists() else 0
                lines.append(f'shop_error_ratio{{scene="{name}"}} {value}')
            body = ("\n".join(lines) + "\n").encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


#: The shop has had all of these from its first scrape on.
NAMES = (
    "full", "interrupted", "terminated", "hung-up", "piped", "terminal", "closed", "locked", "killed",
    "hanging", "clock", "secret", "frozen",
)  # fmt: skip


def _many(file: Path) -> Path:
    """10,000 series that are well, but for one; and one of NaN."""
    with file.open("w") as out:
        out.write("# TYPE many unknown\n")
        for number in range(MANY):
            for point in range(MANY_POINTS):
                bad = number == 1234 and point == 7
                at = MANY_AT + 15 * point
                out.write(f'many{{pod="p-{number:05}"}} {0.5 if bad else 0.001} {at}\n')
        out.write("# TYPE nothing unknown\n")
        for point in range(MANY_POINTS):
            out.write(f"nothing NaN {MANY_AT + 15 * point}\n")
        out.write("# EOF\n")
    return file
