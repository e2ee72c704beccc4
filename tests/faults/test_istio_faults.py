"""Faults of Istio: planned, injected, seen on the cluster, undone, equal to before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sloguard.engine.recover_cluster import recover_cluster
from sloguard.faults.base import FaultError
from sloguard.faults.undo_records import ANNOTATION
from tests.fakes.kubernetes.server import KubernetesDouble
from tests.support.cluster_faults import Broken, clusters, survives_kill_anywhere
from tests.support.clusters import Ground, essence
from tests.support.mortals import Mortals

pytestmark = pytest.mark.cluster

ABORT, DELAY, BOTH = (
    "istio.add_abort_fault",
    "istio.add_delay_fault",
    "istio.add_abort_and_delay_fault",
)
FOREIGN = {"delay": {"fixedDelay": "1s", "percentage": {"value": 3}}}


def to(host, subset=None):
    target = {"host": host, **({"subset": subset} if subset else {})}
    return {"route": [{"destination": target}]}


@pytest.fixture
def shop(ground: Ground) -> str:
    """A namespace with a VirtualService that has several routes, one of them somebody else's fault."""
    namespace = ground.namespace()
    http = [
        {"name": "v2", "match": [{"headers": {"x": {"exact": "1"}}}], **to("checkout", "v2")},
        {"fault": FOREIGN, "retries": {"attempts": 3}, **to("checkout", "primary")},
        {"redirect": {"uri": "/new"}},
    ]
    ground.virtual_service(
        namespace, http=http, annotations={"team": "shop"}, labels={"app": "checkout"}
    )
    return namespace


@pytest.fixture(scope="module")
def mortals() -> Iterator[Mortals]:
    with Mortals() as made:
        yield made


def service(ground, namespace, name="checkout"):
    return ground.cluster.get(ground.virtual_services(), name, namespace)


def seen(ground, namespace, name="checkout"):
    return essence(service(ground, namespace, name))


def http(ground, namespace):
    return service(ground, namespace)["spec"]["http"]


@pytest.mark.parametrize(
    ("fault", "arguments", "expected"),
    [
        (ABORT, {"http_status": 503, "percentage": 50}, {"abort": {"httpStatus": 503, "percentage": {"value": 50}}}),
        (ABORT, {}, {"abort": {"httpStatus": 500, "percentage": {"value": 100}}}),
        (DELAY, {"fixed_delay": "1500ms", "percentage": "12.5%"}, {"delay": {"fixedDelay": "1.5s", "percentage": {"value": 12.5}}}),
        (BOTH, {"fixed_delay": 2, "delay_percentage": 10}, {"abort": {"httpStatus": 500, "percentage": {"value": 100}}, "delay": {"fixedDelay": "2s", "percentage": {"value": 10}}}),
    ],
)  # fmt: skip
def test_every_fault_is_seen_and_comes_undone(ground, shop, fault, arguments, expected):
    before = seen(ground, shop)
    broken = Broken(ground, fault, {"virtual_service_name": "checkout", "ns": shop, **arguments})
    assert seen(ground, shop) == before
    assert broken.targets == [f"{shop}/checkout"]
    assert broken.plan.injections[0].lock == f"namespace:{ground.cluster.name}/{shop}"
    broken.inject()
    first, second, third = http(ground, shop)
    assert first["fault"] == expected
    # What somebody else has there stays, unless it is of the same kind.
    assert second["fault"] == {**FOREIGN, **expected}
    assert "fault" not in third
    assert service(ground, shop)["metadata"]["annotations"]["team"] == "shop"
    assert broken.undo() == [f"restored VirtualService {shop}/checkout"]
    assert seen(ground, shop) == before
    assert broken.undo() == [""]


