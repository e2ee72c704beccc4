"""Faults as plain functions, their registry, and the catalogue of them."""

from __future__ import annotations

import inspect
import json
import threading
from typing import Any

import pytest

from sloguard.faults import base
from sloguard.faults.base import (
    Context,
    FaultError,
    FaultFunction,
    Injection,
    Plan,
    all_faults,
    fault,
    find_fault,
)
from sloguard.faults.catalogue import catalogue, entry
from tests.support.calling import carry_out


class Lamp:
    """Something to switch: which of its bulbs are off."""

    def __init__(self) -> None:
        self.off: list[int] = []
        self.broken: set[int] = set()
        self.saved: list[Any] = []

    def inject(self, record: Any, context: Context) -> Any:
        self.off.append(record["bulb"])
        context.save({**record, "saved": True})
        if record["bulb"] in self.broken:
            raise FaultError(f"bulb {record['bulb']} does not go out")
        return {"off": record["bulb"], "with": record.get("key")}

    def undo(self, record: Any, _context: Context) -> str:
        self.saved.append(record)
        if record["bulb"] not in self.off:
            return ""
        self.off.remove(record["bulb"])
        return f"on: {record['bulb']}"


@pytest.fixture
def lamp() -> Lamp:
    return Lamp()


@pytest.fixture
def dim(lamp: Lamp) -> FaultFunction:
    @fault("lamps.dim", inject=lamp.inject, undo=lamp.undo)
    def dim(bulbs: list[int], level: float = 0.5, *, context: Context) -> Plan:
        """Dim bulbs of
        a lamp.

        More about it.

        bulbs: Which of them,
            by number.
        level: How bright.
        """
        return Plan(
            tuple(Injection(f"bulb {n}", {"bulb": n}, private={"key": "secret"}) for n in bulbs)
        )

    return dim


def test_a_fault_is_a_real_function_with_a_signature_of_its_own(dim: FaultFunction) -> None:
    assert inspect.isfunction(dim)
    assert isinstance(dim, FaultFunction)
    assert list(inspect.signature(dim).parameters) == ["bulbs", "level"]
    assert dim.fault.name == "lamps.dim"
    assert not isinstance(len, FaultFunction)


def test_called_plainly_it_plans_and_injects(dim: FaultFunction, lamp: Lamp) -> None:
    assert dim([1, 2]) == [{"off": 1, "with": "secret"}, {"off": 2, "with": "secret"}]
    assert lamp.off == [1, 2]


def test_called_plainly_a_failure_half_way_undoes_what_was_done(
    dim: FaultFunction, lamp: Lamp
) -> None:
    lamp.broken = {2}
    with pytest.raises(FaultError, match="bulb 2 does not go out"):
        dim(bulbs=[1, 2, 3])
    assert lamp.off == []
    # From the newest records, and without what must not be kept.
    assert lamp.saved[0] == {"bulb": 2, "key": "secret", "saved": True}


def test_what_is_private_is_not_in_the_record(dim: FaultFunction) -> None:
    injection = dim.fault.plan({"bulbs": [1]}, Context()).injections[0]
    assert "secret" not in json.dumps(injection.record)
    assert "secret" not in repr(injection)
    assert dim.fault.inject(injection, Context()) == {"off": 1, "with": "secret"}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"bulb": [1]}, "did you mean 'bulbs'?; see 'sloguard discover lamps.dim'"),
        ({}, "missing a required argument: 'bulbs'"),
        ({"bulbs": [1], "context": 1}, "multiple values"),
    ],
)
def test_arguments_that_do_not_fit(
    dim: FaultFunction, arguments: dict[str, Any], expected: str
) -> None:
    with pytest.raises(FaultError, match=expected.replace("?", r"\?")):
        dim.fault.plan(arguments, Context())


def test_a_chaos_toolkit_runs_a_fault_as_any_other_function(dim: FaultFunction) -> None:
    activity = pytest.importorskip("chaoslib.activity")
    arguments = {"name_pattern": "surely-nobody-has-this-name"}
    provider = {"type": "python", "module": "sloguard.faults.processes", "func": "kill"}
    action = {"type": "action", "name": "kill", "provider": {**provider, "arguments": arguments}}
    activity.ensure_activity_is_valid(action)
    with pytest.raises(Exception, match="no process matches name_pattern"):
        activity.run_activity(action, {}, {})


def test_a_fault_can_be_called_as_an_activity() -> None:
    provider = {"type": "python", "module": "sloguard.faults.processes", "func": "kill"}
    result = carry_out({**provider, "arguments": {"name_pattern": "surely-nobody-has-this"}})
    assert "no process matches name_pattern 'surely-nobody-has-this'" in str(result.error)
    wrong = carry_out({**provider, "arguments": {"pids": 1}})
    assert "did you mean 'pid'?" in str(wrong.error)


def test_find_fault_gives_the_nearest_name() -> None:
    assert find_fault("processes.stop").name == "processes.stop"
    with pytest.raises(FaultError, match=r"did you mean 'processes\.stop'"):
        find_fault("processes.stopp")
    with pytest.raises(
        FaultError,
        match="families: deployments, istio, kubernetes, load, netpol, network, nodes, pods, processes, random",
    ):
        find_fault("zzz")


def test_the_catalogue_documents_every_argument_of_every_fault() -> None:
    entries = catalogue()
    assert {e.name for e in entries} >= {
        "load.http_load",
        "network.delay",
        "network.loss",
        "network.partition",
        "network.throttle",
        "processes.cpu_stress",
        "processes.kill",
        "processes.memory_stress",
        "processes.restart",
        "processes.stop",
    }
    for found in entries:
        if found.name.startswith("lamps."):
            continue
        assert found.summary.endswith("."), found.name
        for argument in found.arguments:
            assert argument.doc, f"{found.name}: {argument.name}"
            assert argument.type != "any", f"{found.name}: {argument.name}"
        assert json.loads(json.dumps(found.as_json())) == json.loads(json.dumps(found.as_json()))
        # What it says can be put into an experiment as it is.
        module = __import__(found.module, fromlist=[found.func])
        assert isinstance(getattr(module, found.func), FaultFunction)
    assert [e.name for e in entries] == sorted(e.name for e in entries)
    assert len(all_faults()) == len(entries)


def test_an_entry_is_read_from_signature_and_docstring(dim: FaultFunction) -> None:
    found = entry("lamps.dim")
    assert (found.summary, found.doc) == ("Dim bulbs of a lamp.", "More about it.")
    bulbs, level = found.arguments
    assert (bulbs.type, bulbs.required, bulbs.default, bulbs.doc) == (
        "list of integer",
        True,
        None,
        "Which of them, by number.",
    )
    assert (level.type, level.required, level.default) == ("number", False, 0.5)


def test_a_context_is_seeded_and_harmless_by_itself() -> None:
    context = Context(seed=3)
    assert context.random.random() == Context(seed=3).random.random()
    context.save({})
    context.note("nothing")
    assert context.allow_url("http://anything/") is None
    assert isinstance(context.stop, threading.Event)
    assert set(base.FAMILIES) == {
        "processes",
        "load",
        "network",
        "istio",
        "pods",
        "nodes",
        "deployments",
        "netpol",
        "kubernetes",
        "random",
    }
