"""A demo that runs nothing: what the tour asks of it, and what it was asked."""

from __future__ import annotations

from sloguard.demo.environment import Demo


class FakeDemo(Demo):
    """Always steady; remembers how quiet the tour wanted it."""

    def __init__(self) -> None:
        super().__init__()
        self.settled: list[float] = []

    @property
    def environment(self) -> dict[str, str]:
        return {"DEMO_FRONT_URL": "http://front.test"}

    def settle(self, seconds: float, *, within: float = 60.0) -> None:
        self.settled.append(seconds)
