"""Whom a fault hits: never more than declared, and always the same by the same seed."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sloguard.faults.base import FaultError
from sloguard.faults.targets import (
    Budget,
    Namespaces,
    Radius,
    choose,
    consenting,
    matcher,
    named,
    not_going,
    not_myself,
    older_than,
    title,
    within,
)
from sloguard.ports import Whereabouts


def pod(name, namespace="shop", **about):
    labels = about.pop("labels", {"app": "checkout"})
    metadata = {
        "name": name,
        "namespace": namespace,
        "uid": f"u-{namespace}-{name}",
        "labels": labels,
    }
    metadata["creationTimestamp"] = "2026-01-01T00:00:00Z"
    return {"metadata": {**metadata, **about}, "status": {"phase": "Running"}}


def names(chosen):
    return [title(obj) for obj in chosen.victims]


def some(count, namespace="shop"):
    return [pod(f"p{index:02}", namespace) for index in range(count)]


def pick(objects, radius, **more):
    return choose(objects, radius, fallback=random.Random(0), **more)


POD = st.builds(
    pod,
    st.text("abcde", min_size=1, max_size=4),
    st.sampled_from(["shop", "shop-2", "pay", "kube-system", "chaos"]),
    labels=st.fixed_dictionaries({"app": st.sampled_from(["checkout", "cart"])}),
    annotations=st.sampled_from(
        [{}, {"sloguard.io/enabled": "true"}, {"sloguard.io/enabled": "false"}]
    ),
    creationTimestamp=st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-01T11:59:30Z"]),
)
PODS = st.lists(POD, max_size=30, unique_by=lambda p: title(p))
NOON = 1767268800.0


@settings(max_examples=1000, deadline=None)
@given(
    objects=PODS,
    mode=st.sampled_from(["fixed", "percentage"]),
    qty=st.integers(1, 100),
    every=st.booleans(),
    rand=st.booleans(),
    order=st.sampled_from(["alphabetic", "oldest"]),
    leave=st.integers(0, 12),
    allowed=st.integers(0, 4),
    opt_in=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
    shuffle=st.randoms(use_true_random=False),
)
def test_no_plan_exceeds_its_blast_radius(
    objects, mode, qty, every, rand, order, leave, allowed, opt_in, seed, shuffle
):
    radius = Radius.of(
        mode=mode, qty=qty, all=every, rand=rand, order=order, seed=seed, leave_at_least=leave
    )
    budget = {
        "metadata": {"name": "b", "namespace": "shop", "generation": 1},
        "spec": {"selector": {"matchLabels": {"app": "checkout"}}},
        "status": {"observedGeneration": 1, "disruptionsAllowed": allowed},
    }
    rules = [
        within(Namespaces.of(["shop*", "kube-*"], exclude="shop-2", own="chaos")),
        consenting(opt_in),
        older_than(60, NOON),
        not_myself(Whereabouts("c", "shop", "a")),
    ]
    budgets = [Budget.of(budget)]
    chosen = pick(objects, radius, spare=rules, budgets=budgets)
    hit = [title(v) for v in chosen.victims]
    candidates = [o for o in objects if not any(rule(o) for rule in rules)]
    if mode == "fixed" and not every:
        assert len(hit) <= qty
    if mode == "percentage" and not every:
        assert len(hit) <= max(qty * len(candidates) / 100, 1)
    assert len(objects) - len(hit) >= min(leave, len(objects))
    assert sum(b.has(v) for v in chosen.victims for b in budgets) <= allowed
    assert set(hit) <= {title(o) for o in candidates}
    for victim in chosen.victims:
        assert victim["metadata"]["namespace"] == "shop"
        assert victim["metadata"]["annotations"].get("sloguard.io/enabled") != "false"
    # Everybody is hit or spared, once, and the spared with a reason.
    assert sorted([*hit, *(name for name, _ in chosen.spared)]) == sorted(map(title, objects))
    assert all(reason for _, reason in chosen.spared)
    again = list(objects)
    shuffle.shuffle(again)
    assert names(pick(again, radius, spare=rules, budgets=budgets)) == hit


def test_the_seed_decides_and_another_seed_decides_otherwise():
    objects = some(20)
    by_seed = {
        seed: tuple(names(pick(objects, Radius.of(qty=3, rand=True, seed=seed))))
        for seed in range(20)
    }
    assert by_seed[7] == tuple(names(pick(objects[::-1], Radius.of(qty=3, rand=True, seed=7))))
    assert len(set(by_seed.values())) > 10


def test_the_first_by_name_or_by_age_come_first():
    objects = [
        pod("b", creationTimestamp="2026-01-01T00:00:00Z"),
        pod("a", creationTimestamp="2026-01-01T00:00:01Z"),
    ]
    assert names(pick(objects, Radius.of())) == ["shop/a"]
    assert names(pick(objects, Radius.of(order="oldest"))) == ["shop/b"]


@pytest.mark.parametrize(
    ("count", "radius", "hit"),
    [
        (10, {"qty": 3}, 3),
        (2, {"qty": 3}, 2),
        (10, {"mode": "percentage", "qty": 25}, 2),
        (3, {"mode": "percentage", "qty": 10}, 1),
        (30, {"mode": "percentage", "qty": "10%"}, 3),
        (4, {"all": True}, 4),
        (4, {"all": True, "leave_at_least": 1}, 3),
        (1, {"leave_at_least": 1}, 0),
        (0, {"all": True}, 0),
    ],
)
def test_how_many(count, radius, hit):
    assert len(pick(some(count), Radius.of(**radius)).victims) == hit


def test_the_floor_says_so():
    chosen = pick(some(2), Radius.of(all=True, leave_at_least=1))
    assert chosen.spared == (("shop/p01", "leave_at_least is 1, and 2 match"),)


def test_a_budget_says_so_and_one_that_nobody_has_looked_at_allows_nothing():
    budget = {
        "metadata": {"name": "keep", "namespace": "shop", "generation": 2},
        "spec": {"selector": {"matchLabels": {"app": "checkout"}}},
        "status": {"observedGeneration": 2, "disruptionsAllowed": 1},
    }
    chosen = pick(some(3), Radius.of(qty=2), budgets=[Budget.of(budget)])
    assert names(chosen) == ["shop/p00"]
    assert chosen.spared[0] == ("shop/p01", "the disruption budget keep allows 1 missing, not more")
    budget["status"]["observedGeneration"] = 1
    assert pick(some(3), Radius.of(qty=2), budgets=[Budget.of(budget)]).victims == ()


@pytest.mark.parametrize(
    ("asked", "name", "spared"),
    [
        (None, "shop", False),
        (None, "kube-system", True),
        (None, "chaos", True),
        ("*", "kube-system", True),
        ("kube-*", "kube-system", True),
        ("kube-system", "kube-system", False),
        ("chaos", "chaos", False),
        (["shop", "pay-*"], "pay-eu", False),
        (["shop", "pay-*"], "cart", True),
        ("shop, cart", "cart", False),
    ],
)
def test_namespaces(asked, name, spared):
    assert bool(Namespaces.of(asked, own="chaos").spares(name)) is spared


def test_an_exclusion_is_stronger_than_a_name():
    assert Namespaces.of("shop", exclude="sh*").spares("shop") == "namespace shop is excluded"


def test_only_one_namespace_has_to_be_read_where_one_is_named():
    assert Namespaces.of("shop").single == "shop"
    assert Namespaces.of("shop*").single is None
    assert Namespaces.of(["a", "b"]).single is None
    assert Namespaces.of(None).single is None


def test_reasons_to_spare():
    assert (
        consenting(False)(pod("a", annotations={"sloguard.io/enabled": "False"}))
        == "it opts out (sloguard.io/enabled: false)"
    )
    assert consenting(True)(pod("a")) == "it does not opt in (sloguard.io/enabled: true)"
    young = pod("a", creationTimestamp="2026-01-01T11:59:30Z")
    assert older_than(60, NOON)(young) == "it is 30s old, less than 1m"
    assert older_than(30, NOON)(young) == ""
    assert (
        not_going(pod("a", deletionTimestamp="2026-01-01T00:00:00Z"))
        == "it is being deleted already"
    )
    assert not_going({**pod("a"), "status": {"phase": "Succeeded"}}) == "it has ended (Succeeded)"
    assert named("^b")(pod("a")) == "its name does not match ^b"
    assert not_myself(Whereabouts("c"))(pod("")) == ""


def test_selectors_of_the_api():
    rules = [
        {"key": "app", "operator": "In", "values": ["a", "b"]},
        {"key": "old", "operator": "DoesNotExist"},
        {"key": "tier", "operator": "NotIn", "values": ["x"]},
        {"key": "app", "operator": "Exists"},
    ]
    selects = matcher({"matchLabels": {"app": "a"}, "matchExpressions": rules})
    assert selects({"app": "a"})
    assert not selects({"app": "b"})
    assert not selects({"app": "a", "old": ""})
    assert not selects({"app": "a", "tier": "x"})
    assert matcher({})({})
    assert not matcher(None)({})


@pytest.mark.parametrize(
    "wrong",
    [{"mode": "some"}, {"qty": 0}, {"qty": -1}, {"qty": True}, {"order": "new"}, {"mode": "percentage", "qty": 101}, {"leave_at_least": -1}],
)  # fmt: skip
def test_what_does_not_fit_is_refused(wrong):
    with pytest.raises(FaultError, match=next(reversed(wrong))):
        Radius.of(**wrong)


def test_a_pattern_and_a_namespace_that_are_none():
    with pytest.raises(FaultError, match="not a regular expression"):
        named("(")
    with pytest.raises(FaultError, match="ns: expected a namespace"):
        Namespaces.of(7)
