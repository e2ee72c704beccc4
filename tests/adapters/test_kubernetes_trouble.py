"""What the adapter does when the API server is away, busy, slow, or does not know who asks."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sloguard.adapters.kubernetes import KubernetesCluster, KubernetesClusters
from sloguard.adapters.kubernetes_config import KubernetesSettings
from sloguard.adapters.kubernetes_lists import PAGE
from sloguard.ports import (
    ClusterConflict,
    ClusterDeadline,
    ClusterError,
    ClusterForbidden,
    ClusterNotFound,
    ClusterUnauthorized,
    ClusterUnreachable,
    Object,
)
from sloguard.ports.resources import CONFIG_MAPS, PODS
from tests.fakes.kubernetes.api import Request
from tests.fakes.kubernetes.server import ADMIN_TOKEN, KubernetesDouble
from tests.support.patience import PATIENCE, SOON


@pytest.fixture
def double() -> Iterator[KubernetesDouble]:
    with KubernetesDouble() as made:
        yield made


def client(double: KubernetesDouble, folder: Path, **settings) -> KubernetesCluster:
    token, page = settings.pop("token", ADMIN_TOKEN), settings.pop("page", PAGE)
    config = double.kubeconfig(folder / "kubeconfig", token=token)
    settings = {"timeout": PATIENCE, "connect_timeout": SOON, **settings}
    known = KubernetesSettings(kubeconfig=config, **settings)
    return KubernetesCluster(known, environ={}, page=page)


def config_map(cluster: KubernetesCluster, name: str = "m") -> Object:
    about = {"name": name, "namespace": "default"}
    return cluster.create(CONFIG_MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": about})


def is_(method: str):
    return lambda request: request.method == method


def guarded(made: Object) -> list[dict]:
    version = made["metadata"]["resourceVersion"]
    return [
        {"op": "test", "path": "/metadata/resourceVersion", "value": version},
        {"op": "add", "path": "/data", "value": {"a": "1"}},
    ]


@pytest.mark.parametrize("what", ["lost-before", "lost-after", "error", "busy"])
def test_reading_is_tried_again(double, tmp_path, what):
    cluster = client(double, tmp_path)
    double.trouble.add(what, times=2 if what != "busy" else 1, match=is_("GET"))
    assert cluster.get(PODS.__class__("", "v1", "namespaces", "Namespace", False), "default")


def test_a_guarded_patch_is_tried_again_and_cannot_apply_twice(double, tmp_path):
    cluster = client(double, tmp_path)
    made = config_map(cluster)
    double.trouble.add("lost-after", match=is_("PATCH"))
    with pytest.raises(ClusterConflict) as conflict:
        cluster.json_patch(CONFIG_MAPS, "m", "default", guarded(made))
    # The refusal is due to one's own success, and says so.
    assert conflict.value.maybe_done
    assert cluster.get(CONFIG_MAPS, "m", "default")["data"] == {"a": "1"}


def test_an_unguarded_write_is_sent_once_and_says_that_nobody_knows(double, tmp_path):
    cluster = client(double, tmp_path)
    double.trouble.add("lost-before", match=is_("POST"))
    with pytest.raises(ClusterUnreachable) as lost:
        config_map(cluster)
    assert lost.value.applied is None
    assert [m for m, _ in double.requests].count("POST") == 1
    with pytest.raises(ClusterNotFound):
        cluster.get(CONFIG_MAPS, "m", "default")


def test_a_write_that_the_server_was_too_busy_for_is_sent_again(double, tmp_path):
    cluster = client(double, tmp_path)
    double.trouble.add("busy", match=is_("POST"))
    assert config_map(cluster)["metadata"]["name"] == "m"


def test_a_delete_whose_answer_was_lost_has_happened(double, tmp_path):
    cluster = client(double, tmp_path)
    uid = config_map(cluster)["metadata"]["uid"]
    double.trouble.add("lost-after", match=is_("DELETE"))
    cluster.delete(CONFIG_MAPS, "m", "default", uid=uid)
    with pytest.raises(ClusterNotFound) as gone:
        cluster.delete(CONFIG_MAPS, "m", "default", uid=uid)
    assert not gone.value.maybe_done


def test_a_server_that_is_away_is_unreachable_within_the_deadline(double, tmp_path):
    cluster = client(double, tmp_path, timeout=0.5)
    double.trouble.away.set()
    began = time.monotonic()
    with pytest.raises(ClusterUnreachable, match="does not answer GET"):
        cluster.list(PODS)
    assert time.monotonic() - began < SOON
    double.trouble.away.clear()
    assert client(double, tmp_path).list(PODS) == []


def test_nobody_there_at_all(double, tmp_path):
    cluster = client(double, tmp_path, timeout=0.4)
    double.__exit__()
    with pytest.raises(ClusterUnreachable) as refused:
        config_map(cluster)
    assert refused.value.applied is False


def test_a_slow_server_does_not_outlast_the_deadline(double, tmp_path):
    cluster = client(double, tmp_path, timeout=0.3)
    double.trouble.add("slow", times=9, seconds=PATIENCE)
    began = time.monotonic()
    with pytest.raises(ClusterUnreachable):
        cluster.list(PODS)
    assert time.monotonic() - began < SOON


def test_credentials_that_have_changed_are_read_again(double, tmp_path):
    cluster = client(double, tmp_path)
    cluster.list(PODS)
    del double.tokens[ADMIN_TOKEN]
    double.tokens["a-newer-token"] = "admin"
    double.kubeconfig(tmp_path / "kubeconfig", token="a-newer-token")
    assert cluster.list(PODS) == []


def test_a_token_file_is_followed(double, tmp_path):
    config = json.loads(double.kubeconfig(tmp_path / "kubeconfig").read_text())
    file = tmp_path / "token"
    file.write_text(ADMIN_TOKEN)
    config["users"][0]["user"] = {"tokenFile": str(file)}
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    cluster = KubernetesCluster(KubernetesSettings(kubeconfig=tmp_path / "kubeconfig"), environ={})
    cluster.list(PODS)
    double.tokens["rotated-token"] = double.tokens.pop(ADMIN_TOKEN)
    file.write_text("rotated-token")
    assert cluster.list(PODS) == []


def test_credentials_that_are_wrong_are_told_without_showing_them(double, tmp_path):
    cluster = client(double, tmp_path, token="a-secret-of-somebody")
    with pytest.raises(ClusterUnauthorized) as refused:
        cluster.list(PODS)
    assert "a-secret-of-somebody" not in str(refused.value)
    assert "401 Unauthorized" in str(refused.value)


def test_what_is_not_allowed_is_forbidden_and_known_before(double, tmp_path):
    double.api.handle(Request("POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles", body={
        "metadata": {"name": "look"}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]}))  # fmt: skip
    double.api.handle(Request("POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings", body={
        "metadata": {"name": "look"}, "roleRef": {"kind": "Role", "name": "look"},
        "subjects": [{"kind": "ServiceAccount", "name": "looker", "namespace": "default"}]}))  # fmt: skip
    cluster = client(double, tmp_path, token=double.token("looker", "default"))
    assert cluster.list(PODS, "default") == []
    assert cluster.allowed("list", PODS, "default").reason.startswith(
        "RBAC: allowed by RoleBinding"
    )
    assert not cluster.allowed("delete", PODS, "default").allowed
    assert not cluster.allowed("list", PODS).allowed
    with pytest.raises(ClusterForbidden, match='cannot delete resource "pods"'):
        cluster.delete(PODS, "any", "default")


def test_impersonation_acts_as_somebody_else(double, tmp_path):
    cluster = client(double, tmp_path, impersonate="system:serviceaccount:default:nobody")
    with pytest.raises(ClusterForbidden, match="system:serviceaccount:default:nobody"):
        cluster.list(PODS)


def test_each_context_is_a_cluster_of_its_own(double, tmp_path):
    with KubernetesDouble() as other:
        config = json.loads(double.kubeconfig(tmp_path / "k", context="one").read_text())
        more = json.loads(other.kubeconfig(tmp_path / "o", context="two").read_text())
        more["clusters"][0]["name"] = more["contexts"][0]["context"]["cluster"] = "other"
        config["clusters"] += more["clusters"]
        config["contexts"] += more["contexts"]
        (tmp_path / "k").write_text(json.dumps(config))
        clusters = KubernetesClusters(KubernetesSettings(kubeconfig=tmp_path / "k"), environ={})
        config_map(clusters("two"))
        assert (clusters(None).name, clusters("two").name) == ("one", "two")
        assert clusters("one") is clusters(None)
        by_name = "metadata.name=m"
        assert len(clusters("two").list(CONFIG_MAPS, fields=by_name)) == 1
        assert clusters(None).list(CONFIG_MAPS, fields=by_name) == []
        with pytest.raises(ClusterError, match="three"):
            clusters("three")


def test_a_kubeconfig_that_is_not_there_or_none_is_told(tmp_path):
    with pytest.raises(ClusterError, match="no kubeconfig at"):
        KubernetesCluster(KubernetesSettings(kubeconfig=tmp_path / "nothing"), environ={})
    given = {"KUBERNETES_HOST": "https://1.2.3.4", "KUBERNETES_API_KEY": "hunter2"}
    with pytest.raises(ClusterError, match="KUBERNETES_HOST and KUBERNETES_API_KEY in") as wrong:
        KubernetesCluster(KubernetesSettings(kubeconfig=tmp_path / "nothing"), environ=given)
    assert "kubectl config set-cluster" in str(wrong.value)
    assert "hunter2" not in str(wrong.value)
    (tmp_path / "odd").write_text("password: [hunter2")
    with pytest.raises(ClusterError) as wrong:
        KubernetesCluster(KubernetesSettings(kubeconfig=tmp_path / "odd"), environ={})
    assert "hunter2" not in str(wrong.value)
    with pytest.raises(ClusterUnauthorized, match="service account of this pod"):
        KubernetesCluster(KubernetesSettings(in_cluster=True), environ={})


def test_where_sloguard_runs_is_read_from_its_environment(double, tmp_path):
    config = double.kubeconfig(tmp_path / "kubeconfig")
    inside = {
        "KUBERNETES_SERVICE_HOST": "10.0.0.1",
        "POD_NAMESPACE": "chaos",
        "POD_NAME": "sloguard-0",
    }
    made = KubernetesCluster(KubernetesSettings(kubeconfig=config), environ=inside)
    assert (made.whereabouts().namespace, made.whereabouts().pod) == ("chaos", "sloguard-0")
    assert made.own_namespace == "chaos"
    outside = KubernetesCluster(
        KubernetesSettings(kubeconfig=config, namespace="tools"), environ={}
    )
    assert (outside.whereabouts().pod, outside.own_namespace) == ("", "tools")


def test_a_list_that_expires_half_way_is_begun_anew(double, tmp_path):
    cluster = client(double, tmp_path, page=2)
    for index in range(5):
        config_map(cluster, f"m{index}")
    expired = []

    def expire(_number, request):
        if request.query.get("continue") and not expired:
            config_map(client(double, tmp_path), "later")
            double.state.expire()
            expired.append(request)

    double.trouble.before = expire
    found = cluster.list(CONFIG_MAPS, "default")
    names = [o["metadata"]["name"] for o in found]
    assert names == ["kube-root-ca.crt", "later", "m0", "m1", "m2", "m3", "m4"]


def test_a_watch_survives_an_outage_and_an_expired_version(double, tmp_path):
    cluster = client(double, tmp_path)
    seen = threading.Event()

    def until(objects):
        seen.set()
        return ("default", "late") in objects

    def trouble():
        seen.wait(PATIENCE)
        double.trouble.away.set()
        time.sleep(0.1)
        double.state.expire()
        double.trouble.away.clear()
        config_map(client(double, tmp_path), "late")

    thread = threading.Thread(target=trouble)
    thread.start()
    found = cluster.watch(CONFIG_MAPS, "default", deadline=PATIENCE, until=until)
    thread.join()
    assert ("default", "late") in found


def test_a_command_in_a_container(double, tmp_path):
    cluster = client(double, tmp_path)
    about = {"name": "p", "namespace": "default"}
    spec = {"containers": [{"name": "c", "image": "i:1"}]}
    cluster.create(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": spec})
    asked: list[tuple] = []
    released = threading.Event()

    def command(*what):
        asked.append(what)
        return (3, "out " * 60, "größer") if what[3][0] == "fail" else (0, "", "")

    double.command = command
    ended = cluster.exec("p", "default", ["fail", "a b"], container="c", deadline=PATIENCE)
    assert (ended.exit_code, ended.stdout, ended.stderr) == (3, "out " * 60, "größer")
    assert asked == [("default", "p", "c", ["fail", "a b"])]
    assert cluster.exec("p", "default", ["ok"], deadline=PATIENCE).exit_code == 0
    with pytest.raises(ClusterNotFound):
        cluster.exec("q", "default", ["ok"], deadline=PATIENCE)
    double.command = lambda *_what: (released.wait(PATIENCE), "", "")
    with pytest.raises(ClusterDeadline):
        cluster.exec("p", "default", ["slow"], deadline=0.2)
    released.set()


def test_a_basic_password_is_masked(double, tmp_path):
    config = json.loads(double.kubeconfig(tmp_path / "kubeconfig").read_text())
    config["users"][0]["user"] = {"username": "somebody", "password": "hunter2-hunter2"}
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    cluster = KubernetesCluster(KubernetesSettings(kubeconfig=tmp_path / "kubeconfig"), environ={})
    with pytest.raises(ClusterUnauthorized) as refused:
        cluster.list(PODS)
    coded = base64.b64encode(b"somebody:hunter2-hunter2").decode()
    assert coded not in str(refused.value)
