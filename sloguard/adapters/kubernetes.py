"""Kubernetes clusters, one a context of the kubeconfig."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import replace

from sloguard.adapters.kubernetes_cluster import KubernetesCluster
from sloguard.adapters.kubernetes_config import KubernetesSettings

__all__ = ["KubernetesCluster", "KubernetesClusters"]


class KubernetesClusters:
    """ports.Clusters: one object a context, made when it is first asked for."""

    def __init__(
        self, settings: KubernetesSettings, *, environ: Mapping[str, str] = os.environ
    ) -> None:
        self._settings, self._environ = settings, environ
        self._made: dict[str, KubernetesCluster] = {}
        self._guard = threading.Lock()

    def __call__(self, context: str | None = None) -> KubernetesCluster:
        """Raises ClusterError where the configuration does not know this context."""
        wanted = context or self._settings.context
        with self._guard:
            if wanted not in self._made:
                # "in-cluster" is how the service account is recorded, and no name in a kubeconfig.
                inside = True if wanted == "in-cluster" else self._settings.in_cluster
                named = "" if wanted == "in-cluster" else wanted
                made = KubernetesCluster(
                    replace(self._settings, context=named, in_cluster=inside), environ=self._environ
                )
                self._made[wanted] = self._made.setdefault(made.name, made)
            return self._made[wanted]
