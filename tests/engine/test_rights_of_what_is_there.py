"""Rights that depend on whether an object is there: all of them offline, those that it takes where a cluster is asked."""

from __future__ import annotations

from typing import Any

import pytest

from sloguard.core.model import Activity
from sloguard.engine.rights import Demands, Standpoint
from sloguard.ports import ClusterForbidden
from sloguard.ports.resources import CONFIG_MAPS
from tests.support.engine_world import experiment


def verbs(namespace: str, standpoint: Standpoint, name: str = "made") -> set[str]:
    """Of an experiment that applies a ConfigMap, on these."""
    about = {"namespace": namespace, **({"name": name} if name else {"generateName": "made-"})}
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "data": {"a": "b"}}
    provider: dict[str, Any] = {
        "type": "python",
        "module": "sloguard.faults.kubernetes",
        "func": "apply",
        "arguments": {"manifest": manifest},
    }
    declared = experiment(method=(Activity("method[0]", "action", "apply", provider),))
    demands = Demands.of(declared, lambda _context: standpoint)
    assert demands.problems == ()
    # Beside those for the pointer, which is a ConfigMap of another name.
    needs = [d.need for d in demands.found if d.need.resource.plural == "configmaps"]
    return {need.verb for need in needs}


@pytest.mark.parametrize(("there", "patched"), [(True, True), (False, False)])
def test_what_is_there_is_patched_and_what_is_not_is_made(ground, there, patched):
    namespace = ground.namespace()
    if there:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "made"}}
        body["metadata"]["namespace"] = namespace
        ground.cluster.create(CONFIG_MAPS, body)
    found = verbs(namespace, Standpoint.on(ground.cluster))
    assert ("patch" in found) is patched
    assert {"get", "create", "delete"} <= found
    assert "patch" in verbs(namespace, Standpoint())


def test_what_is_made_under_a_new_name_is_never_there(ground):
    assert "patch" not in verbs(ground.namespace(), Standpoint.on(ground.cluster), name="")


def test_where_it_may_not_be_seen_all_are_asked_for(ground):
    namespace = ground.namespace()
    blind = ground.as_somebody("nobody")
    with pytest.raises(ClusterForbidden):
        blind.get(CONFIG_MAPS, "made", namespace)
    assert "patch" in verbs(namespace, Standpoint.on(blind))
