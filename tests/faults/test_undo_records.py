"""Undo records on objects: whatever is changed comes back, in any order, and what others did stays."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sloguard.faults.base import FaultError
from sloguard.faults.undo_records import (
    ANNOTATION,
    Insert,
    Put,
    entries,
    marked,
    operations,
    unmarked,
)
from tests.fakes.kubernetes.patching import json_patch

VALUE = st.one_of(
    st.integers(0, 3),
    st.sampled_from(["a", "b"]),
    st.dictionaries(st.sampled_from("xy"), st.integers(0, 2), max_size=2),
)
ITEM = st.fixed_dictionaries({"key": st.sampled_from("pqr"), "value": st.integers(0, 2)})
OBJECTS = st.fixed_dictionaries({
    "metadata": st.fixed_dictionaries({"name": st.just("n"), "resourceVersion": st.just("7")}, optional={"annotations": st.just({"team": "shop"})}),
    "spec": st.fixed_dictionaries({}, optional={
        "a": VALUE,
        "deep": st.dictionaries(st.sampled_from("xyz"), VALUE, max_size=3),
        "http": st.lists(st.fixed_dictionaries({"route": st.integers(0, 9)}, optional={"fault": st.dictionaries(st.sampled_from(["abort", "delay"]), st.integers(0, 3))}), min_size=1, max_size=3),
        "taints": st.lists(ITEM, min_size=1, max_size=3, unique_by=lambda i: i["key"]),
    }),
})  # fmt: skip
EDIT = st.one_of(
    st.builds(Put, st.sampled_from([("spec", "a"), ("spec", "deep", "x"), ("spec", "deep", "y"), ("spec", "new", "er", "q"), ("spec", "new", "er", "r"), ("spec", "new", "s")]), st.one_of(st.none(), st.integers(10, 12))),
    st.builds(Put, st.sampled_from([("spec", "http", 0, "fault", "abort"), ("spec", "http", 0, "fault", "delay")]), st.integers(10, 12)),
    st.builds(Insert, st.just(("spec", "taints")), st.fixed_dictionaries({"key": st.sampled_from("pqrst"), "value": st.integers(10, 12)}), st.just(("key",)), st.sampled_from([None, 0])),
)  # fmt: skip


def possible(obj, edits):
    """Edits whose way exists: a text or number is no mapping, and a list is not made."""
    fitting = []
    for edit in edits:
        if isinstance(edit, Put) and edit.path[1] == "http" and "http" not in obj["spec"]:
            continue
        fitting.append(edit)
    return fitting


@settings(max_examples=400, deadline=None)
@given(
    OBJECTS,
    st.lists(st.lists(EDIT, max_size=3), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
)
def test_all_comes_back_in_any_order(obj, faults, order):
    before, now = copy.deepcopy(obj), obj
    for index, edits in enumerate(faults):
        after = marked(now, {"id": str(index)}, possible(obj, edits))
        # The patch makes the one of the other.
        assert json_patch(now, operations(now, after)) == after
        assert len(entries(after)) == len(entries(now)) + 1
        assert marked(after, {"id": str(index)}, edits) == after
        now = after
    ids = [str(index) for index in range(len(faults))]
    order.shuffle(ids)
    for entry_id in ids:
        now, done = unmarked(now, entry_id)
        assert done
    assert ordered(now) == ordered(before)
    assert unmarked(now, "0") == (now, False)


def ordered(obj):
    """Items that are known by their key may come back in another order."""
    result = copy.deepcopy(obj)
    if "taints" in result["spec"]:
        result["spec"]["taints"].sort(key=lambda item: item["key"])
    return result


def test_what_somebody_else_has_put_there_since_stays():
    obj = {"metadata": {"name": "n"}, "spec": {"replicas": 3}}
    now = marked(obj, {"id": "1"}, [Put(("spec", "replicas"), 0)])
    now["spec"]["replicas"] = 7
    assert unmarked(now, "1") == ({"metadata": {"name": "n"}, "spec": {"replicas": 7}}, True)


def test_what_is_kept_elsewhere_helps_where_the_annotation_is_gone():
    obj = {"metadata": {"name": "n"}, "spec": {"replicas": 3}}
    now = marked(obj, {"id": "1"}, [Put(("spec", "replicas"), 0)])
    known = entries(now)[0]["changes"]
    del now["metadata"]["annotations"]
    assert unmarked(now, "1") == (now, False)
    assert unmarked(now, "1", known) == (obj, True)
    assert unmarked(obj, "1", known) == (obj, False)


def test_a_way_that_leads_nowhere_is_refused():
    with pytest.raises(FaultError, match=r"there is no spec\.http\.0"):
        marked(
            {"metadata": {"name": "n"}, "spec": {"http": []}},
            {"id": "1"},
            [Put(("spec", "http", 0, "fault", "abort"), 1)],
        )


@pytest.mark.parametrize("text", ["{", "{}", '["x"]', "7"])
def test_an_annotation_that_is_not_ours_is_refused(text):
    with pytest.raises(FaultError, match="cannot be read"):
        entries({"metadata": {"name": "n", "annotations": {ANNOTATION: text}}})


def test_the_annotation_is_small_and_names_the_run():
    now = marked(
        {"metadata": {"name": "n"}, "spec": {}},
        {"id": "1", "run": "r", "fault": "f"},
        [Put(("spec", "a"), 1)],
    )
    kept = json.loads(now["metadata"]["annotations"][ANNOTATION])
    assert kept == [
        {"id": "1", "run": "r", "fault": "f", "changes": [{"path": ["spec", "a"], "new": 1}]}
    ]


def fault(number, obj, *edits):
    return marked(obj, {"id": number, "run": "r", "fault": "f"}, list(edits))


def test_an_undo_that_comes_late_leaves_the_same_fault_of_somebody_else():
    """Undone by one, done again by another run, and then undone from the first one's ledger."""
    obj = {"metadata": {"name": "n", "resourceVersion": "7"}, "spec": {}}
    cordon = Put(("spec", "unschedulable"), True)
    first = fault("1", obj, cordon)
    known = entries(first)[0]["changes"]
    again = fault("2", unmarked(first, "1")[0], cordon)
    assert unmarked(again, "1", known) == (again, False)
    assert unmarked(again, "2") == (obj, True)


