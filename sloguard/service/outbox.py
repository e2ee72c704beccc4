"""Delivers what the outbox holds, each channel in a thread of its own: none waits for another.

Any number of couriers may work on one outbox: the run itself, the next one, the service. A message that
does not arrive is tried again later and later; what was refused for good, or is too old, is given up and
kept for people to see.
"""

from __future__ import annotations

import logging
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sloguard.core.text import iso_time
from sloguard.ports import OutsideError
from sloguard.ports.outbox import Channel, DeliveryError, Message, MessageState, Outbox

log = logging.getLogger(__name__)

#: So long a message is one courier's, in seconds; a delivery has to be over by then.
LEASE_SECONDS = 120.0
#: Between two looks where nothing was due, and after one that the store did not answer, in seconds.
LOOK_SECONDS = 1.0
STORE_SECONDS = 5.0
#: How long a store that is away is waited for to keep what was delivered, in seconds.
SETTLE_SECONDS = 30.0
TIDY_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Persistence:
    """How long and how often a message is tried, in seconds.

    Attempt n waits ``first`` * 2**(n-1), at most ``most``, of which up to half is left to chance. A longer
    wait that the other side asks for is granted up to ``longest_asked``. Messages that were kept more than
    ``age`` ago are given up; what ended is forgotten after ``keep``.
    """

    first: float = 1.0
    most: float = 600.0
    longest_asked: float = 3600.0
    age: float = 7 * 86400.0
    keep: float = 30 * 86400.0

    def pause(self, attempts: int, asked: float | None, chance: float) -> float:
        """Seconds until the next attempt; ``chance`` from 0 to 1."""
        grown: float = min(self.most, self.first * 2.0 ** min(attempts - 1, 30))
        own = grown * (1.0 - chance / 2.0)
        return own if asked is None else max(own, min(asked, self.longest_asked))