def test_only_the_routes_that_are_asked_for(ground, shop):
    by_destination = [{"destination": {"host": "checkout", "subset": "primary"}}]
    arguments = {
        "virtual_service_name": "checkout",
        "http_status": 500,
        "routes": by_destination,
        "ns": shop,
    }
    before = seen(ground, shop)
    broken = Broken(ground, ABORT, arguments).inject()
    assert [("abort" in (r.get("fault") or {})) for r in http(ground, shop)] == [False, True, False]
    broken.undo()
    by_name = Broken(
        ground, ABORT, {"virtual_service_name": "checkout", "ns": shop, "route_names": ["v2"]}
    ).inject()
    assert [("fault" in r) for r in http(ground, shop)] == [True, True, False]
    assert "abort" not in http(ground, shop)[1]["fault"]
    by_name.undo()
    assert seen(ground, shop) == before


def test_only_requests_with_these_headers(ground, shop):
    before = seen(ground, shop)
    arguments = {"virtual_service_name": "checkout", "ns": shop, "headers": {"x-user": "tester"}}
    broken = Broken(ground, ABORT, arguments).inject()
    routes = http(ground, shop)
    assert len(routes) == 5
    assert routes[0]["match"] == [{"headers": {"x": {"exact": "1"}, "x-user": {"exact": "tester"}}}]
    assert routes[1] == before["spec"]["http"][0]
    assert routes[2]["match"] == [{"headers": {"x-user": {"exact": "tester"}}}]
    assert routes[2]["fault"]["abort"]["httpStatus"] == 500
    assert routes[2]["fault"]["delay"] == FOREIGN["delay"]
    assert routes[3] == before["spec"]["http"][1]
    other = Broken(ground, DELAY, arguments).inject()
    assert len(http(ground, shop)) == 7
    broken.undo()
    assert len(http(ground, shop)) == 5
    other.undo()
    assert seen(ground, shop) == before


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (0, 2, 1)])
def test_several_faults_on_one_come_undone_in_any_order(ground, shop, order):
    before = seen(ground, shop)
    whom = {"virtual_service_name": "checkout", "ns": shop}
    all_of_them = [
        Broken(ground, fault, {**whom, **more}).inject()
        for fault, more in (
            (ABORT, {}),
            (DELAY, {"fixed_delay": "2s"}),
            (ABORT, {"http_status": 404}),
        )
    ]
    assert http(ground, shop)[0]["fault"]["abort"]["httpStatus"] == 404
    assert http(ground, shop)[0]["fault"]["delay"]["fixedDelay"] == "2s"
    for index in order:
        all_of_them[index].undo()
    assert seen(ground, shop) == before


def test_what_others_change_meanwhile_is_kept(ground, shop):
    broken = Broken(ground, ABORT, {"virtual_service_name": "checkout", "ns": shop}).inject()
    kind = ground.virtual_services()
    changed = service(ground, shop)
    # A route in front of the others, and another timeout of one of them.
    changed["spec"]["http"].insert(0, {"name": "new", **to("cart")})
    changed["spec"]["http"][2]["timeout"] = "7s"
    changed["metadata"]["labels"]["more"] = "yes"
    ground.cluster.replace(kind, changed)
    broken.undo()
    routes = http(ground, shop)
    assert [r.get("fault") for r in routes] == [None, None, FOREIGN, None]
    assert routes[2]["timeout"] == "7s"
    assert service(ground, shop)["metadata"]["labels"] == {"app": "checkout", "more": "yes"}


def test_a_fault_that_somebody_has_put_in_its_place_is_left(ground, shop):
    broken = Broken(ground, ABORT, {"virtual_service_name": "checkout", "ns": shop}).inject()
    theirs = {"abort": {"httpStatus": 418, "percentage": {"value": 1}}}
    changed = service(ground, shop)
    changed["spec"]["http"][0]["fault"] = theirs
    ground.cluster.replace(ground.virtual_services(), changed)
    broken.undo()
    assert http(ground, shop)[0]["fault"] == theirs
    assert ANNOTATION not in service(ground, shop)["metadata"]["annotations"]


def test_the_ledger_knows_the_way_back_where_the_annotation_is_gone(ground, shop):
    before = seen(ground, shop)
    broken = Broken(ground, ABORT, {"virtual_service_name": "checkout", "ns": shop}).inject()
    ground.cluster.merge_patch(
        ground.virtual_services(),
        "checkout",
        shop,
        {"metadata": {"annotations": {ANNOTATION: None}}},
    )
    broken.undo()
    assert seen(ground, shop) == before


