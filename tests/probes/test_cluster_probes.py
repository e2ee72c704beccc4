"""What each probe says of a cluster, in good and in bad times; on the double or on a real one."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from sloguard.ports import ClusterError, ClusterUnreachable, ambient
from sloguard.ports.resources import DAEMON_SETS, DEPLOYMENTS, NODES, PODS, STATEFUL_SETS
from sloguard.ports.rights import Call, needs_of
from sloguard.probes import (
    catalogue,
    daemonsets,
    deployments,
    istio,
    microservices,
    nodes,
    objects,
    services,
    statefulsets,
)
from sloguard.probes import pods as of_pods
from sloguard.probes.base import ProbeError, registry
from sloguard.providers.calls import call as call_provider
from sloguard.providers.outage import is_unreachable
from tests.support.clusters import Ground


@pytest.fixture
def shop(ground: Ground) -> Iterator[str]:
    """A namespace with three nodes and two pods of ``checkout``; the probes ask this cluster."""
    ambient.provide(lambda context: ground.cluster)
    ground.nodes(3)
    namespace = ground.namespace()
    ground.deployment(namespace, replicas=2)
    yield namespace
    ambient._provided.clear()


def status(ground: Ground, namespace: str, index: int, **values: Any) -> None:
    """Say something else of a pod; the double's kubelets leave it at that."""
    name = sorted(p["metadata"]["name"] for p in ground.pods(namespace))[index]
    ground.cluster.merge_patch(PODS, name, namespace, {"status": values}, subresource="status")


@pytest.mark.cluster
def test_pods_are_counted_and_their_phases_told(ground, shop):
    app = "app=checkout"
    assert of_pods.count_pods(app, ns=shop) == 2
    assert of_pods.count_pods(app, phase="Pending", ns=shop) == 0
    assert of_pods.count_pods("app=nothing", ns=shop) == 0
    assert of_pods.count_pods(ns=[shop, "kube-system"], label_selector=app) == 2
    assert of_pods.count_pods(ns="*", label_selector=app) >= 2
    assert of_pods.count_min_pods(app, ns=shop) is True
    assert of_pods.count_min_pods(app, min_count=3, ns=shop) is False
    assert of_pods.pods_in_phase(app, "Running", shop) is True
    assert of_pods.pods_not_in_phase(app, "Running", shop) is False
    assert of_pods.pods_not_in_phase(app, "Failed", shop) is True
    ready = [{"type": "Ready", "status": True}]
    assert of_pods.pods_in_conditions(app, ready, shop) is True
    assert of_pods.all_pods_healthy(shop) is True
    assert of_pods.all_pods_healthy(shop, ready=True) is True


@pytest.mark.cluster
def test_a_state_that_is_not_healthy_is_a_value_and_no_error(ground, shop):
    app = "app=checkout"
    unready = [{"type": "Ready", "status": "False", "lastTransitionTime": None}]
    status(ground, shop, 0, conditions=unready)
    assert of_pods.pods_in_conditions(app, [{"type": "Ready", "status": "True"}], shop) is False
    # The phase alone does not know of it.
    assert of_pods.all_pods_healthy(shop) is True
    assert of_pods.all_pods_healthy(shop, ready=True) is False
    ground.eventually(lambda: not deployments.deployment_available("checkout", shop))
    assert deployments.deployment_partially_available("checkout", shop) is True
    assert deployments.deployment_fully_available("checkout", shop, timeout=1) is False
    assert deployments.deployment_not_fully_available("checkout", shop, timeout=5) is True


@pytest.mark.cluster
def test_a_pod_that_has_failed_is_not_healthy(ground, shop):
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "job", "namespace": shop, "labels": {"name": "job"}},
        "spec": {"containers": [{"name": "job", "image": "example.invalid/job:1"}]},
    }
    ground.cluster.create(PODS, body)
    ground.ready_pods(shop, "name=job", 1)
    assert of_pods.pod_is_not_available("job", shop) is False
    ground.cluster.merge_patch(
        PODS, "job", shop, {"status": {"phase": "Succeeded"}}, subresource="status"
    )
    assert of_pods.all_pods_healthy(shop) is True
    assert of_pods.pod_is_not_available("job", shop) is True
    ground.cluster.merge_patch(
        PODS, "job", shop, {"status": {"phase": "Failed"}}, subresource="status"
    )
    assert microservices.all_microservices_healthy(shop) is False
    assert of_pods.pods_in_phase("name=job", "Failed", shop) is True


