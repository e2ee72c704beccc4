"""As whom sloguard comes to a cluster: kubeconfig, impersonation, the service account of its pod."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from sloguard.adapters.kubernetes import KubernetesCluster
from sloguard.adapters.kubernetes_config import KubernetesSettings
from sloguard.ports import ClusterError, ClusterForbidden
from sloguard.ports.resources import PODS
from tests.fakes.kubernetes.server import ADMIN_TOKEN, KubernetesDouble
from tests.support.clusters import Ground
from tests.support.patience import PATIENCE

SOMEBODY = "system:serviceaccount:default:nobody"


@pytest.fixture
def double() -> Iterator[KubernetesDouble]:
    with KubernetesDouble() as made:
        yield made


class Listener(BaseHTTPRequestHandler):
    """Answers with an empty list, and keeps the headers."""

    seen: ClassVar[list[tuple[str, str]]] = []

    def do_GET(self) -> None:
        Listener.seen = list(self.headers.items())
        body = b'{"items": []}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def configured(folder: Path, url: str, **user: Any) -> Path:
    config = {
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [
            {"name": "u", "user": user if "exec" in user else {"token": ADMIN_TOKEN, **user}}
        ],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path = folder / "config"
    path.write_text(json.dumps(config))
    return path


def heard(folder: Path, user: Any, **settings: Any) -> list[tuple[str, str]]:
    server = HTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        path = configured(folder, f"http://127.0.0.1:{server.server_port}", **user)
        made = KubernetesSettings(kubeconfig=path, timeout=PATIENCE, **settings)
        KubernetesCluster(made, environ={}).list(PODS)
    finally:
        server.shutdown()
        server.server_close()
    return [(name, value) for name, value in Listener.seen if name.startswith("Impersonate")]


def test_a_user_of_a_kubeconfig_that_acts_as_somebody_else_does_so_here_too(tmp_path):
    user = {
        "as": "ann",
        "as-uid": "7",
        "as-groups": ["team-a", "team-b"],
        "as-user-extra": {"example.com/reason": ["chaos", "test"]},
    }
    assert heard(tmp_path, user) == [
        ("Impersonate-User", "ann"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Group", "team-a"),
        ("Impersonate-Group", "team-b"),
        ("Impersonate-Extra-example.com%2Freason", "chaos"),
        ("Impersonate-Extra-example.com%2Freason", "test"),
    ]
    assert heard(tmp_path, {}) == []


def test_the_settings_come_before_the_kubeconfig_and_know_several_groups(tmp_path):
    given = {"impersonate": "bob", "impersonate_group": "ops, dev"}
    assert heard(tmp_path, {"as": "ann"}, **given) == [
        ("Impersonate-User", "bob"),
        ("Impersonate-Group", "ops"),
        ("Impersonate-Group", "dev"),
    ]
    with pytest.raises(ClusterError, match="a group alone cannot be acted as"):
        heard(tmp_path, {}, impersonate_group="ops")


def test_rights_are_those_of_whom_the_kubeconfig_acts_as(double, tmp_path):
    path = configured(tmp_path, double.url, **{"as": SOMEBODY})
    cluster = KubernetesCluster(KubernetesSettings(kubeconfig=path), environ={})
    with pytest.raises(ClusterForbidden, match=SOMEBODY):
        cluster.list(PODS)
    assert not cluster.allowed("list", PODS).allowed


def test_commands_in_pods_are_run_as_whom_one_acts_as(double, tmp_path):
    ground = Ground(
        KubernetesCluster(KubernetesSettings(kubeconfig=configured(tmp_path, double.url))), double
    )
    namespace = ground.namespace()
    ground.deployment(namespace, replicas=1, on={"kubernetes.io/hostname": ground.node()})
    (pod,) = ground.pods(namespace)
    name = pod["metadata"]["name"]
    assert ground.cluster.exec(name, namespace, ["id"], deadline=PATIENCE).stdout == "id"
    path = configured(tmp_path, double.url)
    settings = KubernetesSettings(kubeconfig=path, impersonate=SOMEBODY)
    with pytest.raises(ClusterForbidden, match=SOMEBODY):
        KubernetesCluster(settings).exec(name, namespace, ["id"], deadline=PATIENCE)


def test_in_a_pod_the_service_account_is_used_over_tls(certificates, tmp_path):
    with KubernetesDouble(certificates=certificates) as double:
        token = double.token("sloguard", "chaos")
        account = tmp_path / "account"
        account.mkdir()
        (account / "token").write_text(token)
        (account / "namespace").write_text("chaos\n")
        (account / "ca.crt").write_bytes(certificates.authority.read_bytes())
        host, _, port = double.url.removeprefix("https://").partition(":")
        environ = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
        settings = KubernetesSettings(in_cluster=True, timeout=PATIENCE)
        cluster = KubernetesCluster(settings, environ=environ, account=account)
        assert cluster.name == "in-cluster"
        assert cluster.own_namespace == "chaos"
        assert cluster.whereabouts().namespace == "chaos"
        with pytest.raises(ClusterForbidden, match="system:serviceaccount:chaos:sloguard"):
            cluster.list(PODS)
        # A token that was rotated is read anew.
        fresh = double.token("sloguard", "chaos")
        del double.tokens[token]
        (account / "token").write_text(fresh)
        assert not cluster.allowed("list", PODS).allowed
        # Another authority is not believed.
        (account / "ca.crt").write_bytes(certificates.certificate("client").read_bytes())
        with pytest.raises(ClusterError, match="is not trusted"):
            KubernetesCluster(settings, environ=environ, account=account).versions("apps")


def test_a_program_for_credentials_that_hangs_is_not_waited_for_for_ever(double, tmp_path):
    program = tmp_path / "login"
    program.write_text("#!/bin/sh\nexec sleep 5\n")
    program.chmod(0o755)
    exec_ = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(program)}
    path = configured(tmp_path, double.url, exec={**exec_, "interactiveMode": "Never"})
    with pytest.raises(ClusterError, match=r"has not answered within 0\.3s"):
        KubernetesCluster(KubernetesSettings(kubeconfig=path, timeout=0.3), environ={})
