"""The adapter, over the double or over a real cluster."""

from __future__ import annotations

import threading
import uuid

import pytest

from sloguard.ports import (
    ClusterBadRequest,
    ClusterConflict,
    ClusterDeadline,
    ClusterExists,
    ClusterInvalid,
    ClusterNotFound,
    Resource,
    TooManyDisruptions,
)
from sloguard.ports.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    LEASES,
    NAMESPACES,
    NODES,
    PODS,
    STATEFUL_SETS,
)
from tests.support.clusters import Ground, is_ready
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.cluster


def config_map(ground: Ground, namespace: str, name: str, **about):
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, **about},
    }
    return ground.cluster.create(CONFIG_MAPS, {**body, "data": {"a": "1"}})


def test_a_list_is_complete_and_each_object_says_what_it_is(ground):
    namespace = ground.namespace()
    for index in range(7):
        config_map(ground, namespace, f"m{index}", labels={"part": "odd" if index % 2 else "even"})
    ground.cluster._lists._page = 3
    found = ground.cluster.list(CONFIG_MAPS, namespace, labels="part")
    assert [o["metadata"]["name"] for o in found] == [f"m{index}" for index in range(7)]
    assert {(o["apiVersion"], o["kind"]) for o in found} == {("v1", "ConfigMap")}
    odd = ground.cluster.list(CONFIG_MAPS, namespace, labels="part in (odd),part!=even")
    assert [o["metadata"]["name"] for o in odd] == ["m1", "m3", "m5"]
    one = ground.cluster.list(CONFIG_MAPS, None, fields="metadata.name=m4", labels="part=even")
    assert [o["metadata"]["namespace"] for o in one] == [namespace]


def test_a_selector_that_the_server_cannot_read_is_a_bad_request(cluster):
    with pytest.raises(ClusterBadRequest, match="unable to parse requirement"):
        cluster.list(PODS, labels="app in checkout")
    with pytest.raises(ClusterBadRequest, match=r"field label not supported: spec\.bogus"):
        cluster.list(PODS, fields="spec.bogus=1")


def test_what_is_not_there_is_not_found(ground):
    namespace = ground.namespace()
    with pytest.raises(ClusterNotFound, match='pods "nothing" not found'):
        ground.cluster.get(PODS, "nothing", namespace)
    with pytest.raises(ClusterNotFound):
        ground.cluster.get(
            Resource("chaos-mesh.example", "v1alpha1", "networkchaos", "NetworkChaos"),
            "x",
            namespace,
        )


def test_creating_twice_says_that_it_exists(ground):
    namespace = ground.namespace()
    config_map(ground, namespace, "twice")
    with pytest.raises(ClusterExists):
        config_map(ground, namespace, "twice")


def test_a_dry_run_leaves_nothing(ground):
    namespace = ground.namespace()
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "dry", "namespace": namespace},
    }
    ground.cluster.create(CONFIG_MAPS, body, dry_run=True)
    with pytest.raises(ClusterNotFound):
        ground.cluster.get(CONFIG_MAPS, "dry", namespace)


def test_a_patch_is_guarded_by_the_version(ground):
    namespace = ground.namespace()
    made = config_map(ground, namespace, "guarded")
    version = made["metadata"]["resourceVersion"]
    guard = {"op": "test", "path": "/metadata/resourceVersion", "value": version}
    add = {"op": "add", "path": "/data/b", "value": "2"}
    changed = ground.cluster.json_patch(CONFIG_MAPS, "guarded", namespace, [guard, add])
    assert changed["data"] == {"a": "1", "b": "2"}
    with pytest.raises(ClusterConflict):
        ground.cluster.json_patch(CONFIG_MAPS, "guarded", namespace, [guard, add])
    stale = {"metadata": {"resourceVersion": version}, "data": {"b": None}}
    with pytest.raises(ClusterConflict):
        ground.cluster.merge_patch(CONFIG_MAPS, "guarded", namespace, stale)
    with pytest.raises(ClusterConflict):
        ground.cluster.replace(CONFIG_MAPS, {**changed, "metadata": made["metadata"]})
    assert ground.cluster.get(CONFIG_MAPS, "guarded", namespace)["data"] == {"a": "1", "b": "2"}


