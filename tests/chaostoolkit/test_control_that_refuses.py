"""What the control refuses before anything of Prometheus or of the method is touched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chaoslib.exceptions import InterruptExecution
from chaoslib.types import Dry

from sloguard.chaostoolkit import control
from sloguard.chaostoolkit.reading import experiment_of

NOBODY = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def alone(tmp_path: Path) -> Iterator[dict[str, Any]]:
    control.configure_control({})
    (tmp_path / "sloguard.yaml").write_text("prometheus: {retries: 0}\n")
    yield {"prometheus": NOBODY, "config": str(tmp_path / "sloguard.yaml"), "keep": False}
    control.cleanup_control()


def experiment(**more: Any) -> dict[str, Any]:
    slo = {"name": "errors", "query": "errors", "objective": "< 1%", "lookback": "5s"}
    hypothesis = {"title": "It sells", "slos": [slo]}
    return {
        "title": "A shop",
        "description": "A shop.",
        "steady-state-hypothesis": hypothesis,
        "method": [],
        **more,
    }


def ended(declared: dict[str, Any]) -> dict[str, Any]:
    """The Chaos Toolkit's journal of a run that was interrupted before its method."""
    journal: dict[str, Any] = {"status": "interrupted", "deviated": False, "run": []}
    control.after_experiment_control(declared, journal)
    return journal


@pytest.mark.parametrize(
    ("approval", "why"),
    [
        ({"required": True}, "it has to be approved"),
        ({"by": ["user:ada"]}, "it has to be approved"),
        ({"required": "${ask}"}, "it has to be approved"),
        ({"required": "perhaps"}, "approval.required"),
        (True, "approval"),
    ],
)
def test_what_has_to_be_approved_is_not_started(
    alone: dict[str, Any], approval: Any, why: str
) -> None:
    declared = experiment(approval=approval)
    with pytest.raises(InterruptExecution, match=why):
        control.before_experiment_control(declared, {"ask": True}, {}, **alone)
    journal = ended(declared)
    assert journal["status"] == "failed"
    assert why in journal["sloguard"]["reason"]


def test_what_need_not_be_approved_goes_on_to_prometheus(alone: dict[str, Any]) -> None:
    with pytest.raises(InterruptExecution, match="refused"):
        control.before_experiment_control(experiment(approval={"required": False}), {}, {}, **alone)


@pytest.mark.parametrize("dry", [Dry.ACTIONS, Dry.ACTIVITIES])
def test_without_its_actions_a_run_is_not_judged(alone: dict[str, Any], dry: Dry) -> None:
    declared = experiment(dry=dry, approval={"required": True})
    control.before_experiment_control(declared, {}, {}, **alone)
    journal: dict[str, Any] = {"status": "completed", "deviated": False}
    control.after_experiment_control(declared, journal)
    assert journal == {"status": "completed", "deviated": False}


# The words of a file are nothing to the Chaos Toolkit: it carries everything out.
@pytest.mark.parametrize("dry", [Dry.PROBES, Dry.PAUSE, "activities", True])
def test_a_dry_run_with_its_actions_needs_its_judge(alone: dict[str, Any], dry: Any) -> None:
    declared = experiment(dry=dry)
    with pytest.raises(InterruptExecution, match="unknown argument"):
        control.before_experiment_control(declared, {}, {}, **alone, mistyped=True)
    assert ended(declared)["status"] == "failed"


def test_the_hypotheses_of_the_backlog_are_known_by_their_tags() -> None:
    read = experiment_of(experiment(backlog=["one", "two"], tags=["shop"]), {}, {})
    assert read.tags == ("shop", "backlog:one", "backlog:two")


class Registry:
    """Keeps what is registered with the Chaos Toolkit's runner."""

    def __init__(self) -> None:
        self.handlers: list[Any] = []

    def register(self, handler: Any) -> None:
        self.handlers.append(handler)


@pytest.mark.parametrize(
    ("approval", "rolls_back"),
    [
        (None, True),
        ({"required": False}, True),
        # What it stands for is known only when the run begins.
        ({"required": "${ask}"}, True),
        ({"required": True}, False),
        ({}, False),
    ],
)
def test_what_nobody_approved_is_not_rolled_back_either(approval: Any, rolls_back: bool) -> None:
    guard = {"name": "down", "query": "up", "objective": "> 0"}
    more = {} if approval is None else {"approval": approval}
    registry = Registry()
    control.configure_control(experiment(**{"abort-when": [guard], **more}), registry)
    assert bool(registry.handlers) is rolls_back
