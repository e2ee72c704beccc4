"""A lean HTTP/1.1 client for load: one connection kept alive, one request after the other, bodies thrown away."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
import time
from dataclasses import dataclass, field
from typing import Any

_STATUS = re.compile(rb"^HTTP/1\.[01] (\d{3})(?: |\r\n)")
_MOST_HEADERS = 64 * 1024
_CHUNK = 64 * 1024
#: How long an address is used before the name is looked up again, seconds.
_ADDRESS_LIFE = 5.0


class Failed(Exception):
    """A request without an answer; ``kind`` is a word of the report."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class _Stale(Exception):
    """The server had closed a kept connection before it saw the request."""


@dataclass(slots=True)
class Target:
    """Where requests go, and the request itself in bytes."""

    host: str
    port: int
    head: bytes
    body: bytes
    expects_body: bool
    idempotent: bool
    tls: ssl.SSLContext | None = None
    _addresses: list[Any] = field(default_factory=list)
    _looked_up: float = float("-inf")
    _turn: int = 0

    async def address(self) -> str:
        """One of the host's addresses, in turn. Raises Failed."""
        now = time.monotonic()
        if not self._addresses or now - self._looked_up > _ADDRESS_LIFE:
            loop = asyncio.get_running_loop()
            try:
                found = await loop.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError):
                raise Failed("name not resolved") from None
            self._addresses, self._looked_up = [f[4][0] for f in found], now
        self._turn += 1
        return str(self._addresses[self._turn % len(self._addresses)])


class Connection:
    """One client. Not for use by two tasks at once."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._used = False
        self.failed = False
        self.sent = 0
        self.received = 0

    async def request(self, timeout: float) -> int:
        """Send the request, read the answer to its end; its status. Raises Failed."""
        try:
            async with asyncio.timeout(timeout):
                try:
                    return await self._once()
                except _Stale:
                    return await self._once()
        except TimeoutError:
            self.drop()
            raise Failed("timeout") from None
        except BaseException:
            self.drop()
            raise

    async def _once(self) -> int:
        kept = self._used and self._streams is not None
        reader, writer = self._streams or await self._connect()
        try:
            writer.write(self._target.head + self._target.body)
            self.sent += len(self._target.head) + len(self._target.body)
            await writer.drain()
            status, headers = await self._head(reader)
            keep = await self._body(reader, status, headers)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, OSError) as error:
            self.drop()
            nothing = isinstance(error, ConnectionError) or getattr(error, "partial", b"x") == b""
            if kept and nothing and self._target.idempotent:
                raise _Stale from None
            raise Failed("connection lost") from None
        except (asyncio.LimitOverrunError, ValueError):
            raise Failed("not HTTP") from None
        self._used = True
        if not keep:
            self.drop()
        return status

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        target = self._target
        address = await target.address()
        try:
            self._streams = await asyncio.open_connection(
                address,
                target.port,
                ssl=target.tls,
                server_hostname=target.host if target.tls else None,
                limit=_MOST_HEADERS,
            )
        except ConnectionRefusedError:
            raise Failed("connection refused") from None
        except ssl.SSLError:
            raise Failed("TLS error") from None
        except ConnectionError:
            raise Failed("connection lost") from None
        except TimeoutError:
            raise
        except OSError:
            raise Failed("no connection") from None
        self._used = False
        return self._streams

    async def _head(self, reader: asyncio.StreamReader) -> tuple[int, dict[bytes, bytes]]:
        """Status and headers of the final answer; interim ones (1xx) are passed over."""
        while True:
            raw = await reader.readuntil(b"\r\n\r\n")
            self.received += len(raw)
            found = _STATUS.match(raw)
            if not found:
                raise ValueError("no status line")
            status = int(found.group(1))
            if status >= 200 or status == 101:
                break
        headers: dict[bytes, bytes] = {}
        for line in raw.split(b"\r\n")[1:-2]:
            name, _, value = line.partition(b":")
            headers[name.strip().lower()] = value.strip()
        if raw.startswith(b"HTTP/1.0"):
            headers.setdefault(b"connection", b"close")
        return status, headers

    async def _body(
        self, reader: asyncio.StreamReader, status: int, headers: dict[bytes, bytes]
    ) -> bool:
        """Read the body and forget it; whether the connection can be used again."""
        keep = headers.get(b"connection", b"").lower() != b"close"
        if not self._target.expects_body or status in (204, 304):
            return keep
        if b"chunked" in headers.get(b"transfer-encoding", b"").lower():
            await self._chunks(reader)
            return keep
        length = headers.get(b"content-length")
        if length is not None:
            await self._skip(reader, int(length))
            return keep
        while data := await reader.read(_CHUNK):
            self.received += len(data)
        return False

    async def _chunks(self, reader: asyncio.StreamReader) -> None:
        while True:
            line = await reader.readuntil(b"\r\n")
            self.received += len(line)
            size = int(line.partition(b";")[0], 16)
            if size == 0:
                break
            await self._skip(reader, size + 2)
        while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
            self.received += len(line)

    async def _skip(self, reader: asyncio.StreamReader, size: int) -> None:
        while size > 0:
            data = await reader.read(min(size, _CHUNK))
            if not data:
                raise asyncio.IncompleteReadError(b"some", size)
            size -= len(data)
            self.received += len(data)

    def drop(self) -> None:
        """Give the connection up at once; the next request opens another."""
        if self._streams is not None:
            with contextlib.suppress(OSError, RuntimeError):
                self._streams[1].transport.abort()
            self._streams = None
