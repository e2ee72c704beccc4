"""What a process writes: read without ever blocking it, kept within bounds, decoded whatever it is."""

from __future__ import annotations

import os
import selectors
import threading
from collections import deque

#: Kept of each of stdout and stderr: the beginning, and the end, where errors stand.
KEEP_HEAD = 768 * 1024
KEEP_TAIL = 256 * 1024
_CHUNK = 64 * 1024
_SAMPLE = 64 * 1024


class Kept:
    """The first and the last bytes of a stream; the middle of a long one is only counted."""

    def __init__(self, head: int = KEEP_HEAD, tail: int = KEEP_TAIL) -> None:
        self._most_head = head
        self._most_tail = tail
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self.total = 0

    def add(self, data: bytes) -> None:
        """More of the stream."""
        self.total += len(data)
        room = self._most_head - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        if not data:
            return
        self._tail.append(data[-self._most_tail :])
        self._tail_size += len(self._tail[-1])
        while self._tail_size - len(self._tail[0]) >= self._most_tail:
            self._tail_size -= len(self._tail.popleft())

    def text(self) -> str:
        """What was kept, with a note in the place of what was not."""
        tail = b"".join(self._tail)[-self._most_tail :]
        left_out = self.total - len(self._head) - len(tail)
        if not left_out:
            return decode(bytes(self._head) + tail)
        return f"{decode(bytes(self._head))}[… {left_out} bytes left out]{decode(tail)}"


def decode(data: bytes) -> str:
    """Text of any bytes: UTF-8, else the encoding they look like, else UTF-8 with ``\\xNN``.

    Never raises. NUL is shown as ``\\x00``, because databases cannot keep it.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = _guessed(data)
    return text.replace("\0", "\\x00")


def _guessed(data: bytes) -> str:
    # requests brings charset_normalizer along; it is slow to import and seldom needed.
    from charset_normalizer import detect

    found = detect(data[:_SAMPLE])
    encoding, confidence = found.get("encoding"), found.get("confidence") or 0
    if encoding and float(confidence) >= 0.5:
        try:
            return data.decode(str(encoding))
        except (UnicodeDecodeError, LookupError):
            pass
    return data.decode("utf-8", "backslashreplace")


class Streams:
    """Reads several pipes in one place, until all are closed or nobody cares any more."""

    def __init__(self, *descriptors: int) -> None:
        self._selector = selectors.DefaultSelector()
        self.kept: dict[int, Kept] = {}
        for descriptor in descriptors:
            os.set_blocking(descriptor, False)
            self.kept[descriptor] = Kept()
            self._selector.register(descriptor, selectors.EVENT_READ)

    def watch(self, descriptor: int) -> None:
        """Wake ``pump`` also when this one (a pidfd) becomes readable; it is not read."""
        self._selector.register(descriptor, selectors.EVENT_READ, "watched")

    def unwatch(self, descriptor: int) -> None:
        """Stop watching it."""
        self._selector.unregister(descriptor)

    @property
    def open(self) -> bool:
        """Whether a writer is left on any of the pipes."""
        return any(key.data is None for key in self._selector.get_map().values())

    def pump(self, seconds: float) -> bool:
        """Read what there is, waiting at most ``seconds`` for it; whether anything was read."""
        if not self._selector.get_map():
            return False
        progress = False
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                progress |= self._read(key.fd)
        return progress

    def _read(self, descriptor: int) -> bool:
        try:
            data = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if data:
            self.kept[descriptor].add(data)
            return True
        self._selector.unregister(descriptor)
        os.close(descriptor)
        return False

    def close(self) -> None:
        """Give the pipes up. One that a daemon still holds is read on in the background, and forgotten.

        Were it closed, the daemon would die of SIGPIPE at its next line.
        """
        if not self.open:
            self._selector.close()
            return
        threading.Thread(target=self._drain, name="daemon output", daemon=True).start()

    def _drain(self) -> None:
        while self.open:
            for key, _ in self._selector.select():
                try:
                    if os.read(key.fd, _CHUNK):
                        continue
                except BlockingIOError:
                    continue
                except OSError:
                    pass
                self._selector.unregister(key.fd)
                os.close(key.fd)
        self._selector.close()