def test_where_somebody_took_the_annotation_away_in_between_all_comes_back():
    obj = {"metadata": {"name": "n", "resourceVersion": "7"}, "spec": {"replicas": 3}}
    first = fault("1", obj, Put(("spec", "replicas"), 1))
    known = entries(first)[0]["changes"]
    bare = {"metadata": obj["metadata"], "spec": first["spec"]}
    second = fault("2", bare, Put(("spec", "replicas"), 0))
    now, done = unmarked(second, "1", known)
    assert done
    assert now["spec"] == {"replicas": 0}
    assert unmarked(now, "2") == (obj, True)


def test_two_faults_on_one_item_that_was_moved_between_them():
    obj = {
        "metadata": {"name": "n", "resourceVersion": "7"},
        "spec": {"http": [{"route": 1}, {"route": 2}]},
    }
    first = fault("1", obj, Put(("spec", "http", 0, "fault"), 500))
    first["spec"]["http"].insert(0, {"route": 9})
    second = fault("2", first, Put(("spec", "http", 1, "fault"), 404))
    for order in (("1", "2"), ("2", "1")):
        now = second
        for number in order:
            now = unmarked(now, number)[0]
        assert now["spec"]["http"] == [{"route": 9}, {"route": 1}, {"route": 2}], order
        assert "annotations" not in now["metadata"]


def test_two_faults_on_different_items_that_were_at_the_same_place_in_turn():
    obj = {"metadata": {"name": "n", "resourceVersion": "7"}, "spec": {"http": [{"route": 1}]}}
    first = fault("1", obj, Put(("spec", "http", 0, "fault"), 500))
    first["spec"]["http"].insert(0, {"route": 9})
    second = fault("2", first, Put(("spec", "http", 0, "fault"), 404))
    for order in (("1", "2"), ("2", "1")):
        now = second
        for number in order:
            now = unmarked(now, number)[0]
        assert now["spec"]["http"] == [{"route": 9}, {"route": 1}], order
