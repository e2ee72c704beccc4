"""Many experiments at once: each on a cluster and in a world of its own, all before one real Prometheus.

An experiment mostly waits, so that many of them take not much longer than one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.support.command import ROOT, Ran
from tests.support.forked import Commands, Started
from tests.support.mesh.living import Address, Case, Life
from tests.support.servers import PrometheusServer

EXPERIMENTS = ROOT / "experiments" / "kubernetes"
INTERVAL = "1s"
#: The phases of the experiments, shortened as far as the lookback allows.
TIMES = {
    "before": "3s",
    "during": "8s",
    "after": "9s",
    "lookback": "4s",
    "recover_within": "6s",
    "felt_within": "7s",
}
#: Seconds of history until the first point of ``before`` has its whole lookback.
_HISTORY = 8.0
#: Beginning costs most: one after the other, so that two processors keep up and no scrape is late.
_APART = 0.7
#: A world that has not looked for so long is no measure of time; it is tried again then.
_LATE, _TRIES = 0.8, 3
_PATIENCE = 120.0


@dataclass(frozen=True)
class Ended:
    """How it went. ``before`` and ``after``: all objects that a fault could have left changed."""

    ran: Ran
    before: Mapping[str, Any]
    after: Mapping[str, Any]

    @property
    def document(self) -> Any:
        """The verdict."""
        return self.ran.json


class Field:
    """``with`` starts the servers and the worlds, and stops them."""

    def __init__(self, folder: Path, cases: Sequence[Case]) -> None:
        self._folder, self._cases = folder, cases
        self._lives: dict[str, Life] = {}
        self._addresses: dict[str, Address] = {}
        # Those that are watched come first: what is late here is only later, a late scrape is a gap.
        self._commands = Commands(folder / "commands", nice=5)
        self._stack = ExitStack()
        self.prometheus = PrometheusServer(folder / "prometheus")

    def __enter__(self) -> Field:
        with ExitStack() as stack:
            self._begin(stack)
            # Whatever began is ended, also where the rest did not.
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self) -> dict[Case, Future[Ended]]:
        """All of them, to their ends."""
        with ThreadPoolExecutor(len(self._cases)) as pool:
            return {c: pool.submit(self._run, c, index) for index, c in enumerate(self._cases)}

    def _jobs(self) -> list[dict[str, Any]]:
        return [
            {
                "job_name": name,
                "scrape_interval": INTERVAL,
                "scrape_timeout": INTERVAL,
                # What metrics say of themselves stands, as with kube-state-metrics.
                "honor_labels": True,
                "static_configs": [{"targets": [f"127.0.0.1:{life.port}"]}],
            }
            for name, life in self._lives.items()
        ]

    def _begin(self, stack: ExitStack) -> None:
        for case in self._cases:
            home = self._folder / case.name
            home.mkdir()
            self._lives[case.name] = stack.enter_context(Life(case, home))
        self.prometheus.more = {"scrape_configs": self._jobs()}
        stack.callback(self.prometheus.kill)
        self.prometheus.start()
        stack.enter_context(self._commands)
        for name, life in self._lives.items():
            self._addresses[name] = life.begin()
        ends = time.monotonic() + _HISTORY
        self._authorize()
        self._await_scrapes()
        time.sleep(max(ends - time.monotonic(), 0))

    def _authorize(self) -> None:
        """Each service account may do what ``sloguard rbac`` says, and nothing else."""
        asked = {
            case: self._start(case, "rbac", "--service-account", self._addresses[case.name].account)
            for case in self._cases
        }
        for case, started in asked.items():
            told = started.wait(_PATIENCE)
            assert told.code == 0, told.err
            self._lives[case.name].give(told.json["manifests"])

    def _run(self, case: Case, index: int) -> Ended:
        time.sleep(index * _APART)
        for _ in range(_TRIES):
            began, life = time.time(), self._lives[case.name]
            before, _lag = life.everything(), life.lag()
            ran = self._start(case, "run", "--prometheus", self.prometheus.url).wait(_PATIENCE)
            life.complete_again()
            ended = Ended(ran, before, life.everything())
            if not self._disturbed(case, began):
                break
            life.reset()
            time.sleep(_HISTORY)
        # Time for those who are still at it.
        life.leave()
        return ended

    def _disturbed(self, case: Case, began: float) -> bool:
        """Whether the machine had no time for this world: what was measured then is not what happened."""
        window = f"{time.time() - began + _HISTORY:.0f}s"
        missed = self._found(f'count_over_time((up{{job="{case.name}"}}==0)[{window}:500ms])')
        return missed > 0 or self._lives[case.name].lag() > _LATE

    def _start(self, case: Case, command: str, *arguments: str) -> Started:
        address = self._addresses[case.name]
        variables = [part for text in self._variables(case) for part in ("--var", text)]
        return self._commands.start(
            command,
            EXPERIMENTS / case.file,
            *(*arguments, "--format", "json", *variables),
            home=self._folder / case.name,
            env={
                "SLOGUARD_KUBERNETES_KUBECONFIG": str(address.kubeconfig),
                "SLOGUARD_KUBERNETES_NAMESPACE": address.namespace,
            },
        )

    def _variables(self, case: Case) -> list[str]:
        """Those of the names and times that the experiment knows, and the case's own."""
        known = (EXPERIMENTS / case.file).read_text()
        usual = {
            **TIMES,
            "namespace": case.shop.namespace,
            "namespaces": case.shop.namespace,
            "url": f"http://127.0.0.1:{self._lives[case.name].port}/",
        }
        fitting = {k: v for k, v in usual.items() if f"\n  {k}:" in known}
        return [f"{k}={v}" for k, v in {**fitting, **case.variables}.items()]

    def _await_scrapes(self) -> None:
        ends, wanted = time.monotonic() + _PATIENCE, len(self._cases)
        while self._found("count(up == 1)") < wanted:
            assert time.monotonic() < ends, "Prometheus does not scrape all worlds"
            time.sleep(0.2)

    def _found(self, query: str) -> float:
        answer = self.prometheus.get(f"/api/v1/query?query={quote(query)}")
        return float((answer["data"]["result"] or [{"value": [0, 0]}])[0]["value"][1])
