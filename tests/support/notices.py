"""Notices for tests: made as a run makes them, from a verdict that people have read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sloguard.core import events
from sloguard.core.model import Experiment, FaultRecord, Outcome
from sloguard.notifiers.base import Notice, Picture
from sloguard.ports.outbox import Message
from sloguard.service.announcing import Story
from sloguard.service.notices import Notices, Rule
from tests.support.golden import GOLDEN

RUN = "20260101T120000-abc123"
AT = 1_767_268_980.0  # 2026-01-01T12:03:00Z
#: A title as somebody writes it who wants to see what breaks.
HOSTILE = "<b>*Checkout* & _friends_</b> <!channel> [x](http://evil) \x1b[31m`rm`"

STORY = Story(
    run=RUN,
    title="Checkout keeps its promise",
    experiment="checkout",
    tags=("shop", "pod"),
    started_at=AT - 300,
    targets=("python[12]",),
)
#: One entry of a document's budgets.
BUDGET: dict[str, Any] = {
    "slo": "errors",
    "target": 0.999,
    "period_seconds": 30 * 86400,
    "labels": {"service": "a|b"},
    "left_before": 0.84,
    "spent_by_run": 0.012,
    "left_after": 0.828,
    "known_share": 1.0,
    "reason": "",
}

#: A picture of one grey pixel, for messages whose picture nobody looks at.
PICTURE = Picture(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010800000000"
        "3a7e9b550000000a49444154789c6368000000820081d7d80a8c0000000049454e44ae426082"
    ),
    "▁▁▁▁▂▆█▆▂▁▁▁",
    "error-ratio: 12% at 12:00:10Z, not < 5%",
)


def verdict(**changes: Any) -> dict[str, Any]:
    """The document of a run that deviated."""
    found: dict[str, Any] = json.loads((GOLDEN / "verdict-deviated.json").read_text("utf-8"))
    return {**found, **changes}


def ended(outcome: Outcome = Outcome.DEVIATED, reason: str = "", **changes: Any) -> events.RunEnded:
    """The last event of a run."""
    document = verdict(outcome=str(outcome), **changes)
    return events.RunEnded(AT, RUN, outcome, reason or document["reason"], document, None)


def started() -> events.RunStarted:
    """The first one."""
    return events.RunStarted(AT - 300, RUN, Experiment(title=STORY.title), {})


def left_behind() -> tuple[events.RunEnded, Story]:
    """A run whose fault is still there."""
    fault = {
        "id": "1",
        "fault": "network.delay",
        "target": "eth0 of shop-1",
        "status": "left",
        "injected_at": None,
        "undone_at": None,
        "detail": "ssh: connection refused",
        "by_hand": "tc qdisc del dev eth0 root && echo 'done <ok>'",
    }
    record = FaultRecord(
        **{k: v for k, v in fault.items() if k not in ("injected_at", "undone_at")}
    )
    event = ended(Outcome.NOT_RESTORED, "left behind: network.delay on eth0", faults=[fault])
    return event, replace(STORY, faults={"1": record})


def payload(
    event: events.Event | None = None,
    story: Story = STORY,
    *,
    base_url: str = "https://chaos.example.com",
) -> Mapping[str, Any]:
    """What the outbox keeps of an event for one channel that wants all."""
    notices = Notices([Rule(channel="x:y", when="always")], base_url=base_url)
    (draft,) = notices(event or ended(), story)
    return draft.payload


def notice(event: events.Event | None = None, story: Story = STORY) -> Notice:
    """The same as channels read it."""
    return Notice.of(payload(event, story))


def message(
    told: Mapping[str, Any] | None = None, *, channel: str = "x:y", key: str = "k", **more: Any
) -> Message:
    """A message as it is delivered."""
    told = told if told is not None else payload()
    given = {"number": 1, "created_at": AT, "attempts": 1, "kind": str(told["event"]), **more}
    return Message(channel=channel, key=key, payload=told, **given)


class Delivery:
    """ports.outbox.Delivery that a test looks into. ``before``: the message that came before."""

    def __init__(self, before: Message | None = None) -> None:
        self.before = before
        self.kept: list[Mapping[str, Any]] = []

    def remember(self, memory: Mapping[str, Any]) -> None:
        self.kept.append(dict(memory))

    def earlier(self) -> Message | None:
        return self.before
