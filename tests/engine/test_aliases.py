"""Names of drivers, and what stands in for them."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import replace
from typing import Any

import pytest

from sloguard.core.model import Activity, Experiment
from sloguard.engine.aliases import (
    drivers_for,
    named,
    refusal,
    resolved,
    stands_in,
    unread_credentials,
)
from sloguard.engine.driver_names import TABLE
from sloguard.engine.drivers import Drivers
from sloguard.engine.rights import Demands, Standpoint
from sloguard.engine.stand_ins import looked_at
from sloguard.faults.base import FaultFunction
from sloguard.providers.result import Refused
from sloguard.spec.masking import masked

NONE = Drivers(installed=lambda _name: False, version=lambda _name: None, environ={})
#: What has to be given, by the driver's own signature, to functions that need something.
NEEDED: dict[str, Any] = {
    "label_selector": "app=shop",
    "name": "shop",
    "replicas": 0,
    "cmd": "ls",
    "spec_path": "shop.yaml",
    "meta": {"name": "shop"},
    "label_selectors": {"app": "shop"},
    "virtual_service_name": "shop",
    "http_status": 500,
    "fixed_delay": "1s",
    "routes": [{"destination": {"host": "shop", "subset": "v1"}}],
    "pattern": "x",
    "fault": {"delay": {"fixedDelay": "1s"}},
    "group": "example.com",
    "version": "v1",
    "plural": "things",
    "resource": "{kind: Thing}",
    "conditions": [{"type": "Ready"}],
}


def python(module: str, func: str, **arguments: Any) -> dict[str, Any]:
    return {"type": "python", "module": module, "func": func, "arguments": arguments}


def own(module: str, func: str, rollback: bool = False, **arguments: Any) -> dict[str, Any]:
    """The arguments of sloguard's own function."""
    return resolved(python(module, func, **arguments), {}, NONE, rollback=rollback)["arguments"]


@pytest.mark.parametrize("alias", TABLE.values(), ids=lambda one: one.name)
@pytest.mark.parametrize("rollback", [False, True])
def test_every_stand_in_exists_and_takes_what_it_is_given(alias, rollback):
    target = alias.target_in(rollback)
    if not target:
        assert refusal(python(alias.module, alias.func), NONE, rollback=rollback)
        return
    module, _, func = target.rpartition(".")
    function = getattr(importlib.import_module(module), func)
    signature = inspect.signature(alias.mapping)
    wanted = {name: value for name, value in NEEDED.items() if name in signature.parameters}
    if "resource" in wanted and "group" in wanted:
        wanted["resource"] = {"kind": "Thing"}
    provider = python(alias.module, alias.func, **wanted)
    made = resolved(provider, {}, NONE, rollback=rollback)
    assert (made["module"], made["func"]) == (module, func)
    inspect.signature(function).bind(**made["arguments"])
    if alias.target.startswith("sloguard.faults") and not rollback:
        assert isinstance(function, FaultFunction)
    # Where a context is named, it is the same for all.
    there = resolved(
        {**provider, "secrets": ["k8s"]},
        {"k8s": {"KUBERNETES_CONTEXT": "east"}},
        NONE,
        rollback=rollback,
    )
    if alias.func != "should_be_found_in_logs":
        assert there["arguments"]["cluster"] == "east"
        inspect.signature(function).bind(**there["arguments"])
    assert "secrets" not in there


def test_defaults_are_the_drivers():
    assert own("chaosk8s.pod.actions", "terminate_pods") == {
        "all": False,
        "rand": False,
        "mode": "fixed",
        "qty": 1,
        "ns": "default",
        "order": "alphabetic",
        "grace_period": -1,
    }
    assert own("chaosk8s.pod.actions", "terminate_pods", mode="percentage", qty=50)["mode"] == (
        "percentage-rounded-up"
    )
    assert own("chaosk8s.pod.actions", "terminate_pods", grace_period=-7)["grace_period"] == -1
    assert own("chaosk8s.pod.actions", "delete_pods", name="shop-.*") == {
        "name_pattern": "shop-.*",
        "ns": "default",
    }
    assert own("chaosk8s.node.actions", "cordon_node") == {"all": True}
    assert own("chaosk8s.node.actions", "drain_nodes", count=1) == {
        "count": 1,
        "delete_pods_with_local_storage": False,
        "timeout": 120,
    }
    assert own("chaosk8s.node.actions", "delete_nodes", label_selector="a=b") == {
        "label_selector": "a=b"
    }
    assert own("chaosk8s.deployment.actions", "delete_deployment", label_selector="a=b") == {
        "kind": "deployment",
        "ns": "default",
        "all": True,
        "label_selector": "a=b",
    }
    assert own("chaosk8s.pod.probes", "pods_in_phase", label_selector="a=b", ns="shop") == {
        "label_selector": "a=b",
        "ns": "shop",
    }
    ignored = own(
        "chaosk8s.pod.probes", "pods_in_phase", label_selector="a=b", raise_on_invalid_phase=False
    )
    assert ignored == {"label_selector": "a=b"}


