"""A service as a process of its own, with a store, experiments and victims, to be killed and started again."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sloguard.adapters.store import Store
from sloguard.adapters.store.ids import new_run_id
from sloguard.host.identity import Identity, identify
from sloguard.host.signals import end
from sloguard.ports.service import Job, JobState
from sloguard.service.catalogue import Catalogue
from sloguard.service.jobs import JobDesk
from sloguard.service.windows import WindowDesk
from tests.support.calling import eventually
from tests.support.command import environment
from tests.support.patience import PATIENCE

PHASES = {"before": "2s", "during": "3s", "after": "1s"}
# No scrape: on a busy machine one may come too late, and then a run rightly does not start.
UP = {"name": "up", "query": "vector(1)", "objective": "> 0"}
FINE = {
    "type": "probe",
    "name": "fine",
    "tolerance": 0,
    "provider": {"type": "process", "path": "true"},
}


def stopping(word: str, **more: Any) -> dict[str, Any]:
    """An experiment that stops the processes of a word for ``during``, judged by a probe alone."""
    action = {
        "type": "action",
        "name": "stop it",
        "provider": {
            "type": "python",
            "module": "sloguard.faults.processes",
            "func": "stop",
            "arguments": {"command_pattern": word, "all": True},
        },
    }
    return {
        "title": f"Stop {word}",
        "description": "It goes on afterwards.",
        "phases": {"before": "0s", "during": "1s", "after": "0s"},
        "steady-state-hypothesis": {"title": "All is well", "probes": [FINE]},
        "method": [action],
        **more,
    }


def judged(word: str, during: str = "3s") -> dict[str, Any]:
    """The same, judged by an SLO."""
    hypothesis = {"title": "Prometheus is up", "slos": [UP]}
    phases = {**PHASES, "during": during}
    return stopping(word, phases=phases, **{"steady-state-hypothesis": hypothesis})


@dataclass
class ServiceLab:
    """``store``: its URL. ``settings``: of the service, as environment variables without the prefix."""

    home: Path
    store: str
    settings: dict[str, str] = field(default_factory=dict)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for folder in (self.experiments, self.slos):
            folder.mkdir(parents=True, exist_ok=True)
        self.settings = {
            "STORE_URL": self.store,
            "SERVE_EXPERIMENTS": str(self.experiments),
            "SERVE_SLOS": str(self.slos),
            "SERVE_ALLOW": f"{self.experiments}=process",
            "PROMETHEUS_SCRAPE_INTERVAL": "1s",
            **self.settings,
        }
        self.opened = Store(self.store)
        self.catalogue = Catalogue(
            [self.experiments], allow={str(self.experiments): "process"}, slos=self.slos
        )
        new_id: Callable[[], str] = lambda: new_run_id(time.time())  # noqa: E731 - handed on twice
        self.desk = JobDesk(
            jobs=self.opened, runs=self.opened, catalogue=self.catalogue, new_id=new_id
        )
        self.windows = WindowDesk(
            windows=self.opened, catalogue=self.catalogue, new_id=new_id, longest=60, settle=2
        )

    @property
    def experiments(self) -> Path:
        """Where the experiments are."""
        return self.home / "experiments"

    @property
    def slos(self) -> Path:
        """Where the sets of SLOs are."""
        return self.home / "slos"

    def write(self, name: str, document: Any) -> None:
        """An experiment."""
        (self.experiments / f"{name}.json").write_text(json.dumps(document))

    def start(self, **settings: str) -> subprocess.Popen[bytes]:
        """Start a service."""
        given = {f"SLOGUARD_{k}": v for k, v in {**self.settings, **settings}.items()}
        with (self.home / "service.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "sloguard", "worker", "serve"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.home,
                env=environment(self.home, given),
            )
        self.processes.append(process)
        return process

    def submit(self, name: str, **more: Any) -> str:
        """Ask for a run; its id."""
        job, created = self.desk.submit_run(name, **more)
        assert created
        return job.id

    def job(self, id: str) -> Job:
        """A job as it stands."""
        found = self.opened.job(id)
        assert found is not None
        return found

    def states(self, ids: Sequence[str]) -> list[JobState]:
        """Where these jobs stand."""
        return [self.job(id).state for id in ids]

    def until_over(self, *ids: str, timeout: float = 2 * PATIENCE) -> None:
        """Wait until these jobs are over."""
        self.until(lambda: all(s.is_over for s in self.states(ids)), timeout)

    def until(self, ready: Callable[[], bool], timeout: float = 2 * PATIENCE) -> None:
        """Wait; what the service said is in the failure."""
        try:
            eventually(ready, seconds=timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.said()}") from None

    def said(self) -> str:
        """Everything that the service and its workers have printed."""
        logs = [self.home / "service.log", *sorted(self.home.glob("data/sloguard/jobs/*.log"))]
        jobs = [f"{j.id} {j.state} {j.detail}" for j in self.opened.jobs()]
        jobs += [f"{r.id} {r.experiment}: {r.state}: {r.reason}" for r in self.opened.runs()]
        return "\n".join([*jobs, *(f"--- {p.name}\n{p.read_text()}" for p in logs if p.exists())])

    def workers(self) -> list[Identity]:
        """The processes of the workers."""
        running = self.opened.jobs((JobState.RUNNING,))
        pids = [int(job.worker.rpartition(":")[2]) for job in running if job.worker]
        return [found for pid in pids if (found := identify(pid))]

    def worker(self, id: str) -> Identity:
        """The process of one job's worker."""
        found = identify(int(self.job(id).worker.rpartition(":")[2]))
        assert found is not None
        return found

    def close(self) -> None:
        """End everything."""
        for process in self.processes:
            process.kill()
            process.wait()
        end(self.workers(), grace=3)
        self.opened.dispose()
