"""A channel of the outbox that a test holds the strings of."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from sloguard.ports.outbox import Delivery, Message


class FakeChannel:
    """Keeps what arrives; ``answer`` decides about each message: raise, or what to remember.

    While ``gate`` is closed a delivery hangs in it.
    """

    def __init__(
        self,
        name: str = "fake",
        answer: Callable[[Message, Delivery], Mapping[str, Any]] = lambda *_: {},
    ) -> None:
        self.name, self.answer = name, answer
        self.asked: list[str] = []
        self.arrived: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def deliver(self, message: Message, delivery: Delivery) -> Mapping[str, Any]:
        """As ``answer`` says."""
        self.asked.append(message.key)
        self.entered.set()
        self.gate.wait(60.0)
        memory = self.answer(message, delivery)
        self.arrived.append(message.key)
        return memory
