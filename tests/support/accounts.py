"""Service accounts with roles, on the double or on a real cluster, and clusters as they see them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from sloguard.adapters.kubernetes import KubernetesCluster
from sloguard.adapters.kubernetes_config import KubernetesSettings
from sloguard.ports import Object
from sloguard.ports.rights import guessed
from tests.support.clusters import SERVICE_ACCOUNTS, Ground

_KINDS = ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
RBAC = {kind: guessed("rbac.authorization.k8s.io/v1", kind) for kind in _KINDS}


class Account:
    """A service account with no rights, until roles are given to it.

    ``namespace``: where it is there already; else it is made, in a namespace of its own.
    """

    def __init__(
        self, ground: Ground, folder: Path, name: str = "sloguard", namespace: str = ""
    ) -> None:
        self.ground, self.name = ground, name
        self.namespace = namespace or ground.namespace("chaos")
        if not namespace:
            about = {"name": name, "namespace": self.namespace}
            body = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": about}
            ground.direct.create(SERVICE_ACCOUNTS, body)
        self.kubeconfig = self._kubeconfig(folder / f"{self.namespace}-{name}.json")
        settings = KubernetesSettings(
            kubeconfig=self.kubeconfig, timeout=10.0, namespace=self.namespace
        )
        self.cluster = KubernetesCluster(settings)

    @property
    def title(self) -> str:
        """As ``sloguard rbac --service-account`` takes it."""
        return f"{self.namespace}/{self.name}"

    def _kubeconfig(self, path: Path) -> Path:
        """With a token of the account, by TokenRequest."""
        http = self.ground.direct._http
        asked = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": 3600},
        }
        where = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{self.name}/token"
        token = http.request("POST", where, None, asked, again=False)["status"]["token"]
        reached = http.connection.configuration
        cluster: dict[str, Any] = {"server": reached.host}
        if reached.ssl_ca_cert:
            cluster["certificate-authority"] = reached.ssl_ca_cert
        if not reached.verify_ssl:
            cluster["insecure-skip-tls-verify"] = True
        if reached.tls_server_name:
            cluster["tls-server-name"] = reached.tls_server_name
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "it", "cluster": cluster}],
            "users": [{"name": "account", "user": {"token": token}}],
            "contexts": [
                {"name": self.ground.direct.name, "context": {"cluster": "it", "user": "account"}}
            ],
            "current-context": self.ground.direct.name,
        }
        path.write_text(json.dumps(config))
        return path

    def give(self, manifests: Iterable[Object]) -> None:
        """Roles and bindings; what is in no namespace is deleted after the test."""
        for body in manifests:
            resource = RBAC[body["kind"]]
            self.ground.direct.create(resource, body)
            if not resource.namespaced:
                self.ground._made.append((resource, body["metadata"]["name"]))

    def set_rules(self, role: Object, rules: list[Object]) -> None:
        """Other rules for a role that was given."""
        about = role["metadata"]
        self.ground.direct.merge_patch(
            RBAC[role["kind"]], about["name"], about.get("namespace"), {"rules": rules}
        )

    def soon(self, holds: Callable[[], bool]) -> None:
        """Real servers hear of roles a moment later."""
        self.ground.eventually(holds, "the API server has not heard of the roles")
