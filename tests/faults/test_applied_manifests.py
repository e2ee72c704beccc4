"""Any manifest as a fault, on the double or a real cluster: custom kinds, built-in ones, made and changed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sloguard.engine.recover_cluster import recover_cluster
from sloguard.faults.base import Context, FaultError, find_fault
from sloguard.faults.manifests import read_manifests
from sloguard.faults.undo_records import ANNOTATION
from sloguard.faults.waiting_for import missing
from sloguard.ports import ClusterForbidden, ClusterNotFound, Resource
from sloguard.ports.resources import CONFIG_MAPS, DEPLOYMENTS, NAMESPACES, NETWORK_POLICIES
from tests.support.cluster_faults import Broken, clusters, survives_kill_anywhere
from tests.support.clusters import Ground, essence
from tests.support.mortals import Mortals

pytestmark = pytest.mark.cluster

APPLY = "kubernetes.apply"
SECRETS = Resource("", "v1", "secrets", "Secret")
SPEC = {
    "type": "object",
    "required": ["action"],
    "properties": {
        "action": {"type": "string", "enum": ["delay", "loss"]},
        "mode": {"type": "string", "default": "one"},
        "duration": {"type": "string"},
        "targets": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "share": {"type": "integer"}},
            },
        },
    },
}


@pytest.fixture(scope="module")
def mortals() -> Iterator[Mortals]:
    with Mortals() as made:
        yield made


@pytest.fixture
def chaos(ground: Ground) -> Resource:
    """A kind as chaos tools bring it."""
    return ground.definition("NetworkTrouble", SPEC)


@pytest.fixture
def shop(ground: Ground) -> str:
    return ground.namespace()


def trouble(chaos: Resource, name: str = "slow", **spec):
    about = {"name": name, "labels": {"team": "chaos"}}
    body = {"apiVersion": chaos.api_version, "kind": chaos.kind, "metadata": about}
    return {**body, "spec": {"action": "delay", **spec}}


def settings(name: str = "settings", **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def seen(ground, namespace, *kinds):
    """What there is of some kinds, and whatever sloguard keeps beside it."""
    found = {}
    for kind in (*kinds, CONFIG_MAPS):
        for obj in ground.cluster.list(kind, namespace):
            name = obj["metadata"]["name"]
            if name != "kube-root-ca.crt":
                found[kind.kind, name] = (essence(obj), obj.get("data"))
    return found


def test_a_custom_object_is_made_waited_for_and_gone_again(ground, chaos, shop):
    before = seen(ground, shop, chaos)
    broken = Broken(
        ground,
        APPLY,
        {
            "manifest": trouble(chaos),
            "ns": shop,
            "wait_for": ["condition=AllInjected", "jsonpath={.status.count}=2"],
            "timeout": 60,
        },
    )
    assert broken.targets == [f"{chaos.kind} {shop}/slow"]
    assert broken.plan.summary == "create 1 object"
    assert broken.plan.injections[0].lock == f"namespace:{ground.cluster.name}/{shop}"
    assert seen(ground, shop, chaos) == before

    def controller():
        ground.eventually(lambda: (chaos.kind, "slow") in seen(ground, shop, chaos))
        status = {"count": 2, "conditions": [{"type": "AllInjected", "status": "True"}]}
        ground.cluster.merge_patch(chaos, "slow", shop, {"status": status}, subresource="status")

    thread = threading.Thread(target=controller)
    thread.start()
    broken.inject()
    thread.join()
    (output,) = broken.outputs
    assert output["how"] == "created"
    assert len(output["waited_for"]) == 2
    found = ground.cluster.get(chaos, "slow", shop)
    assert found["spec"] == {"action": "delay", "mode": "one"}
    assert found["metadata"]["labels"] == {"team": "chaos", "sloguard.io/undo": "created"}
    assert broken.undo() == [f"deleted {chaos.kind} {shop}/slow"]
    assert seen(ground, shop, chaos) == before
    assert broken.undo() == [""]


def test_what_does_not_come_is_told_with_what_there_is(ground, chaos, shop):
    wait = {"wait_for": {chaos.kind: "condition=AllInjected"}, "timeout": 0.2}
    broken = Broken(ground, APPLY, {"manifest": trouble(chaos), "ns": shop, **wait})
    with pytest.raises(FaultError, match=r"slow after 0\.2s: it has no condition AllInjected yet"):
        broken.inject()
    assert broken.undo() == [f"deleted {chaos.kind} {shop}/slow"]


def test_what_is_there_is_changed_and_put_back(ground, chaos, shop):
    ground.cluster.create(
        CONFIG_MAPS,
        {
            **settings(a="1", b="2"),
            "metadata": {"name": "settings", "namespace": shop, "labels": {"team": "shop"}},
        },
    )
    targets = [{"name": "x", "share": 1}, {"name": "y", "share": 2}]
    ground.create(chaos, shop, "slow", {"action": "loss", "targets": targets})
    before = seen(ground, shop, chaos)
    manifest = [
        {
            **settings(a="other", b=None, c="3"),
            "metadata": {
                "name": "settings",
                "labels": {"new": "x"},
                "annotations": {"why": "chaos"},
            },
        },
        trouble(chaos, duration="3s", targets=[targets[0], {"name": "y", "share": 9}]),
    ]
    broken = Broken(ground, APPLY, {"manifest": manifest, "ns": shop})
    assert broken.plan.summary == "change 2 objects"
    broken.inject()
    changed = ground.cluster.get(CONFIG_MAPS, "settings", shop)
    assert changed["data"] == {"a": "other", "c": "3"}
    assert changed["metadata"]["labels"] == {"team": "shop", "new": "x"}
    spec = ground.cluster.get(chaos, "slow", shop)["spec"]
    assert (spec["action"], spec["duration"], spec["targets"][1]["share"]) == ("delay", "3s", 9)
    assert broken.undo() == [
        f"restored {chaos.kind} {shop}/slow",
        f"restored ConfigMap {shop}/settings",
    ]
    assert seen(ground, shop, chaos) == before
    assert broken.undo() == ["", ""]


def test_what_the_server_adds_by_itself_goes_too(ground, shop):
    ground.nodes(1)
    ground.deployment(shop, replicas=1)
    before = seen(ground, shop, DEPLOYMENTS)
    spec = ground.cluster.get(DEPLOYMENTS, "checkout", shop)["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    more = {"name": "sidecar", "image": "example.invalid/sidecar:1", "ports": [{"containerPort": 1}]}  # fmt: skip
    template = {"spec": {"containers": [container, more], "terminationGracePeriodSeconds": 1}}
    manifest = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "checkout"}, "spec": {"template": template}}  # fmt: skip
    broken = Broken(ground, APPLY, {"manifest": manifest, "ns": shop}).inject()
    pod = ground.cluster.get(DEPLOYMENTS, "checkout", shop)["spec"]["template"]["spec"]
    assert pod["containers"][1]["terminationMessagePolicy"] == "File"
    broken.undo()
    assert seen(ground, shop, DEPLOYMENTS) == before


def test_what_others_change_meanwhile_is_kept(ground, chaos, shop):
    ground.create(chaos, shop, "slow", {"action": "loss", "duration": "1s"})
    broken = Broken(ground, APPLY, {"manifest": trouble(chaos, duration="9s"), "ns": shop}).inject()
    change = {"metadata": {"labels": {"x": "y"}}, "spec": {"duration": "5s", "mode": "two"}}
    ground.cluster.merge_patch(chaos, "slow", shop, change)
    broken.undo()
    found = ground.cluster.get(chaos, "slow", shop)
    assert found["spec"] == {"action": "loss", "duration": "5s", "mode": "two"}
    assert found["metadata"]["labels"] == {"x": "y"}
    assert ANNOTATION not in found["metadata"].get("annotations", {})


def test_what_is_as_it_is_wanted_is_spared(ground, chaos, shop):
    ground.cluster.create(CONFIG_MAPS, {**settings(a="1"), "metadata": {"name": "settings", "namespace": shop}})  # fmt: skip
    both = [settings(a="1"), trouble(chaos)]
    plan = Broken(ground, APPLY, {"manifest": both, "ns": shop}).plan
    assert [i.target for i in plan.injections] == [f"{chaos.kind} {shop}/slow"]
    assert plan.spared == (
        (f"ConfigMap {shop}/settings", "it is as the manifest wants it already"),
    )
    with pytest.raises(FaultError, match="all of it is there already, as it is wanted"):
        Broken(ground, APPLY, {"manifest": settings(a="1"), "ns": shop})


def test_a_finalizer_that_nobody_takes_away_is_told_and_waited_for(ground, chaos, shop):
    body = trouble(chaos)
    body["metadata"]["finalizers"] = ["example.com/records"]
    broken = Broken(ground, APPLY, {"manifest": body, "ns": shop}).inject()
    broken.context.stop.set()
    with pytest.raises(
        FaultError,
        match=r"is being deleted, but is still there after 0s: it waits for its finalizers? example\.com/records.*",
    ):
        broken.undo()
    # Even so the way back is known to the cluster alone.
    ground.cluster.merge_patch(chaos, "slow", shop, {"metadata": {"finalizers": None}})
    ground.eventually(lambda: seen(ground, shop, chaos).keys() != {(chaos.kind, "slow")})
    told = [t for t in recover_cluster(clusters(ground)) if shop in t.target]
    assert {t.status for t in told} <= {"undone", "nothing-to-undo"}
    assert seen(ground, shop, chaos) == {}


def test_what_somebody_makes_after_the_plan_is_not_touched(ground, chaos, shop):
    broken = Broken(ground, APPLY, {"manifest": trouble(chaos), "ns": shop})
    ground.create(chaos, shop, "slow", {"action": "loss"})
    before = seen(ground, shop, chaos)
    with pytest.raises(FaultError, match="was made by somebody else since this was planned"):
        broken.inject()
    assert broken.undo() == [""]
    assert seen(ground, shop, chaos) == before


def test_what_was_made_anew_is_not_touched(ground, chaos, shop):
    ground.create(chaos, shop, "slow", {"action": "loss"})
    broken = Broken(ground, APPLY, {"manifest": trouble(chaos), "ns": shop})
    ground.cluster.delete(chaos, "slow", shop)
    ground.create(chaos, shop, "slow", {"action": "loss"})
    before = seen(ground, shop, chaos)
    with pytest.raises(FaultError, match="another one than was planned"):
        broken.inject()
    broken.undo()
    assert seen(ground, shop, chaos) == before


def test_two_on_one_object_come_undone_in_any_order(ground, chaos, shop):
    ground.create(chaos, shop, "slow", {"action": "loss", "duration": "1s"})
    before = seen(ground, shop, chaos)
    for order in ((0, 1), (1, 0)):
        one = Broken(ground, APPLY, {"manifest": trouble(chaos, duration="2s"), "ns": shop})
        one.inject()
        two = Broken(ground, APPLY, {"manifest": trouble(chaos, duration="3s"), "ns": shop})
        two.inject()
        for index in order:
            (one, two)[index].undo()
        assert seen(ground, shop, chaos) == before, order


def test_a_namespace_and_what_is_in_it(ground, shop):
    name = f"{shop}-new"
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    inside = {**settings(a="1"), "metadata": {"name": "settings", "namespace": name}}
    broken = Broken(ground, APPLY, {"manifest": [space, inside]})
    assert {i.lock for i in broken.plan.injections} == {
        f"namespace:{ground.cluster.name}/{ground.cluster.own_namespace}"
    }
    broken.inject()
    assert ground.cluster.get(CONFIG_MAPS, "settings", name)["data"] == {"a": "1"}
    broken.undo()
    with pytest.raises(ClusterNotFound):
        ground.cluster.get(NAMESPACES, name)


def test_what_belongs_to_what_was_made_goes_with_it(ground, shop):
    ground.nodes(1)
    pod = {"containers": [{"name": "c", "image": "example.invalid/c:1"}]}
    spec = {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "rival"}},
        "template": {"metadata": {"labels": {"app": "rival"}}, "spec": pod},
    }
    manifest = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "rival"}, "spec": spec}  # fmt: skip
    before = seen(ground, shop, DEPLOYMENTS)
    broken = Broken(ground, APPLY, {"manifest": manifest, "ns": shop}).inject()
    ground.ready_pods(shop, "app=rival", 2)
    broken.undo()
    assert seen(ground, shop, DEPLOYMENTS) == before
    assert ground.pods(shop) == ground.replica_sets(shop) == []


def test_objects_that_are_in_no_namespace(ground):
    kind = ground.definition("ZoneTrouble", SPEC, namespaced=False)
    broken = Broken(ground, APPLY, {"manifest": trouble(kind)}).inject()
    assert ground.cluster.get(kind, "slow")["spec"]["action"] == "delay"
    told = [t for t in recover_cluster(clusters(ground)) if t.fault == APPLY]
    assert "undone" in {t.status for t in told}
    assert ground.cluster.list(kind) == []
    assert broken.undo() == [""]


def test_recovery_from_the_cluster_alone(ground, chaos, shop):
    ground.create(chaos, shop, "theirs", {"action": "loss"})
    policy = {"podSelector": {}, "policyTypes": ["Ingress"]}
    ground.create(NETWORK_POLICIES, shop, "theirs", policy)
    kinds = (chaos, NETWORK_POLICIES)
    before = seen(ground, shop, *kinds)
    manifest = [
        trouble(chaos),
        trouble(chaos, "theirs", duration="4s"),
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "theirs"},
            "spec": {"ingress": [{}]},
        },
    ]
    Broken(ground, APPLY, {"manifest": manifest, "ns": shop}).inject()
    told = [t for t in recover_cluster(clusters(ground)) if shop in t.target]
    assert {t.fault for t in told} == {APPLY}
    assert [t.status for t in told].count("undone") == 3
    assert seen(ground, shop, *kinds) == before


def test_nothing_of_a_manifest_gets_into_the_ledger(ground, shop):
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "token"}, "stringData": {"t": "hunter2"}}  # fmt: skip
    old = {**body, "metadata": {"name": "token", "namespace": shop}, "stringData": {"t": "old-hunter"}}  # fmt: skip
    ground.cluster.create(SECRETS, old)
    before = ground.cluster.get(SECRETS, "token", shop)["data"]
    broken = Broken(ground, APPLY, {"manifest": body, "ns": shop}).inject()
    assert ground.cluster.get(SECRETS, "token", shop)["data"] != before
    kept = json.dumps(broken.records)
    kept += json.dumps(ground.cluster.list(CONFIG_MAPS, shop, labels="sloguard.io/undo"))
    assert not any(word in kept for word in ("hunter", "aHVudGVyMg", "b2xkLWh1bnRlcg"))
    broken.undo()
    assert ground.cluster.get(SECRETS, "token", shop)["data"] == before


def test_what_opts_out_is_not_changed(ground, chaos, shop):
    ground.create(chaos, shop, "slow", {"action": "loss"}, annotations={"sloguard.io/enabled": "false"})  # fmt: skip
    with pytest.raises(FaultError, match="may not be changed: it opts out"):
        Broken(ground, APPLY, {"manifest": trouble(chaos), "ns": shop})


@pytest.mark.parametrize(
    ("manifest", "problem"),
    [
        ("nowhere.yaml", r"manifest: .*nowhere\.yaml"),
        (7, "manifest: expected a mapping, a YAML text or the path of a file, found 7"),
        ([], "there is no object in it"),
        ("a: [1", "manifest"),
        ({"kind": "Pod"}, "manifest: apiVersion: expected a text, found None"),
        ({"apiVersion": "v1", "kind": "Pod"}, "manifest: metadata: expected a mapping"),
        ({"apiVersion": "v1", "kind": "Pod", "metadata": {}}, "metadata.name: expected a text"),
        ([settings(), settings()], r"manifest\[1\]: ConfigMap settings is in manifest\[0\] already"),
        ({"apiVersion": "chaos-mesh.example/v1", "kind": "X", "metadata": {"name": "x"}}, "does not serve chaos-mesh.example/v1"),
        ({"apiVersion": "v1", "kind": "Nothing", "metadata": {"name": "x"}}, "serves no Nothing in v1"),
        ({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x", "namespace": "y"}}, "a Namespace is in no namespace"),
        ({**settings(), "metadata": {"name": "x", "labels": {"sloguard.io/undo": "x"}}}, "is sloguard's own"),
        ({**settings(), "metadata": {"name": "x", "namespace": "nowhere-at-all"}}, "cannot be created"),
    ],
)  # fmt: skip
def test_what_cannot_be_applied_is_said_before(ground, shop, manifest, problem):
    with pytest.raises(FaultError, match=problem):
        Broken(ground, APPLY, {"manifest": manifest, "ns": shop})


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"actionn": "delay"}, "unknown field"),
        ({"action": "explode"}, "cannot be created"),
        ({"duration": 5}, "cannot be created"),
    ],
)
def test_what_does_not_fit_the_schema_is_said_before(ground, chaos, shop, spec, problem):
    with pytest.raises(FaultError, match=problem):
        Broken(ground, APPLY, {"manifest": trouble(chaos, **spec), "ns": shop})
    assert seen(ground, shop, chaos) == {}
    ground.create(chaos, shop, "slow", {"action": "loss"})
    with pytest.raises(FaultError, match="cannot be changed so"):
        Broken(ground, APPLY, {"manifest": trouble(chaos, **spec), "ns": shop})


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"wait_for": "ready"}, "wait_for: expected condition=TYPE"),
        ({"wait_for": {"Pod": "condition=Ready"}}, "no manifest is of the kind Pod, but ConfigMap"),
        ({"wait_for": 3}, "wait_for: expected a text such as condition=Ready"),
        ({"wait_for": "jsonpath={.a[}"}, "is not a JSON path"),
        ({"timeout": 0}, "timeout: must be above 0"),
        ({"ns": "shop-*"}, "ns: expected the name of one namespace"),
    ],
)
def test_arguments_that_do_not_fit_are_said_before(ground, arguments, problem):
    with pytest.raises(FaultError, match=problem):
        Broken(ground, APPLY, {"manifest": settings(), **arguments})


def test_a_way_back_that_is_too_long_is_said_before(ground, shop):
    old = {**settings(a="x" * 300_000), "metadata": {"name": "settings", "namespace": shop}}
    ground.cluster.create(CONFIG_MAPS, old)
    with pytest.raises(FaultError, match="does not fit into its annotations"):
        Broken(ground, APPLY, {"manifest": settings(a="y"), "ns": shop})


def test_files_texts_and_lists(tmp_path: Path):
    one, two = json.dumps(settings("one")), json.dumps(settings("two"))
    (tmp_path / "both.yaml").write_text(f"# a comment\n---\n{one}\n--- # next\n{two}\n---\n\n...\n")
    found = read_manifests(["both.yaml", settings("three")], str(tmp_path))
    assert [m.name for m in found] == ["one", "two", "three"]
    assert found[1].where == f"{tmp_path}/both.yaml:5"
    listed = {"apiVersion": "v1", "kind": "List", "items": [settings("a"), settings("b")]}
    assert [m.name for m in read_manifests(listed)] == ["a", "b"]
    text = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  generateName: made-\ndata: {at: 2026-01-02}"
    )
    (made,) = read_manifests(text)
    assert made.name.startswith("made-")
    assert len(made.name) == 13
    assert made.body["data"] == {"at": "2026-01-02"}
    (tmp_path / "both.yaml").write_text("---\n\njust a text\n")
    with pytest.raises(FaultError, match=r"both\.yaml:3.*expected a mapping"):
        read_manifests("both.yaml", str(tmp_path))


def test_a_file_beside_the_experiment(ground, shop, tmp_path):
    (tmp_path / "settings.yaml").write_text(json.dumps(settings(a="1")))
    context = Context(cluster=clusters(ground), folder=str(tmp_path))
    plan = find_fault(APPLY).plan({"manifest": "settings.yaml", "ns": shop}, context)
    assert [i.target for i in plan.injections] == [f"ConfigMap {shop}/settings"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("condition=Ready", ""),
        ("condition=ready=true", ""),
        ("condition=Ready=False", "its condition Ready is True, not False (Why: so it is)"),
        ("condition=Old", "its condition Old is of an older generation"),
        ("condition=None", "it has no condition None yet"),
        ("jsonpath={.status.phase}=Running", ""),
        ("jsonpath='{.status.phase}'=Running", ""),
        ("jsonpath={.status.phase}", ""),
        ("jsonpath=.status.count=2", ""),
        ("jsonpath={.status.count}=3", "its $.status.count is 2, not 3"),
        ("jsonpath={.status.on}=true", ""),
        ("jsonpath={.status.conditions[0].type}=Ready", ""),
        ("jsonpath={.status.nothing}", "it has no $.status.nothing yet"),
    ],
)
def test_what_is_waited_for(text, reason):
    ready = {"type": "Ready", "status": "True", "reason": "Why", "message": "so it is"}
    old = {"type": "Old", "status": "True", "observedGeneration": 1}
    status = {"phase": "Running", "count": 2, "on": True, "conditions": [ready, old]}
    assert missing({"metadata": {"generation": 2}, "status": status}, text) == reason


def test_a_lost_answer_is_looked_for(ground, chaos, shop):
    trouble_on_the_way = ground.passage.trouble
    for what in ("lost-after", "error", "busy"):
        broken = Broken(ground, APPLY, {"manifest": trouble(chaos), "ns": shop})
        trouble_on_the_way.add(what, match=lambda r: r.method == "POST", skip=1)
        if what == "error":
            with pytest.raises(ClusterNotFound):
                broken.inject()
        else:
            broken.inject()
        broken.undo()
        assert seen(ground, shop, chaos) == {}


def test_without_the_right_to_do_it(ground, chaos, shop):
    cluster = ground.as_somebody("nobody")
    context = Context(cluster=lambda _context: cluster)
    with pytest.raises((FaultError, ClusterForbidden), match="cannot get resource"):
        find_fault(APPLY).plan({"manifest": trouble(chaos), "ns": shop}, context)


@pytest.mark.parametrize("there", [False, True])
def test_killed_between_any_two_calls(ground, chaos, shop, tmp_path, mortals, there):
    if there:
        ground.create(chaos, shop, "slow", {"action": "loss"})
    arguments = {"manifest": trouble(chaos, duration="1s"), "ns": shop}
    survives_kill_anywhere(
        ground, tmp_path, mortals, APPLY, arguments, lambda: seen(ground, shop, chaos)
    )
