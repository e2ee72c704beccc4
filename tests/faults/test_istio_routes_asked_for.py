"""What is asked of a VirtualService is looked for before anything is touched."""

from __future__ import annotations

from typing import Any, cast

import pytest

from sloguard.faults.base import Context, FaultError, find_fault
from sloguard.faults.istio_routes import abort, edits_of, wanted_of
from tests.fakes.still_cluster import StillCluster

ABORT = find_fault("istio.add_abort_fault")


def route(subset: str, name: str = "", **match: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"route": [{"destination": {"host": "checkout", "subset": subset}}]}
    return {**made, **({"name": name} if name else {}), **({"match": [match]} if match else {})}


HTTP = [
    route("v3", "canary", headers={"x-user": {"exact": "canary"}}),
    route("v2", "beta", headers={"x-user": {"prefix": "beta-"}}),
    route("v1", "rest", withoutHeaders={"x-user": {"regex": "(canary|beta-).*"}}),
    {"redirect": {"uri": "/elsewhere"}},
]


def service(name: str = "checkout", http: Any = None) -> dict[str, Any]:
    about = {"name": name, "namespace": "shop", "uid": name, "resourceVersion": "1"}
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": about,
        "spec": {"http": HTTP if http is None else http},
    }


def planned(*objects: Any, **arguments: Any) -> Any:
    still = cast(Any, StillCluster(objects or [service()]))
    given = {"ns": "shop", **arguments}
    return ABORT.plan(given, Context(cluster=lambda _context: still))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"virtual_service_name": "cart"}, "no VirtualService named cart to hit in namespace shop$"),
        ({"route_names": ["rest", "rets"]}, "no HTTP route named rets; it has canary, beta, rest"),
        ({"routes": [{"destination": {"host": "cart"}}]}, r"leads to cart; they lead to checkout \(subset v3\)"),
        ({"routes": [{"destination": {"host": "checkout", "subset": "v9"}}]}, r"checkout \(subset v9\)"),
        ({"route_names": ["canary"], "headers": {"x-user": "ann"}}, "no request with x-user: ann can reach"),
        ({"route_names": ["rest"], "headers": {"x-user": "canary"}}, "no request with x-user: canary can"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_told(asked, said):
    with pytest.raises(FaultError, match=said):
        planned(**{"virtual_service_name": "checkout", **asked})


def test_a_namespace_without_any_and_one_without_routes():
    with pytest.raises(FaultError, match="no VirtualService named checkout"):
        planned(service("other"), virtual_service_name="checkout")
    with pytest.raises(FaultError, match="it has no HTTP route that leads to a destination"):
        planned(service(http=[HTTP[3]]), virtual_service_name="checkout")


def test_of_a_random_one_a_single_match_is_enough():
    names = ["rest", "of-another-service"]
    plan = planned(service(), rand=True, route_names=names)
    assert [one.target for one in plan.injections] == ["shop/checkout"]
    with pytest.raises(FaultError, match="no HTTP route named nobody"):
        planned(service(), rand=True, route_names=["nobody"])


@pytest.mark.parametrize(
    ("headers", "hit"),
    [
        ({"x-user": "canary"}, ["v3"]),
        ({"X-User": "canary"}, ["v3"]),
        ({"x-user": "beta-7"}, ["v2"]),
        ({"x-user": "ann"}, ["v1"]),
        ({"x-other": "1"}, ["v3", "v2", "v1"]),
    ],
)
def test_only_routes_that_such_requests_can_reach_get_a_fault(headers, hit):
    """Else such requests would be led to where they never went before."""
    wanted = {**wanted_of({"abort": abort(500, None)}, None, None, headers), "label": "sloguard-x"}
    edits = cast(Any, edits_of(service(), wanted))
    assert [e.item["route"][0]["destination"]["subset"] for e in edits] == hit
    for edit in edits:
        (match,) = edit.item["match"]
        assert all(
            match["headers"][name.lower()] == {"exact": value} for name, value in headers.items()
        )


def test_of_several_alternatives_only_those_that_can_be_fulfilled():
    either = {
        **route("v1"),
        "match": [{"headers": {"a": {"exact": "1"}}}, {"uri": {"prefix": "/x"}}],
    }
    wanted = {**wanted_of({"abort": abort(500, None)}, None, None, {"a": "2"}), "label": "l"}
    (edit,) = cast(Any, edits_of(service(http=[either]), wanted))
    assert edit.item["match"] == [{"uri": {"prefix": "/x"}, "headers": {"a": {"exact": "2"}}}]
