"""One stress worker, a process of its own: standard library only, run as a file.

Its standard input is a pipe that nobody writes to: when sloguard ends, for whatever reason, the pipe
closes and the worker ends too. (A parent-death signal would not do: it follows the thread that
started the worker.) It also ends when its time is up, should both ends of the pipe survive.
"""

from __future__ import annotations

import os
import select
import sys
import time

#: The load is spread over slices of this length, seconds.
SLICE = 0.1


def main(arguments: list[str]) -> int:
    """``cpu LOAD SECONDS TOKEN`` or ``memory BYTES SECONDS TOKEN``; 0 seconds: no end by itself."""
    kind, amount, seconds = arguments[0], float(arguments[1]), float(arguments[2])
    deadline = time.monotonic() + seconds if seconds else float("inf")
    if kind == "memory":
        return _fill(int(amount), deadline)
    return _burn(amount, deadline)


_PARENT = os.getppid()


def _over(deadline: float, wait: float) -> bool:
    """Wait, and tell whether it is over: the pipe closed, the parent gone, or the time is up."""
    readable, _, _ = select.select([0], [], [], max(min(wait, deadline - time.monotonic()), 0))
    return bool(readable) or os.getppid() != _PARENT or time.monotonic() >= deadline


def _burn(load: float, deadline: float) -> int:
    """Use ``load`` (0..1) of a CPU, by what the kernel accounts."""
    began, used = time.monotonic(), time.process_time()
    while not _over(deadline, 0):
        now = time.monotonic()
        # What was missed in a slice is made up for, but not without end: a busy machine owes nothing.
        goal = min(used + (now - began + SLICE) * load, time.process_time() + SLICE)
        while time.process_time() < goal and time.monotonic() < now + 2 * SLICE:
            for _ in range(2000):
                pass
        rest = now + SLICE - time.monotonic()
        if rest > 0 and _over(deadline, rest):
            return 0
    return 0


def _fill(size: int, deadline: float) -> int:
    """Hold ``size`` bytes, each page written to; announces itself on standard output."""
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")
    except OSError:
        pass
    step, held = 16 << 20, []
    page = os.sysconf("SC_PAGE_SIZE")
    while size > 0:
        if _over(deadline, 0):
            return 0
        block = bytearray(min(step, size))
        # Random first bytes, so that no kernel finds two pages to be the same.
        for at in range(0, len(block), page):
            block[at : at + 8] = os.urandom(8)[: len(block) - at]
        held.append(block)
        size -= len(block)
    os.write(1, b"full\n")
    while not _over(deadline, 1.0):
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