def test_a_destination_means_what_the_driver_takes_it_for():
    given = own(
        "chaosistio.fault.actions",
        "add_abort_fault",
        virtual_service_name="shop",
        http_status=503,
        routes=[{"destination": {"host": "shop", "port": {"number": 80}}}],
        percentage=10,
    )
    # Without a subset only a route without one is meant, and a port is not looked at.
    assert given["routes"] == [{"destination": {"host": "shop", "subset": None}}]
    assert (given["percentage"], given["version"]) == (10, "networking.istio.io/v1alpha3")
    for routes in ([], None, [{"host": "shop"}], [{"destination": {}}]):
        with pytest.raises(Refused, match="routes: expected a list of"):
            own(
                "chaosistio.fault.actions",
                "add_delay_fault",
                virtual_service_name="shop",
                fixed_delay="1s",
                routes=routes,
            )


def test_in_rollbacks_things_are_set_for_good_and_others_are_left_alone():
    istio = {"virtual_service_name": "shop", "routes": NEEDED["routes"]}
    name = ("chaosistio.fault.actions", "remove_abort_fault")
    assert own(*name, **istio)["foreign"] is True
    assert own(*name, rollback=True, **istio)["foreign"] is False
    scale = python("chaosk8s.deployment.actions", "scale_deployment", name="shop", replicas=3)
    assert resolved(scale, {}, NONE)["module"] == "sloguard.faults.deployments"
    made = resolved(scale, {}, NONE, rollback=True)
    assert (made["module"], made["func"]) == ("sloguard.faults.restoring", "scale")