class Courier:
    """Delivers the messages of some channels. ``start`` returns at once, ``stop`` soon.

    It may be killed at any time: what was under way is another one's once its lease has run out.
    ``now`` is the outbox's clock.
    """

    def __init__(
        self,
        outbox: Outbox,
        channels: Iterable[Channel],
        *,
        persistence: Persistence | None = None,
        now: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
        look: float = LOOK_SECONDS,
    ) -> None:
        self._outbox, self._persistence = outbox, persistence or Persistence()
        self._now, self._chance, self._look = now, chance, look
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._asked = 0
        self._lanes = [_Lane(channel) for channel in channels]
        self._threads: list[threading.Thread] = []

    @property
    def channels(self) -> tuple[str, ...]:
        """Whose messages it delivers."""
        return tuple(lane.channel.name for lane in self._lanes)

    def start(self) -> None:
        """Begin; once."""
        tidying = threading.Thread(target=self._tidying, name="tidying the outbox", daemon=True)
        self._threads = [tidying, *map(self._thread, self._lanes)]
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Something was put into the outbox: look at once. From any thread."""
        for lane in self._lanes:
            lane.wake.set()

    def flush(self, seconds: float) -> bool:
        """Wait until nothing is due any more, at most ``seconds``; whether that is so. After ``start``.

        What waits for its next attempt is not waited for.
        """
        with self._changed:
            self._asked += 1
            asked = self._asked
            self.wake()
            return self._changed.wait_for(
                lambda: all(lane.seen >= asked for lane in self._lanes), seconds
            )

    def stop(self, seconds: float = 1.0) -> None:
        """Begin nothing more, and wait so long for what is under way; where that takes longer the process
        may end all the same."""
        self._stopping.set()
        self.wake()
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def turn(self, name: str) -> bool:
        """Deliver the first due message of a channel, or fail to; whether there was one.

        Raises OutsideError where the store is away.
        """
        lane = next(lane for lane in self._lanes if lane.channel.name == name)
        message = self._outbox.take([name], holder=lane.holder, seconds=LEASE_SECONDS)
        if message is None:
            return False
        self._carry(message, lane)
        return True

    def tidy(self) -> None:
        """Give up what is too old, of any channel, and forget what ended long ago. Raises OutsideError."""
        now = self._now()
        gone = self._outbox.expire_messages(now - self._persistence.age)
        if gone:
            log.warning("%d messages are given up for their age", gone)
        self._outbox.prune_messages(now - self._persistence.keep)

    # Threads.

    def _thread(self, lane: _Lane) -> threading.Thread:
        name = f"to {lane.channel.name}"
        return threading.Thread(target=self._deliver, args=(lane,), name=name, daemon=True)

    def _deliver(self, lane: _Lane) -> None:
        while not self._stopping.is_set():
            lane.wake.clear()
            asked = self._asked
            pause = self._look
            try:
                while not self._stopping.is_set() and self.turn(lane.channel.name):
                    pass
            except OutsideError as error:
                log.warning("the outbox does not answer: %s", error)
                pause = STORE_SECONDS
            except Exception:
                log.exception("this is a bug")
                pause = STORE_SECONDS
            with self._changed:
                lane.seen = asked
                self._changed.notify_all()
            lane.wake.wait(pause)

    def _tidying(self) -> None:
        while True:
            try:
                self.tidy()
            except OutsideError as error:
                log.warning("the outbox does not answer: %s", error)
            except Exception:
                log.exception("this is a bug")
            if self._stopping.wait(TIDY_SECONDS):
                return

    # One message.

    def _carry(self, message: Message, lane: _Lane) -> None:
        number, holder = message.number, lane.holder
        what = f"message {number} ({message.kind}) to {lane.channel.name}"
        if self._is_too_old(message):
            self._settled(lambda: self._outbox.give_up(number, holder, _late(message.error)))
            log.warning("%s is given up: it is too old", what)
            return
        try:
            delivery = _Delivery(self._outbox, message, holder)
            memory = lane.channel.deliver(message, delivery)
        except _Lost:
            log.info("%s took too long: somebody else delivers it", what)
        except DeliveryError as error:
            self._failed(message, lane, str(error), error.permanent, error.retry_after, what)
        except Exception as error:
            # Not the message's fault as far as anybody knows: it keeps its chance.
            if not isinstance(error, OutsideError):
                log.exception("%s: this is a bug", what)
            said = str(error) if isinstance(error, OutsideError) else type(error).__name__
            self._failed(message, lane, said, permanent=False, asked=None, what=what)
        else:
            self._settled(lambda: self._outbox.delivered(number, holder, memory))
            log.info("%s has arrived", what)

    def _failed(
        self,
        message: Message,
        lane: _Lane,
        said: str,
        permanent: bool,
        asked: float | None,
        what: str,
    ) -> None:
        if permanent:
            self._settled(lambda: self._outbox.give_up(message.number, lane.holder, said))
            log.warning("%s is given up: %s", what, said)
            return
        pause = self._persistence.pause(message.attempts, asked, self._chance())
        until = self._now() + pause
        self._settled(lambda: self._outbox.postpone(message.number, lane.holder, said, until=until))
        log.info("%s did not arrive, again in %.0f s: %s", what, pause, said)

    def _is_too_old(self, message: Message) -> bool:
        now = self._now()
        over = message.expires_at is not None and message.expires_at <= now
        return over or message.created_at < now - self._persistence.age

    def _settled(self, write: Callable[[], object]) -> None:
        """What has happened is kept, also where the store is away for a moment: else it happens again."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            try:
                write()
                return
            except OutsideError:
                if time.monotonic() >= deadline or self._stopping.wait(0.2):
                    raise


class _Lane:
    """A channel, and how far its thread is. ``seen``: the last ``flush`` after which nothing was due."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        # Nobody else's, so that one who comes too late is known.
        self.holder = secrets.token_hex(8)
        self.wake = threading.Event()
        self.seen = 0


class _Lost(OutsideError):
    """The message is somebody else's by now."""


class _Delivery:
    """ports.outbox.Delivery of one message."""

    def __init__(self, outbox: Outbox, message: Message, holder: str) -> None:
        self._outbox, self._message, self._holder = outbox, message, holder

    def remember(self, memory: Mapping[str, Any]) -> None:
        """Keep this durably before going on."""
        if not self._outbox.remember(self._message.number, self._holder, memory):
            raise _Lost(f"message {self._message.number} is somebody else's by now")

    def earlier(self) -> Message | None:
        """The last message of this stream that has arrived; None where no stream orders them."""
        if not self._message.stream:
            return None
        return self._outbox.last_delivered(self._message.channel, self._message.stream)


def _late(error: str) -> str:
    return f"it is too old by now: {error}" if error else "it is too old by now"


def described(message: Message) -> dict[str, Any]:
    """A message as JSON for people and programs, without what it says."""

    def told(at: float | None) -> str | None:
        return iso_time(at) if at else None

    waits = message.state is MessageState.WAITING
    return {
        "number": message.number,
        "channel": message.channel,
        "kind": message.kind,
        "stream": message.stream,
        "key": message.key,
        "state": str(message.state),
        "attempts": message.attempts,
        "created": told(message.created_at),
        "next_attempt": told(message.next_at) if waits else None,
        "ended": told(message.ended_at),
        "error": message.error,
    }
