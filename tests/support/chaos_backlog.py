"""A backlog for the weeks of ``chaos_weeks``: what their runs confirm, refute and leave open."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from sloguard.core.backlog import Offered
from sloguard.core.events import Event, RunStarted
from sloguard.service.backlog import AttemptSource, BacklogDesk

BACKLOG = """\
title: What the shop believes
hypotheses:
- {id: pod-lost, hypothesis: We believe that checkout survives a lost pod., title: Checkout survives a lost pod, likelihood: 5, impact: 5, owner: payments, experiment: lose-a-pod.yaml}
- {id: front-killed, hypothesis: We believe that the front comes back., likelihood: 3, impact: 4, owner: web, services: front, experiment: kill-front.yaml}
- {id: bank-away, hypothesis: We believe that payment waits for the bank., likelihood: 2, impact: 5, owner: payments, experiment: cut-off-payment.yaml}
- {id: catalogue-busy, hypothesis: We believe that the catalogue bears full load., likelihood: 4, impact: 2, experiment: busy-catalogue.yaml}
- {id: node-drained, hypothesis: We believe that a drained node costs nobody an order., likelihood: 3, impact: 3, experiment: drain-a-node.yaml}
- {id: search-away, hypothesis: We believe that orders go on without search., likelihood: 4, impact: 4, status: planned}
- {id: region-lost, hypothesis: We believe that customers are served from another region., likelihood: 1, impact: 5, status: accepted}
- {id: old, hypothesis: We believe that the old shop still works., likelihood: 5, impact: 5, status: dropped}
- {id: dns-slow, hypothesis: "We believe that slow DNS is nobody's business but ours, \\u2068<b>whoever</b> asks.", likelihood: 1, impact: 1, experiment: slow-dns.yaml}
"""  # fmt: skip
OFFERED = tuple(
    Offered(name=name, file=f"/experiments/{name}.yaml", title=name)
    for name in ("lose-a-pod", "kill-front", "cut-off-payment", "busy-catalogue", "drain-a-node")
)


def tagged(told: Iterable[Event], *tags: str) -> Iterator[Event]:
    """A run's events, with these tags at its experiment."""
    for event in told:
        if isinstance(event, RunStarted):
            yield replace(event, experiment=replace(event.experiment, tags=tags))
        else:
            yield event


def backlog_desk(directory: Path, store: AttemptSource | None, text: str = BACKLOG) -> BacklogDesk:
    """A desk over a file in this directory."""
    file = directory / "backlog.yaml"
    file.write_text(text)
    return BacklogDesk(file, store, lambda: OFFERED)