@pytest.mark.parametrize(
    ("provider", "said"),
    [
        (
            python("chaosk8s.pod.actions", "terminate_pods", label_select="a=b"),
            "unexpected keyword argument 'label_select'; did you mean 'label_selector'? (it takes: label_selector, ",
        ),
        (
            python("chaosk8s.pod.probes", "count_pods"),
            "chaosk8s.pod.probes.count_pods: missing a required argument: 'label_selector'",
        ),
        (
            python("chaosk8s.pod.actions", "terminate_pod"),
            "sloguard has no function of its own for it (did you mean 'terminate_pods'?)",
        ),
        (
            python("chaosk8s.pods.actions", "terminate_pods"),
            "did you mean 'chaosk8s.pod.actions'?); else install the driver that has: "
            "pip install chaostoolkit-kubernetes",
        ),
        (
            python("chaosk8s.service.actions", "delete_service", name="shop"),
            "sloguard has no function of its own for it in the method",
        ),
        (
            python("chaosk8s.networking.actions", "deny_all_ingress"),
            "label_selectors: say which pods to cut off",
        ),
        (python("chaosk8s.node.actions", "delete_nodes"), "say which nodes"),
        (
            {**python("chaosk8s.node.actions", "cordon_node"), "arguments": [1]},
            "a mapping of names",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_do(provider, said):
    with pytest.raises(Refused) as caught:
        resolved(provider, {}, NONE)
    assert said in str(caught.value)


def test_other_providers_are_left_alone():
    for provider in (
        {"type": "http", "url": "http://chaosk8s.pod.actions/"},
        python("chaosaws.ec2.actions", "stop_instance", instance_id="x"),
        python("chaosk8s_wix.pod.actions", "terminate_pods"),
        python("sloguard.faults.pods", "terminate_pods"),
    ):
        assert resolved(provider, {}, NONE) == provider
        assert refusal(provider, NONE) == ""
        assert stands_in(provider, NONE) == ""


def test_the_context_is_of_the_listed_secrets_and_else_of_the_environment():
    provider = python("chaosk8s.probes", "all_microservices_healthy")
    secrets = {"k8s": {"KUBERNETES_CONTEXT": "east"}, "other": {"KUBERNETES_CONTEXT": "west"}}
    there = replace(NONE, environ={"KUBERNETES_CONTEXT": "south"})
    assert resolved({**provider, "secrets": ["k8s"]}, secrets, there)["arguments"] == {
        "cluster": "east"
    }
    assert resolved(provider, secrets, there)["arguments"] == {"cluster": "south"}
    assert resolved(provider, secrets, NONE)["arguments"] == {}


def test_wanted_drivers_are_called_if_they_are_there():
    provider = python("chaosk8s.pod.actions", "terminate_pods", qty=2)
    wanted = replace(NONE, wanted=True)
    with pytest.raises(Refused, match="chaosk8s is not installed: pip install chaostoolkit-kub"):
        resolved(provider, {}, wanted)
    there = replace(wanted, installed=lambda _name: True)
    assert resolved(provider, {}, there) == provider
    # And where sloguard has nothing of its own, also if they are not wanted.
    other = python("chaosk8s.crd.actions", "replace_custom_object", group="x")
    assert resolved(other, {}, replace(there, wanted=False)) == other


@pytest.mark.parametrize(
    ("client", "own_version", "broken"),
    [
        ("37.0.2", "0.4.1", True),
        ("36.0.0", None, True),
        ("36.0.0a1", "0.3.0", True),
        ("35.0.0", "0.4.1", False),
        ("37.0.2", "0.5.0", False),
        (None, "0.4.1", False),
    ],
)
def test_chaosistio_is_refused_with_a_client_that_it_breaks_with(client, own_version, broken):
    versions = {"kubernetes": client, "chaostoolkit-istio": own_version}
    drivers = Drivers(wanted=True, installed=lambda _name: True, version=versions.get, environ={})
    provider = python("chaosistio.fault.actions", "add_abort_fault")
    if not broken:
        assert resolved(provider, {}, drivers) == provider
        return
    with pytest.raises(Refused, match="pip install 'kubernetes<36', or run without --use-drivers"):
        resolved(provider, {}, drivers)
    # chaosk8s works with it.
    other = python("chaosk8s.pod.actions", "terminate_pods")
    assert resolved(other, {}, drivers) == other


def experiment(**more: Any) -> Experiment:
    probe = python("chaosk8s.probes", "all_microservices_healthy", ns="${ns}")
    judge = {
        "type": "probe",
        "name": "found",
        "provider": python("chaosk8s.pod.probes", "should_be_found_in_logs", patern="x"),
    }
    cordon = python("chaosk8s.node.actions", "uncordon_node", name="n")
    return Experiment(
        "One",
        probes=(
            Activity("hypothesis[0]", "probe", "well", probe, has_tolerance=True, tolerance=judge),
        ),
        method=(Activity("method[0]", "action", "kill", python("os", "getcwd")),),
        rollbacks=(Activity("rollbacks[0]", "action", "undo", cordon),),
        declared={"title": "One", "method": []},
        **more,
    )


def test_activities_bear_the_name_of_what_stands_in():
    made = named(experiment(), NONE)
    assert made.probes[0].runs_as == "sloguard.probes.microservices.all_microservices_healthy"
    assert made.method[0].runs_as == ""
    assert made.rollbacks[0].runs_as == "sloguard.faults.nodes.uncordon_node"
    assert made.declared == experiment().declared


def test_a_document_that_is_kept_says_that_drivers_were_wanted():
    made = named(experiment(), replace(NONE, wanted=True))
    assert {a.runs_as for a in (*made.probes, *made.method, *made.rollbacks)} == {""}
    kept = masked(made)["extensions"]
    assert kept == [{"name": "sloguard", "use-drivers": True}]
    # Whoever reads it again to finish the run takes the same functions.
    assert drivers_for(experiment(extensions=tuple(kept)), wanted=False).wanted
    assert named(made, replace(NONE, wanted=True)).extensions == made.extensions


def test_a_file_is_looked_at_without_calling_anything():
    found = list(looked_at(experiment(), wanted=False))
    assert [(one.place, one.activity) for one in found] == [
        ("steady-state-hypothesis.probes[0]", "well"),
        ("steady-state-hypothesis.probes[0]", "well"),
        ("rollbacks[0]", "undo"),
    ]
    assert found[0].runs_as == "sloguard.probes.microservices.all_microservices_healthy"
    assert "did you mean 'pattern'?" in found[1].problem
    assert list(looked_at(experiment(), wanted=True)) == []


def test_rights_are_those_of_what_stands_in():
    demands = Demands.of(
        experiment(configuration={"ns": "shop"}), lambda _context: Standpoint("sloguard")
    )
    needs = {str(one.need) for one in demands.found}
    assert "list pods in namespace shop" in needs
    assert any("nodes" in need and "patch" in need for need in needs)


def test_credentials_that_only_the_driver_reads_are_named():
    provider = {**python("chaosk8s.pod.probes", "count_pods"), "secrets": ["k8s"]}
    given = {"KUBERNETES_HOST": "https://1.2.3.4", "KUBERNETES_API_KEY": "x", "OTHER": "y"}
    assert unread_credentials(provider, {"k8s": given, "else": {"KUBERNETES_USERNAME": "u"}}) == (
        "KUBERNETES_HOST",
        "KUBERNETES_API_KEY",
    )
    assert unread_credentials(provider, {"k8s": {"KUBERNETES_CONTEXT": "east"}}) == ()
    assert unread_credentials(provider, {"k8s": {"KUBERNETES_HOST": ""}}) == ()
    assert unread_credentials(python("chaosk8s.pod.probes", "count_pods"), {"k8s": given}) == ()
