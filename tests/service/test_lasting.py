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


def test_lengths_are_read_as_faults_read_them() -> None:
    """What is not known to end has its hour; what says more than that is given more."""
    options, short = Options(), Experiment(title="t", phases=Phases(10, 20, 30))
    base = longest(short, options) - 20
    abort = activity(
        type="python",
        module="sloguard.faults.istio",
        arguments={"duration": "1h30m", "start_within": "10m"},
    )
    assert longest(replace(short, method=(abort,)), options) >= base + 6000
    later = activity(
        type="python", module="sloguard.faults.load", arguments={"duration": "${how_long}"}
    )
    assert longest(replace(short, method=(later,)), options) >= base + UNKNOWN_SECONDS
    endless = activity(type="process", path="x", timeout=float("inf"))
    assert longest(replace(short, method=(endless,)), options) == base + UNKNOWN_SECONDS
    paused = replace(endless, pause_after="1h30m")
    assert longest(replace(short, method=(paused,)), options) == base + UNKNOWN_SECONDS + 5400


def test_chaos_that_is_drawn_again_and_again_has_the_time_between() -> None:
    options, short = Options(), Experiment(title="t", phases=Phases(10, 20, 30))
    drawn = activity(
        type="python",
        module="sloguard.faults.random",
        arguments={"times": 60, "every": "10m", "faults": []},
    )
    once = activity(type="python", module="sloguard.faults.random", arguments={"faults": []})
    some, one = (longest(replace(short, method=(a,)), options) for a in (drawn, once))
    undo = max(options.undo_patience, options.undo_attempts * options.undo_timeout)
    assert some - one == 60 * 600 + 59 * undo


def test_lengths_are_those_of_the_configuration() -> None:
    """As a request may set them."""
    options, short = Options(), Experiment(title="t", phases=Phases(10, 20, 30))
    base = longest(short, options) - 20
    held = activity(
        type="python", module="sloguard.faults.load", arguments={"duration": "${how_long}"}
    )
    held = replace(held, pause_after="${pause}")
    drawn = activity(
        type="python",
        module="sloguard.faults.random",
        arguments={"times": "${times}", "every": "${pause}"},
    )
    values = {"how_long": "5h", "pause": "10m", "times": "7"}
    one = replace(short, method=(held,), configuration=values)
    assert 0 <= longest(one, options) - base - 18000 - 600 < 600
    other = replace(short, method=(drawn,), configuration=values)
    assert longest(other, options) >= base + 7 * 600