def test_a_merge_patch_replaces_lists_whole(ground):
    namespace = ground.namespace()
    ground.virtual_service(namespace)
    http = [{"route": [{"destination": {"host": "other"}}]}]
    kind = ground.virtual_services()
    changed = ground.cluster.merge_patch(kind, "checkout", namespace, {"spec": {"http": http}})
    assert changed["spec"] == {"hosts": ["checkout"], "http": http}


def test_the_schema_refuses_a_wrong_type_and_says_where(ground):
    namespace = ground.namespace()
    ground.virtual_service(namespace)
    wrong = {"spec": {"http": [{"fault": {"abort": {"httpStatus": "five hundred"}}}]}}
    with pytest.raises(ClusterInvalid) as refused:
        ground.cluster.merge_patch(ground.virtual_services(), "checkout", namespace, wrong)
    assert refused.value.causes[0]["field"] == "spec.http[0].fault.abort.httpStatus"


def test_a_delete_is_guarded_by_the_uid(ground):
    namespace = ground.namespace()
    made = config_map(ground, namespace, "other")
    with pytest.raises(ClusterConflict, match="UID in the precondition"):
        ground.cluster.delete(CONFIG_MAPS, "other", namespace, uid=str(uuid.uuid4()))
    ground.cluster.delete(CONFIG_MAPS, "other", namespace, uid=made["metadata"]["uid"])
    with pytest.raises(ClusterNotFound):
        ground.cluster.delete(CONFIG_MAPS, "other", namespace)


def test_deleted_pods_come_back_under_other_names(ground):
    ground.nodes(2)
    namespace = ground.namespace()
    ground.deployment(namespace, replicas=2)
    before = {p["metadata"]["name"]: p["metadata"]["uid"] for p in ground.pods(namespace)}
    victim = sorted(before)[0]
    ground.cluster.delete(PODS, victim, namespace, uid=before[victim], grace=0)
    after = ground.ready_pods(namespace, "app=checkout", 2)
    assert victim not in {p["metadata"]["name"] for p in after}
    assert len({p["metadata"]["uid"] for p in after} - set(before.values())) == 1


def test_pods_of_a_stateful_set_come_back_under_their_names(ground):
    ground.nodes(1)
    namespace = ground.namespace()
    ground.stateful_set(namespace, replicas=2)
    old = ground.cluster.get(PODS, "store-0", namespace)["metadata"]["uid"]
    ground.cluster.delete(PODS, "store-0", namespace, grace=0)

    def back():
        return any(
            p["metadata"]["name"] == "store-0" and p["metadata"]["uid"] != old
            for p in ground.pods(namespace)
        )

    ground.eventually(back)
    assert ground.cluster.scale_of(STATEFUL_SETS, "store", namespace)["spec"]["replicas"] == 2


def test_an_eviction_obeys_the_budget(ground):
    ground.nodes(2)
    namespace = ground.namespace()
    ground.deployment(namespace, replicas=2)
    ground.budget(namespace, minAvailable=2)
    pod = ground.pods(namespace)[0]["metadata"]
    with pytest.raises(TooManyDisruptions, match="needs 2 healthy pods and has 2 currently"):
        ground.cluster.evict(pod["name"], namespace, uid=pod["uid"])
    from sloguard.ports.resources import BUDGETS

    ground.cluster.merge_patch(BUDGETS, "checkout", namespace, {"spec": {"minAvailable": 1}})
    ground.eventually(
        lambda: (
            ground.cluster.get(BUDGETS, "checkout", namespace)["status"]["disruptionsAllowed"] == 1
        )
    )
    ground.cluster.evict(pod["name"], namespace, uid=pod["uid"], grace=0)
    ground.eventually(
        lambda: pod["name"] not in {p["metadata"]["name"] for p in ground.pods(namespace)}
    )


def test_scaling_by_the_subresource(ground):
    ground.nodes(1)
    namespace = ground.namespace()
    ground.deployment(namespace, replicas=2)
    ground.cluster.merge_patch(
        DEPLOYMENTS, "checkout", namespace, {"spec": {"replicas": 0}}, subresource="scale"
    )
    ground.eventually(lambda: not ground.pods(namespace))
    # A count of zero is left out by the server.
    assert not ground.cluster.scale_of(DEPLOYMENTS, "checkout", namespace)["spec"].get("replicas")


