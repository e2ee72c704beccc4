"""A sloguard of its own, with a store of its own, that has broken something and is killed: ``KUBECONFIG NAMESPACE RUN``."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from sloguard.adapters.kubernetes import KubernetesClusters
from sloguard.adapters.kubernetes_config import KubernetesSettings
from sloguard.adapters.kubernetes_locks import LeaseLocks
from sloguard.faults.base import Context, find_fault

#: Of its Lease: renewed four times as often, and out so long after its death.
SECONDS = 6


def main(config: str, namespace: str, run: str) -> None:
    """Hold the Lease, inject, and say so."""
    clusters = KubernetesClusters(KubernetesSettings(kubeconfig=Path(config), timeout=10.0))
    locks = LeaseLocks(clusters, seconds=SECONDS)
    locks.acquire([f"namespace:{clusters(None).name}/{namespace}"], f"run {run} (to be killed)")
    fault = find_fault("istio.add_delay_fault")
    arguments = {"ns": namespace, "virtual_service_name": "checkout", "fixed_delay": "5s"}
    context = Context(cluster=clusters, run=run, seed=1)
    for injection in fault.plan(arguments, context).injections:
        fault.inject(injection, context)
    print("injected", flush=True)
    time.sleep(600)


if __name__ == "__main__":
    main(*sys.argv[1:])
