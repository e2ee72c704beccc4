"""The customers: an open loop over real sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from sloguard.demo.traffic import Customers

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Counter:
    """A server that answers after ``delay`` and counts connections, requests and those under way."""

    def __init__(
        self, delay: float, answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    ) -> None:
        self.delay, self.answer = delay, answer
        self.connections = self.requests = self.under_way = self.most = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                self.requests += 1
                self.under_way += 1
                self.most = max(self.most, self.under_way)
                await asyncio.sleep(self.delay)
                self.under_way -= 1
                writer.write(self.answer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the customer went home, or the test is over
        finally:
            writer.close()


async def visit(counter: Counter, rate: float, seconds: float) -> float:
    """How long they were there."""
    server = await asyncio.start_server(counter.serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        customers = asyncio.create_task(Customers(f"http://127.0.0.1:{port}/order", rate).come())
        began = time.monotonic()
        await asyncio.sleep(seconds)
        spent = time.monotonic() - began
        customers.cancel()
        with pytest.raises(asyncio.CancelledError):
            await customers
    return spent


def test_a_quick_shop_is_visited_on_time_over_few_connections() -> None:
    counter = Counter(0)
    spent = asyncio.run(visit(counter, rate=200, seconds=1.0))
    assert 15 <= counter.requests <= 210 * spent
    assert counter.connections <= counter.requests / 2


def test_a_slow_shop_is_visited_as_often_as_a_quick_one() -> None:
    counter = Counter(0.3)
    asyncio.run(visit(counter, rate=100, seconds=1.0))
    assert counter.requests >= 10, "a closed loop would have sent a handful"
    assert counter.most >= 5


def test_customers_survive_a_shop_that_answers_nonsense() -> None:
    counter = Counter(0, answer=b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
    asyncio.run(visit(counter, rate=100, seconds=0.6))
    assert counter.requests >= 4