@pytest.mark.cluster
def test_nothing_there_is_no_evidence(ground, shop):
    empty = ground.namespace("empty")
    assert of_pods.all_pods_healthy(empty) is False
    assert of_pods.pods_in_phase("app=x", ns=empty) is False
    assert of_pods.pods_not_in_phase("app=x", ns=empty) is False
    assert of_pods.pods_in_conditions("app=x", [{"type": "Ready"}], empty) is False
    assert deployments.deployment_available_and_healthy("nothing", empty) is False
    assert deployments.deployment_partially_available("nothing", empty) is False
    assert statefulsets.statefulset_available_and_healthy("nothing", empty) is False
    assert daemonsets.daemon_set_available_and_healthy("nothing", empty) is False
    assert services.service_is_initialized("nothing", empty) is False
    assert services.service_endpoints_ready("nothing", empty) is False
    assert nodes.nodes_ready("sloguard-test=nothing") is False
    assert nodes.nodes_must_be_healthy("sloguard-test=nothing") is False
    assert nodes.verify_nodes_condition("Ready", "True", "sloguard-test=nothing") is False
    assert objects.namespace_exists("nothing-of-this-name") is False
    assert objects.secret_exists("nothing", empty) is False
    assert of_pods.should_be_found_in_logs("x", value={}) is False


@pytest.mark.cluster
def test_workloads_tell_whether_their_pods_are_there(ground, shop):
    assert deployments.deployment_available_and_healthy("checkout", shop) is True
    assert microservices.microservice_available_and_healthy("checkout", shop) is True
    assert deployments.deployment_fully_available("checkout", shop, timeout=5) is True
    assert deployments.deployment_not_fully_available("checkout", shop, timeout=1) is False
    assert deployments.deployment_available("checkout", shop, "app={name}") is False
    ground.cluster.merge_patch(DEPLOYMENTS, "checkout", shop, {"spec": {"replicas": 0}})
    ground.eventually(lambda: not ground.pods(shop))
    # Nothing where nothing shall be is not "available and healthy".
    assert deployments.deployment_available_and_healthy("checkout", shop) is False
    assert deployments.deployment_not_fully_available("checkout", shop, timeout=5) is True
    ground.stateful_set(shop)
    ground.eventually(lambda: statefulsets.statefulset_available_and_healthy("store", shop))
    assert statefulsets.statefulset_fully_available("store", shop, timeout=5) is True
    assert statefulsets.statefulset_not_fully_available("store", shop, timeout=1) is False
    ground.cluster.merge_patch(STATEFUL_SETS, "store", shop, {"spec": {"replicas": 0}})
    assert statefulsets.statefulset_not_fully_available("store", shop, timeout=10) is True


@pytest.mark.cluster
def test_a_daemon_set_tells_too(ground, shop):
    ground.daemon_set(shop)
    ground.eventually(lambda: ground.pods(shop, "app=agent"))

    def ready() -> bool:
        for pod in ground.pods(shop, "app=agent"):
            ground.make_ready(pod)
        return daemonsets.daemon_set_available_and_healthy("agent", shop)

    ground.eventually(ready)
    assert daemonsets.daemon_set_fully_available("agent", shop, timeout=5) is True
    assert daemonsets.daemon_set_partially_available("agent", shop) is True
    assert daemonsets.daemon_set_not_fully_available("agent", shop, timeout=1) is False
    spec = {"template": {"spec": {"nodeSelector": {"sloguard-test": "nowhere"}}}}
    ground.cluster.merge_patch(DAEMON_SETS, "agent", shop, {"spec": spec})
    assert daemonsets.daemon_set_available_and_healthy("other", shop) is False


@pytest.mark.cluster
def test_nodes(ground, shop):
    name = ground.node(pool=shop)
    mine = f"pool={shop}"
    assert [n["metadata"]["name"] for n in nodes.get_nodes(mine)["items"]] == [name]
    assert nodes.get_nodes(mine)["kind"] == "NodeList"
    assert nodes.nodes_ready(mine) is True
    assert nodes.nodes_ready(mine, at_least=2) is False
    assert nodes.all_nodes_must_be_ready_to_schedule(mine) is True
    assert nodes.nodes_must_be_healthy(mine) is True
    assert nodes.all_nodes_are_ok(mine) is True
    assert {"name": name, "Ready": "True"}.items() <= nodes.get_all_node_status_conditions(mine)[
        0
    ].items()
    ground.cluster.merge_patch(NODES, name, None, {"spec": {"unschedulable": True}})
    assert nodes.nodes_ready(mine) is True
    assert nodes.nodes_ready(mine, schedulable=True) is False
    pressure = [
        {"type": "Ready", "status": "True"},
        {"type": "MemoryPressure", "status": "True"},
    ]
    ground.cluster.merge_patch(
        NODES, name, None, {"status": {"conditions": pressure}}, subresource="status"
    )
    assert nodes.nodes_must_be_healthy(mine) is False
    assert nodes.verify_nodes_condition("MemoryPressure", "True", mine) is True
    assert nodes.verify_nodes_condition("MemoryPressure", False, mine) is False


