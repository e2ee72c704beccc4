"""Trouble on the way to the double: lost connections, errors, slowness, and a server that is away."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from tests.fakes.kubernetes.api import Request

What = Literal["lost-before", "lost-after", "error", "busy", "slow"]


@dataclass
class Rule:
    """What goes wrong with some requests: ``times`` of those that ``match``, after ``skip`` of them."""

    what: What
    match: Callable[[Request], bool] = lambda _request: True
    skip: int = 0
    times: int = 1
    status: int = 500
    seconds: float = 0.0
    seen: int = 0

    def hits(self, request: Request) -> bool:
        if not self.match(request):
            return False
        self.seen += 1
        return self.skip < self.seen <= self.skip + self.times


@dataclass
class Trouble:
    """All rules. ``before`` and ``after`` are told every request: its number from 0, and what it is."""

    rules: list[Rule] = field(default_factory=list)
    before: Callable[[int, Request], None] = lambda _number, _request: None
    after: Callable[[int, Request], None] = lambda _number, _request: None
    away: threading.Event = field(default_factory=threading.Event)

    def add(self, what: What, **more: object) -> Rule:
        """A new rule."""
        rule = Rule(what, **more)  # type: ignore[arg-type]  # the fields of Rule, by name
        self.rules.append(rule)
        return rule

    def of(self, request: Request) -> Rule | None:
        """The first rule that hits; all of them count."""
        hit = [rule for rule in self.rules if rule.hits(request)]
        return hit[0] if hit else None
