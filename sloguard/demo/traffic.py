"""The shop's customers: ``python -m sloguard.demo.traffic URL --rate 80``.

An open loop: requests start on time whether or not earlier ones were answered, as users do. A closed loop
would slow down with the shop and hide the very errors that an experiment is to show.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections.abc import Sequence
from urllib.parse import urlsplit

#: Customers on the way at once; above that new ones stay away (a shop that hangs is not to be buried).
MOST = 256
PATIENCE = 10.0

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Customers:
    """Sends GETs to one URL at a steady rate and keeps connections open in between."""

    def __init__(self, url: str, rate: float) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._request = (
            f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n\r\n".encode()
        )
        self._interval = 1 / rate
        self._idle: list[Connection] = []
        self._under_way: set[asyncio.Task[None]] = set()

    async def come(self) -> None:
        """Until cancelled."""
        try:
            await self._come()
        finally:
            for task in self._under_way:
                task.cancel()
            for _, writer in self._idle:
                writer.close()

    async def _come(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due += self._interval
            ahead = due - loop.time()
            if ahead > 0:
                await asyncio.sleep(ahead)
            elif ahead < -1:
                due = loop.time()  # the machine slept: do not make up for it with a burst
            if len(self._under_way) < MOST:
                task = loop.create_task(self._visit())
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)

    async def _visit(self) -> None:
        # What goes wrong is the shop's to count; a customer just goes home.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError, ValueError):
            async with asyncio.timeout(PATIENCE):
                await self._exchange()

    async def _exchange(self) -> None:
        if self._idle:
            reader, writer = self._idle.pop()
        else:
            reader, writer = await asyncio.open_connection(self._host, self._port)
        whole = False
        try:
            writer.write(self._request)
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(_length(head))
            whole = True
        finally:
            if whole:
                self._idle.append((reader, writer))
            else:
                writer.close()


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise ValueError("an answer without Content-Length")


def main(arguments: Sequence[str] | None = None) -> None:
    """Send load until killed."""
    parser = argparse.ArgumentParser(prog="sloguard.demo.traffic", description="The demo's load")
    parser.add_argument("url")
    parser.add_argument("--rate", type=float, default=80, help="requests per second")
    parser.add_argument("--demo", help="which demo this belongs to; only shown in the process list")
    given = parser.parse_args(arguments)
    asyncio.run(Customers(given.url, given.rate).come())


if __name__ == "__main__":
    main()
