"""Processes that inject and undo a fault, to be killed on the way.

One process is started, imports what is needed, and forks another for every attempt: starting Python and
loading the Kubernetes client for each would take a second.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: The lines of the ledger of an attempt: records, newest last; each durable before it is acted upon.
LEDGER = "ledger.json"


class Mortals:
    """``with`` starts the process that forks the others, and ends it."""

    def __enter__(self) -> Mortals:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.mortals"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert self._line() == "ready"
        self.pid = 0
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def start(
        self, kubeconfig: Path, ledger: Path, fault: str, arguments: Mapping[str, Any], run: str
    ) -> None:
        """Plan, inject all and undo all, in a process of its own, in the name of a run."""
        assert self._process.stdin is not None
        job = {
            "kubeconfig": str(kubeconfig),
            "ledger": str(ledger),
            "fault": fault,
            "arguments": dict(arguments),
            "run": run,
        }
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        self.pid = int(self._line())

    def kill(self) -> None:
        """SIGKILL."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """How it ended, as ``os.waitpid`` tells."""
        return int(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def records(ledger: Path) -> list[dict[str, Any]]:
    """What the ledger of an attempt holds."""
    return list(json.loads(ledger.read_text()).values()) if ledger.exists() else []


def live(job: Mapping[str, Any]) -> None:
    """What a mortal does."""
    from sloguard.adapters.kubernetes import KubernetesClusters
    from sloguard.adapters.kubernetes_config import KubernetesSettings
    from sloguard.faults.base import Context, find_fault

    settings = KubernetesSettings(kubeconfig=Path(job["kubeconfig"]), timeout=10)
    ledger, kept = Path(job["ledger"]), {}

    def save(index: int, record: Mapping[str, Any]) -> None:
        kept[index] = dict(record)
        newer = ledger.with_suffix(".new")
        newer.write_text(json.dumps(kept))
        newer.replace(ledger)

    fault = find_fault(job["fault"])
    context = Context(cluster=KubernetesClusters(settings, environ={}), run=job["run"], seed=1)
    plan = fault.plan(job["arguments"], context)
    for index, injection in enumerate(plan.injections):
        save(index, injection.record)
        context.save = lambda record, index=index: save(index, record)
        fault.inject(injection, context)
    for index in reversed(range(len(plan.injections))):
        fault.undo(kept[index], context)


def main() -> None:
    """Fork for every line; tell the pid, and then how it ended."""
    import kubernetes.client.rest

    import sloguard.adapters.kubernetes
    import sloguard.adapters.prometheus_sockets
    import sloguard.faults.istio

    assert kubernetes
    assert sloguard
    print("ready", flush=True)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                live(json.loads(line))
                os._exit(0)
            except BaseException:  # noqa: BLE001 - whatever it is, it ends here and is printed
                import traceback

                traceback.print_exc()
                os._exit(1)
        print(pid, flush=True)
        print(os.waitpid(pid, 0)[1], flush=True)


if __name__ == "__main__":
    main()