def test_a_virtual_service_that_is_gone_needs_no_undo(ground, shop):
    broken = Broken(ground, ABORT, {"virtual_service_name": "checkout", "ns": shop}).inject()
    ground.cluster.delete(ground.virtual_services(), "checkout", shop)
    assert broken.undo() == [""]


def test_one_that_was_made_anew_is_not_hit(ground, shop):
    broken = Broken(ground, ABORT, {"virtual_service_name": "checkout", "ns": shop})
    ground.cluster.delete(ground.virtual_services(), "checkout", shop)
    ground.eventually(lambda: not ground.cluster.list(ground.virtual_services(), shop))
    ground.virtual_service(shop)
    with pytest.raises(FaultError, match="made anew since"):
        broken.inject()
    assert "fault" not in http(ground, shop)[0]


def test_a_random_one_is_the_same_by_the_same_seed(ground):
    namespace = ground.namespace()
    for index in range(8):
        ground.virtual_service(namespace, f"vs{index}", labels={"part": "a" if index < 6 else "b"})
    arguments = {"ns": namespace, "rand": True, "qty": 2, "label_selector": "part=a"}
    picks = {seed: tuple(Broken(ground, ABORT, arguments, seed).targets) for seed in range(6)}
    assert picks[3] == tuple(Broken(ground, ABORT, {**arguments, "seed": 3}, 99).targets)
    assert len(set(picks.values())) > 2
    assert all(len(set(pick)) == 2 and max(pick) < f"{namespace}/vs6" for pick in picks.values())
    plan = Broken(ground, ABORT, arguments).plan
    assert sorted(why for _, why in plan.spared) == ["not chosen"] * 4


