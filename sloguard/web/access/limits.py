"""How much one client may ask: buckets that fill again with time, in the memory of each process."""

from __future__ import annotations

import hashlib
import ipaddress
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache

from sloguard.web.problems import Problem

#: So many clients are remembered; the ones seen longest ago are forgotten first.
_MOST_CLIENTS = 20_000
#: Wrong credentials that one address may show at once, and how long until it may show one more (s).
WRONG_AT_ONCE, WRONG_SECONDS = 10, 6.0
#: Failed logins of everybody that are written down, a second: nobody shall fill the disk with them.
_TOLD_AT_ONCE, _TOLD_A_SECOND = 100, 2.0


class Buckets:
    """One bucket for each key: ``burst`` at once, ``rate`` a second for long. Any thread may use it."""

    def __init__(
        self,
        rate: float,
        burst: float,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        most: int = _MOST_CLIENTS,
    ) -> None:
        self._rate, self._burst = rate, burst
        self._now = monotonic
        self._most = most
        self._lock = threading.Lock()
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> float:
        """Take one; 0.0, or the seconds until there is one again."""
        with self._lock:
            level, now = self._level(key)
            if level < 1.0:
                return (1.0 - level) / self._rate
            self._levels[key] = (level - 1.0, now)
            self._levels.move_to_end(key)
            if len(self._levels) > self._most:
                self._levels.popitem(last=False)
        return 0.0

    def wait(self, key: str) -> float:
        """As ``take``, without taking."""
        with self._lock:
            level, _ = self._level(key)
        return 0.0 if level >= 1.0 else (1.0 - level) / self._rate

    def _level(self, key: str) -> tuple[float, float]:
        now = self._now()
        level, at = self._levels.get(key, (self._burst, now))
        return min(self._burst, level + (now - at) * self._rate), now


class Attempts:
    """Wrong credentials by address. Whoever has shown too many has to wait, unless known to be right."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wrong = Buckets(1 / WRONG_SECONDS, WRONG_AT_ONCE, monotonic=monotonic)
        self._told = Buckets(_TOLD_A_SECOND, _TOLD_AT_ONCE, monotonic=monotonic)
        self._lock = threading.Lock()
        self._right: OrderedDict[bytes, None] = OrderedDict()

    def check(self, address: str, secret: str) -> None:
        """Raises a Problem (429) for an address that has to wait.

        A secret that was right before is looked at all the same: else whoever shares an address with a
        client could lock it out.
        """
        wait = self._wrong.wait(place_of(address))
        if wait and _digest(secret) not in self._right:
            raise too_many(wait, "too many wrong credentials came from this address")

    def wrong(self, address: str) -> bool:
        """Wrong ones came from here; whether that may be written down."""
        self._wrong.take(place_of(address))
        return self._told.take("") == 0.0

    def right(self, secret: str) -> None:
        """These were right."""
        digest = _digest(secret)
        with self._lock:
            self._right[digest] = None
            self._right.move_to_end(digest)
            if len(self._right) > 1000:
                self._right.popitem(last=False)


def _digest(secret: str) -> bytes:
    return hashlib.blake2b(secret.encode("utf-8", "replace"), digest_size=16).digest()


@lru_cache(maxsize=4096)
def place_of(address: str) -> str:
    """What stands for one client: an IPv4 address, or the network that one IPv6 client has to itself."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((found, 64), strict=False))


def too_many(wait: float, why: str) -> Problem:
    """The answer to whoever asks too often; ``wait``: seconds."""
    seconds = max(1, math.ceil(wait))
    detail = f"{why}: try again in {seconds} s"
    return Problem("rate-limited", detail, headers={"Retry-After": str(seconds)})


def come_again(wait: float) -> Problem:
    """The same for a webhook: what is answered with 4xx is not sent again soon, or not at all."""
    seconds = max(1, math.ceil(wait))
    detail = f"too much comes at once: send it again in {seconds} s"
    return Problem("unavailable", detail, headers={"Retry-After": str(seconds)})