def test_a_cordon_is_followed_by_its_taint(ground):
    name = ground.node()
    ground.cluster.merge_patch(NODES, name, None, {"spec": {"unschedulable": True}})
    ground.eventually(lambda: ground.cluster.get(NODES, name)["spec"].get("taints"))
    ground.cluster.merge_patch(NODES, name, None, {"spec": {"unschedulable": None}})
    ground.eventually(lambda: not ground.cluster.get(NODES, name)["spec"].get("taints"))


def test_endpoints_follow_pods_that_are_ready(ground):
    ground.nodes(1)
    namespace = ground.namespace()
    ground.service(namespace)
    ground.deployment(namespace, replicas=1)

    def ready():
        slices = ground.cluster.list(ENDPOINT_SLICES, namespace)
        return sum(e["conditions"].get("ready") for s in slices for e in s.get("endpoints") or [])

    ground.eventually(lambda: ready() == 1)


def test_a_namespace_that_is_deleted_takes_all_with_it(ground):
    namespace = ground.namespace()
    config_map(ground, namespace, "gone")
    ground.cluster.delete(NAMESPACES, namespace)

    def all_gone() -> bool:
        # The namespace itself may stay for minutes, while the cluster asks every API that it knows.
        left = [m["metadata"]["name"] for m in ground.cluster.list(CONFIG_MAPS, namespace)]
        there = [n for n in ground.cluster.list(NAMESPACES) if n["metadata"]["name"] == namespace]
        return "gone" not in left and all(n["metadata"].get("deletionTimestamp") for n in there)

    ground.eventually(all_gone, patience=180)


def test_a_watch_ends_when_what_is_waited_for_is_there(ground):
    namespace = ground.namespace()
    timer = threading.Timer(0.1, lambda: config_map(ground, namespace, "late"))
    timer.start()
    found = ground.cluster.watch(
        CONFIG_MAPS,
        namespace,
        deadline=PATIENCE,
        until=lambda objects: (namespace, "late") in objects,
    )
    timer.join()
    assert found[(namespace, "late")]["data"] == {"a": "1"}


def test_a_watch_ends_at_its_deadline_and_when_it_is_stopped(ground):
    namespace = ground.namespace()
    with pytest.raises(ClusterDeadline, match=r"did not come within 0\.2s"):
        ground.cluster.watch(CONFIG_MAPS, namespace, deadline=0.2, until=lambda _objects: False)
    stop = threading.Event()
    stop.set()
    ground.cluster.watch(
        CONFIG_MAPS, namespace, deadline=PATIENCE, stop=stop, until=lambda _objects: False
    )


def test_what_is_served_is_discovered(cluster):
    versions = cluster.versions("networking.istio.io")
    assert set(versions) <= {"v1", "v1beta1", "v1alpha3"}
    assert cluster.versions("nothing.example") == ()
    found = cluster.resource("apps/v1", "Deployment")
    assert found == DEPLOYMENTS
    with pytest.raises(ClusterNotFound, match="serves no Nothing in apps/v1"):
        cluster.resource("apps/v1", "Nothing")
    with pytest.raises(ClusterNotFound, match="is its definition installed"):
        cluster.resource("nothing.example/v1", "Nothing")


def test_the_administrator_may(cluster):
    assert cluster.allowed("delete", PODS, "default").allowed
    assert cluster.allowed("create", PODS, None, subresource="eviction").allowed


def test_a_lease_changes_hands_only_by_its_version(ground):
    namespace = ground.namespace()
    spec = {"holderIdentity": "a", "leaseDurationSeconds": 15}
    lease = ground.create(LEASES, namespace, "lock", spec)
    taken = ground.cluster.replace(
        LEASES, {**lease, "spec": {**lease["spec"], "holderIdentity": "b"}}
    )
    assert taken["spec"]["holderIdentity"] == "b"
    with pytest.raises(ClusterConflict):
        ground.cluster.replace(LEASES, {**lease, "spec": {**lease["spec"], "holderIdentity": "c"}})


def test_the_clock_of_the_server_is_known(cluster):
    import time

    cluster.versions("apps")
    assert abs(cluster.now() - time.time()) < 5


def test_pods_are_ready_only_when_somebody_says_so(ground):
    ground.nodes(1)
    namespace = ground.namespace()
    ground.deployment(namespace, replicas=1)
    assert all(is_ready(pod) for pod in ground.pods(namespace))
