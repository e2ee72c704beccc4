"""How long a run may take at most: everything that it declares, and time for what it does not."""

from __future__ import annotations

from dataclasses import replace

from sloguard.core.model import Activity, Approval, Experiment, Phases
from sloguard.engine.options import Options
from sloguard.service.lasting import UNKNOWN_SECONDS, longest


def activity(**provider: object) -> Activity:
    return Activity("method[0]", "action", "a", provider)


def test_each_part_counts() -> None:
    options = Options()
    short = Experiment(title="t", phases=Phases(10, 20, 30))
    base = longest(short, options)
    assert base > 60
    assert longest(replace(short, phases=Phases(110, 20, 30)), options) == base + 100
    own = activity(type="python", module="sloguard.faults.pods", arguments={"timeout": 1000})
    assert longest(replace(short, method=(own,)), options) >= base + 1000
    unknown = activity(type="process", path="x")
    assert longest(replace(short, method=(unknown,)), options) >= base + UNKNOWN_SECONDS - 20
    bounded = activity(type="process", path="x", timeout="5m")
    assert longest(replace(short, method=(bounded,)), options) == base + 280
    waited = replace(bounded, pause_after=60.0)
    assert longest(replace(short, method=(waited,)), options) == base + 340
    asked = replace(short, approval=Approval(within=7200.0))
    assert longest(asked, options) == base - options.approval_within + 7200
    rolled = replace(short, rollbacks=(unknown,))
    assert longest(rolled, options) == base + 3 * options.rollback_timeout
