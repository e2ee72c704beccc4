"""The adapter over TLS: certificates of both sides, servers that are not verified, connections that break."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sloguard.adapters.kubernetes import KubernetesCluster
from sloguard.adapters.kubernetes_config import KubernetesSettings
from sloguard.ports import ClusterError, ClusterUnauthorized, ClusterUnreachable
from sloguard.ports.resources import NAMESPACES
from tests.fakes.kubernetes.server import KubernetesDouble
from tests.support.patience import PATIENCE, SOON


@pytest.fixture
def double(certificates) -> Iterator[KubernetesDouble]:
    with KubernetesDouble(certificates=certificates) as made:
        yield made


def client(config: Path, **more) -> KubernetesCluster:
    settings = KubernetesSettings(kubeconfig=config, timeout=PATIENCE, connect_timeout=SOON, **more)
    return KubernetesCluster(settings, environ={})


@pytest.mark.parametrize("verified", [True, False])
def test_a_client_with_a_certificate(double, tmp_path, verified):
    """Also without a warning, where the kubeconfig says that the server is not to be verified."""
    config = double.kubeconfig(tmp_path / "k", verified=verified)
    assert client(config).get(NAMESPACES, "default")


def test_a_server_that_is_not_trusted(double, tmp_path):
    config = json.loads(double.kubeconfig(tmp_path / "k").read_text())
    del config["clusters"][0]["cluster"]["certificate-authority-data"]
    (tmp_path / "k").write_text(json.dumps(config))
    with pytest.raises(ClusterError, match=r"is not trusted: .*certificate verify failed") as error:
        client(tmp_path / "k").get(NAMESPACES, "default")
    assert not isinstance(error.value, ClusterUnreachable)


def test_who_bears_no_certificate_needs_a_token(double, tmp_path):
    config = json.loads(double.kubeconfig(tmp_path / "k").read_text())
    config["users"][0]["user"] = {}
    (tmp_path / "k").write_text(json.dumps(config))
    with pytest.raises(ClusterUnauthorized):
        client(tmp_path / "k").get(NAMESPACES, "default")
    config["users"][0]["user"] = {"token": double.token("sloguard", "default")}
    (tmp_path / "k").write_text(json.dumps(config))
    with pytest.raises(ClusterError, match="403"):
        client(tmp_path / "k").get(NAMESPACES, "default")


def test_a_name_of_the_server_that_is_given(double, tmp_path):
    config = json.loads(double.kubeconfig(tmp_path / "k").read_text())
    config["clusters"][0]["cluster"]["tls-server-name"] = "elsewhere.example"
    (tmp_path / "k").write_text(json.dumps(config))
    with pytest.raises(ClusterError, match=r"is not trusted: .*elsewhere\.example"):
        client(tmp_path / "k").get(NAMESPACES, "default")


def test_a_connection_that_breaks_off_is_no_distrust(double, tmp_path):
    """A balancer whose servers are away takes connections and closes them."""
    config = json.loads(double.kubeconfig(tmp_path / "k").read_text())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        closed = []

        def close() -> None:
            for _ in range(3):
                connection, _address = listener.accept()
                with contextlib.suppress(OSError):
                    connection.recv(100)
                closed.append(connection)
                connection.close()

        thread = threading.Thread(target=close, daemon=True)
        thread.start()
        config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"
        (tmp_path / "k").write_text(json.dumps(config))
        cluster = client(tmp_path / "k")
        cluster._http._wait = lambda _seconds: None
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}}
        with pytest.raises(ClusterUnreachable) as lost:
            cluster.create(NAMESPACES, body)
        # Nobody knows whether it was made, so it was sent once.
        assert (lost.value.applied, len(closed)) == (None, 1)
        # What may be sent again is, after short pauses.
        settings = KubernetesSettings(kubeconfig=tmp_path / "k", timeout=2.0)
        cluster = KubernetesCluster(settings, environ={})
        with pytest.raises(ClusterUnreachable, match="tries"):
            cluster.get(NAMESPACES, "default")
        assert len(closed) > 1