def test_one_of_the_whole_cluster(ground):
    first, second = ground.namespace("red"), ground.namespace("blue")
    ground.virtual_service(first, "a", annotations={"sloguard.io/enabled": "true"})
    ground.virtual_service(second, "b")
    ground.virtual_service(second, "c", annotations={"sloguard.io/enabled": "false"})
    glob = second[:-2] + "*"
    every = Broken(ground, ABORT, {"ns": [first, glob], "all": True})
    assert sorted(every.targets) == sorted([f"{first}/a", f"{second}/b"])
    assert (f"{second}/c", "it opts out (sloguard.io/enabled: false)") in every.plan.spared
    assert Broken(ground, ABORT, {"ns": [first, second], "all": True, "opt_in": True}).targets == [
        f"{first}/a"
    ]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({}, "say which VirtualServices"),
        ({"virtual_service_name": "nothing"}, "no VirtualService named nothing to hit in namespace shop-"),
        ({"virtual_service_name": "checkout", "routes": [{"destination": {"host": "x"}}]}, "no HTTP route of"),
        ({"virtual_service_name": "checkout", "routes": ["x"]}, "routes: expected a list of"),
        ({"virtual_service_name": "checkout", "http_status": 99}, "http_status: must be at least 200"),
        ({"virtual_service_name": "checkout", "percentage": 101}, "percentage: must be above 0 and at most 100"),
        ({"virtual_service_name": "checkout", "headers": []}, "headers: expected a mapping"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said_before(ground, shop, arguments, problem):
    with pytest.raises(FaultError, match=problem):
        Broken(ground, ABORT, {"ns": shop, **arguments})


def test_taking_a_fault_away_leaves_those_of_others(ground, shop):
    whom = {"virtual_service_name": "checkout", "ns": shop}
    before = seen(ground, shop)
    abort = Broken(ground, ABORT, whom).inject()
    both = Broken(ground, BOTH, {**whom, "http_status": 404, "fixed_delay": "9s"}).inject()
    removal = Broken(ground, "istio.remove_delay_fault", whom).inject()
    assert removal.outputs[0]["removed"] == [BOTH]
    assert http(ground, shop)[1]["fault"]["delay"] == FOREIGN["delay"]
    assert http(ground, shop)[1]["fault"]["abort"]["httpStatus"] == 404
    only = {**whom, "routes": [{"destination": {"host": "checkout", "subset": "v2"}}]}
    Broken(ground, "istio.remove_abort_fault", only).inject()
    assert "fault" not in http(ground, shop)[0]
    assert "abort" in http(ground, shop)[1]["fault"]
    Broken(ground, "istio.remove_abort_fault", whom).inject()
    assert seen(ground, shop) == before
    assert removal.undo() == both.undo() == abort.undo() == [""]


def test_a_fault_of_somebody_else_is_taken_away_if_asked_for_and_put_back(ground, shop):
    before = seen(ground, shop)
    whom = {"virtual_service_name": "checkout", "ns": shop}
    mine = Broken(ground, DELAY, whom).inject()
    removal = Broken(ground, "istio.remove_delay_fault", {**whom, "foreign": True})
    assert "take away all delays" in removal.plan.summary
    removal.inject()
    assert removal.outputs[0]["removed"] == [DELAY, "somebody else's"]
    assert not any("fault" in route for route in http(ground, shop))
    assert mine.undo() == [""]
    assert not any("fault" in route for route in http(ground, shop))
    assert removal.undo() == [f"restored VirtualService {shop}/checkout"]
    assert seen(ground, shop) == before
    assert removal.undo() == [""]


def test_of_two_kinds_of_somebody_else_only_one_is_taken_away(ground, shop):
    theirs = {**FOREIGN, "abort": {"httpStatus": 503, "percentage": {"value": 1}}}
    spec = seen(ground, shop)["spec"]
    spec["http"][1]["fault"] = theirs
    ground.cluster.merge_patch(ground.virtual_services(), "checkout", shop, {"spec": spec})
    before = seen(ground, shop)
    whom = {"virtual_service_name": "checkout", "ns": shop, "foreign": True}
    elsewhere = {**whom, "routes": [{"destination": {"host": "checkout", "subset": "v2"}}]}
    Broken(ground, "istio.remove_abort_fault", elsewhere).inject()
    assert seen(ground, shop) == before
    removal = Broken(ground, "istio.remove_abort_fault", whom).inject()
    assert http(ground, shop)[1]["fault"] == FOREIGN
    # Somebody puts a route in front meanwhile.
    now = seen(ground, shop)["spec"]
    now["http"].insert(0, {"name": "new", **to("checkout", "v3")})
    ground.cluster.merge_patch(ground.virtual_services(), "checkout", shop, {"spec": now})
    removal.undo()
    assert http(ground, shop)[1:] == before["spec"]["http"]


def test_recovery_leaves_runs_alone_that_are_alive(ground, shop):
    from sloguard.adapters.kubernetes_locks import LeaseLocks

    before = seen(ground, shop)
    Broken(ground, ABORT, {"virtual_service_name": "checkout", "ns": shop}).inject()
    locks = LeaseLocks(clusters(ground), seconds=12)
    locks.acquire([f"namespace:{ground.cluster.name}/{shop}"], f"run {ground.run} (a title)")
    mine = [t for t in recover_cluster(clusters(ground)) if shop in t.target]
    assert [(t.status, t.detail) for t in mine] == [("injected", f"run {ground.run} is under way")]
    locks.release()
    assert http(ground, shop)[0]["fault"]
    assert [t.status for t in recover_cluster(clusters(ground), alive=[ground.run])] == ["injected"]
    mine = [t for t in recover_cluster(clusters(ground)) if shop in t.target]
    assert [(t.status, t.fault) for t in mine] == [("undone", ABORT)]
    assert seen(ground, shop) == before


def test_an_annotation_that_cannot_be_read_is_told_and_left(ground, shop):
    broken = {"metadata": {"annotations": {ANNOTATION: "{oops"}}}
    ground.cluster.merge_patch(ground.virtual_services(), "checkout", shop, broken)
    with pytest.raises(FaultError, match="cannot be read"):
        Broken(ground, ABORT, {"virtual_service_name": "checkout", "ns": shop}).inject()
    told = [t for t in recover_cluster(clusters(ground)) if shop in t.target]
    assert [t.status for t in told] == ["left"]
    assert "kubectl edit virtualservices.networking.istio.io/checkout" in told[0].by_hand


@pytest.mark.parametrize("versions", [("v1alpha3",), ("v1beta1", "v1alpha3")])
def test_whichever_version_the_cluster_serves(tmp_path, versions):
    from sloguard.adapters.kubernetes import KubernetesCluster
    from sloguard.adapters.kubernetes_config import KubernetesSettings

    with KubernetesDouble(istio=versions) as double:
        config = double.kubeconfig(tmp_path / "k")
        ground = Ground(KubernetesCluster(KubernetesSettings(kubeconfig=config)), double)
        namespace = ground.namespace()
        ground.virtual_service(namespace)
        before = seen(ground, namespace)
        asked = {
            "virtual_service_name": "checkout",
            "ns": namespace,
            "version": "networking.istio.io/v1",
        }
        broken = Broken(ground, ABORT, asked).inject()
        assert "fault" in http(ground, namespace)[0]
        # The record may come from another time, when another version was served.
        broken.records[0]["resource"] = {**broken.records[0]["resource"], "version": "v1alpha2"}
        broken.undo()
        assert seen(ground, namespace) == before


def test_without_istio_it_says_so(tmp_path):
    from sloguard.adapters.kubernetes import KubernetesCluster
    from sloguard.adapters.kubernetes_config import KubernetesSettings

    with KubernetesDouble(istio=()) as double:
        config = double.kubeconfig(tmp_path / "k")
        ground = Ground(KubernetesCluster(KubernetesSettings(kubeconfig=config)), double)
        with pytest.raises(FaultError, match="is Istio installed"):
            Broken(ground, ABORT, {"virtual_service_name": "checkout"})


def test_a_busy_writer_loses_nothing_and_the_fault_gets_in(ground, shop):
    trouble, before = ground.passage.trouble, seen(ground, shop)
    count = []

    def interfere(_number, request):
        # Somebody writes between the fault's read and its write, three times.
        if request.method == "PATCH" and len(count) < 3 and "json-patch" in request.content_type:
            count.append(request)
            more = {"metadata": {"labels": {f"n{len(count)}": str(request.body[0]["value"])}}}
            ground.direct.merge_patch(ground.virtual_services(), "checkout", shop, more)

    trouble.before = interfere
    broken = Broken(ground, ABORT, {"virtual_service_name": "checkout", "ns": shop}).inject()
    assert len(count) == 3
    count.clear()
    broken.undo()
    assert len(count) == 3
    after = seen(ground, shop)
    assert {k for k in after["labels"] if k.startswith("n")} == {"n1", "n2", "n3"}
    assert (after["spec"], after["annotations"]) == (before["spec"], before["annotations"])


@pytest.mark.parametrize("what", ["lost-after", "lost-before", "error", "busy"])
def test_trouble_on_the_way_neither_doubles_nor_loses_the_fault(ground, shop, what):
    trouble, before = ground.passage.trouble, seen(ground, shop)
    broken = Broken(ground, ABORT, {"virtual_service_name": "checkout", "ns": shop})
    trouble.add(what, match=lambda r: r.method == "PATCH")
    broken.inject()
    assert service(ground, shop)["metadata"]["annotations"][ANNOTATION].count(ABORT) == 1
    trouble.add(what, match=lambda r: r.method == "PATCH")
    broken.undo()
    assert seen(ground, shop) == before


def test_killed_while_it_takes_away_what_is_somebody_elses(ground, shop, tmp_path, mortals):
    arguments = {"virtual_service_name": "checkout", "ns": shop, "foreign": True}
    survives_kill_anywhere(
        ground, tmp_path, mortals, "istio.remove_delay_fault", arguments, lambda: seen(ground, shop)
    )


def test_killed_between_any_two_calls(ground, shop, tmp_path, mortals):
    arguments = {"virtual_service_name": "checkout", "ns": shop}
    moments = survives_kill_anywhere(
        ground, tmp_path, mortals, BOTH, arguments, lambda: seen(ground, shop)
    )
    assert moments >= 12