@pytest.mark.cluster
def test_services_and_what_stands_behind_them(ground, shop):
    ground.service(shop)
    assert services.service_is_initialized("checkout", shop) is True
    assert microservices.service_endpoint_is_initialized("checkout", shop) is True
    assert services.service_is_initialized("checkout", shop, "app=other") is False
    assert services.service_is_initialized(ns=shop) is True
    if ground.double is not None:  # the addresses of simulated pods are nobody's business elsewhere
        ground.eventually(lambda: services.count_service_endpoints("checkout", shop) == 2)
        assert services.service_endpoints_ready("checkout", shop, at_least=2) is True
        assert services.service_endpoints_ready("checkout", shop, at_least=3) is False


@pytest.mark.cluster
def test_a_virtual_service(ground, shop):
    ground.virtual_service(shop)
    found = istio.get_virtual_service("checkout", shop, "networking.istio.io/v1alpha3")
    assert found["status"] == 200
    assert found["body"]["spec"]["hosts"] == ["checkout"]
    assert istio.get_virtual_service("nothing", shop)["status"] == 404


def test_logs(ground, shop):
    if ground.double is None:
        pytest.skip("simulated pods log nothing")
    asked: list[tuple[str, str, bool]] = []

    def log(namespace: str, pod: str, container: str, previous: bool) -> str:
        asked.append((namespace, container, previous))
        return f"2026-01-01T00:00:00Z GET /\n2026-01-01T00:00:01Z ERROR in {pod} ünd more\n"

    ground.double.log = log
    logs = of_pods.read_pod_logs(label_selector="app=checkout", ns=shop, last="10 minutes")
    assert sorted(logs) == sorted(p["metadata"]["name"] for p in ground.pods(shop))
    assert all("ünd" in text for text in logs.values())
    assert asked == [(shop, "checkout", False)] * 2
    path = next(p for m, p in ground.double.requests if "/log?" in p)
    assert "sinceSeconds=600" in path
    assert of_pods.should_be_found_in_logs("ERR.R", value=logs) is True
    assert of_pods.should_be_found_in_logs("FATAL", value=logs) is False
    one = next(iter(logs))
    assert of_pods.should_be_found_in_logs(one, value=logs) is False
    assert of_pods.should_be_found_in_logs(one, all_containers=False, value=logs) is True
    # By default the label ``name`` is looked for, as in chaosk8s.
    assert of_pods.read_pod_logs("checkout", ns=shop) == {}
    with pytest.raises(ProbeError, match="container nobody is not valid"):
        of_pods.read_pod_logs(label_selector="app=checkout", ns=shop, container_name="nobody")


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: of_pods.pods_in_conditions("a=b", []), "conditions: expected a list of mappings"),
        (lambda: of_pods.read_pod_logs("x", last="soon"), "last: 'soon' is not a duration"),
        (lambda: of_pods.should_be_found_in_logs("("), "not a regular expression"),
        (lambda: of_pods.count_pods(ns=None), "ns: expected a namespace"),
        (lambda: deployments.deployment_available(""), "expected the name of a Deployment"),
        (
            lambda: deployments.deployment_fully_available("x", timeout="1d"),
            "timeout: at most 600s",
        ),
        (lambda: of_pods.count_pods("app in checkout"), "unable to parse requirement"),
    ],
)
def test_arguments_that_make_no_sense_are_told(ground, shop, ask, said):
    with pytest.raises(ProbeError, match=re.escape(said)):
        ask()


def test_a_cluster_that_is_away_is_an_error_and_says_nothing_of_the_service(ground):
    def away(_context: str | None) -> Any:
        raise ClusterUnreachable("double does not answer") from ConnectionRefusedError()

    ambient.provide(away)
    try:
        provider = {"type": "python", "module": "sloguard.probes.pods", "func": "count_pods"}
        result = call_provider(provider, configuration={}, secrets={}, stop=_never())
        assert result.error == "ProbeError: double does not answer"
        assert result.unreachable is False
        with pytest.raises(ProbeError) as caught:
            of_pods.count_pods()
        assert not is_unreachable(caught.value)
    finally:
        ambient._provided.clear()


