"""The thread in which a run's hooks are called, one after another.

Always the same one, as in the Chaos Toolkit: a control may keep things in places of the thread.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Call:
    work: Callable[[], object]
    done: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None


class HookThread:
    """Starts with the first call. A daemon: what hangs in a hook must not keep sloguard from exiting."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def do(self, work: Callable[[], object]) -> None:
        """Have it done there and wait for its end; raises what it raises."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="controls", daemon=True)
            self._thread.start()
        call = _Call(work)
        self._calls.put(call)
        call.done.wait()
        if call.error is not None:
            raise call.error

    def close(self) -> None:
        """End it once it has nothing more to do."""
        if self._thread is not None:
            self._calls.put(None)

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call.work()
            except BaseException as error:  # noqa: BLE001 - handed to who waits for it
                call.error = error
            finally:
                call.done.set()