def test_what_the_api_forbids_is_an_error_with_its_reason(ground, shop, tmp_path):
    if ground.double is None:
        pytest.skip("the double's tokens are meant")
    from sloguard.adapters.kubernetes import KubernetesCluster
    from sloguard.adapters.kubernetes_config import KubernetesSettings

    token = ground.double.token("nobody", shop)
    config = ground.double.kubeconfig(tmp_path / "nobody", token=token)
    nobody = KubernetesCluster(KubernetesSettings(kubeconfig=config))
    ambient.provide(lambda _context: nobody)
    with pytest.raises(ProbeError, match=r'cannot list resource "pods"'):
        of_pods.count_pods(ns=shop)
    with pytest.raises(ProbeError, match="deployments"):
        deployments.deployment_fully_available("checkout", shop, timeout=5)


def test_the_secrets_say_which_context(ground):
    asked: list[str | None] = []

    def clusters(context: str | None) -> Any:
        asked.append(context)
        raise ClusterError("there is no such context")

    ambient.provide(clusters)
    try:
        secrets = {"k8s": {"KUBERNETES_CONTEXT": "east"}, "other": {"KUBERNETES_CONTEXT": "west"}}
        provider = {
            "type": "python",
            "module": "sloguard.probes.nodes",
            "func": "nodes_ready",
            "secrets": ["k8s"],
        }
        call_provider(provider, configuration={}, secrets=secrets, stop=_never())
        own = {**provider, "arguments": {"cluster": "south"}}
        call_provider(own, configuration={}, secrets=secrets, stop=_never())
        assert asked == ["east", "south"]
        with pytest.raises(ProbeError, match="credentials in secrets are not used"):
            nodes.nodes_ready(secrets={"KUBERNETES_HOST": "https://10.0.0.1"})
    finally:
        ambient._provided.clear()


def test_every_probe_is_described_and_says_which_rights_it_takes():
    entries = catalogue.catalogue()
    assert len(entries) == len(registry) > 40
    for entry in entries:
        assert entry.type == "probe"
        assert entry.summary.endswith("."), entry.name
        assert not [a.name for a in entry.arguments if not a.doc], entry.name
        assert not [a.name for a in entry.arguments if a.type == "any"], entry.name
        module = __import__(entry.module, fromlist=[entry.func])
        function = getattr(module, entry.func)
        assert inspect.signature(function).return_annotation
        needs = needs_of(function)
        if entry.name == "pods.should_be_found_in_logs":
            assert needs is None
            continue
        given = {"ns": "shop", "name": "x", "virtual_service_name": "x"}
        found = [str(need) for need in needs(Call.of(function, given))]
        assert found, entry.name
        json.dumps(entry.as_json())


def test_the_rights_are_those_that_are_used(ground, shop):
    """Each verb that a probe uses is one that it declares."""
    if ground.double is None:
        pytest.skip("the double tells what was asked")
    ground.service(shop)
    ground.virtual_service(shop)
    given = {
        "ns": shop,
        "name": "checkout",
        "virtual_service_name": "checkout",
        "conditions": [{"type": "Ready"}],
        "timeout": 1,
    }
    for entry in catalogue.catalogue():
        function = getattr(__import__(entry.module, fromlist=[entry.func]), entry.func)
        known = inspect.signature(function).parameters
        arguments = {k: v for k, v in given.items() if k in known}
        needs = needs_of(function)
        # Those that wait are the same for all kinds; here only the Deployment is there.
        waits = "timeout" in known and "deployment_" not in entry.func
        if needs is None or waits:
            continue
        if entry.func.startswith("read_"):
            arguments = {"ns": shop, "label_selector": "app=checkout"}
        first = len(ground.double.requests)
        function(**arguments)
        used = {_verb(path) for _, path in ground.double.requests[first:] if _verb(path)}
        declared = {
            (n.verb, n.resource.plural, n.subresource) for n in needs(Call.of(function, arguments))
        }
        assert used <= declared, entry.name
        # Those that wait use one more, if there is something to wait for.
        assert {d for d in declared if d[0] != "watch"} <= used, entry.name


def _verb(path: str) -> tuple[str, str, str] | None:
    bare, _, query = path.partition("?")
    parts = bare.strip("/").split("/")
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    if not rest:
        return None  # discovery
    if rest[0] == "namespaces" and len(rest) > 2:
        rest = rest[2:]
    if len(rest) > 2:
        return "get", rest[0], rest[2]
    if "watch=" in query:
        return "watch", rest[0], ""
    return ("get" if len(rest) == 2 else "list"), rest[0], ""


def _never() -> Any:
    import threading

    return threading.Event()
