"""What the engine is given: the outside as ports, and a way to do blocking work beside the loop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from sloguard.ports import Clock, Clusters, Ledger, Locks, Metrics, ambient
from sloguard.ports.alerts import AlertSource
from sloguard.ports.people import Approvals, Steps
from sloguard.ports.silences import Silences
from sloguard.providers.result import Result, UrlPolicy

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Task(Protocol[T_co]):
    """Work under way."""

    def done(self) -> bool:
        """Whether the work has ended."""
        ...

    def result(self) -> T_co:
        """What it gave; raises what it raised. Only once it is done."""
        ...


class Executor(Protocol):
    """Does blocking work beside the engine's loop."""

    def submit(self, work: Callable[[], T], *, name: str, then: Callable[[], None]) -> Task[T]:
        """Start ``work``; ``then`` is called once it has ended, from wherever it ran."""
        ...


class _Running(Generic[T]):
    """The task of one thread."""

    def __init__(self, work: Callable[[], T], name: str, then: Callable[[], None]) -> None:
        self._work, self._then = work, then
        self._ended = False
        self._result: T | None = None
        self._error: BaseException | None = None
        # A daemon: what hangs outside must not keep a finished sloguard from exiting.
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def _run(self) -> None:
        try:
            self._result = self._work()
        except BaseException as error:  # noqa: BLE001 - handed to whoever asks for the result
            self._error = error
        finally:
            self._ended = True
            self._then()

    def done(self) -> bool:
        return self._ended

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]  # set wherever there was no error


class Threads:
    """Every piece of work in a thread of its own."""

    def submit(self, work: Callable[[], T], *, name: str, then: Callable[[], None]) -> Task[T]:
        """Start a daemon thread."""
        return _Running(work, name, then)


class Call(Protocol):
    """How an activity is carried out. Never raises for what the activity does wrong."""

    def __call__(
        self,
        provider: Mapping[str, Any],
        *,
        configuration: Mapping[str, Any],
        secrets: Mapping[str, Any],
        stop: threading.Event,
        environment: Mapping[str, str],
    ) -> Result: ...


Check = Callable[[Mapping[str, Any]], str | None]


def _providers_call() -> Call:
    # Loaded with the first run, not with --help.
    from sloguard.providers.calls import call

    return call


def _providers_check() -> Check:
    from sloguard.providers.calls import check

    return check


@dataclass(frozen=True, slots=True)
class Ports:
    """The outside. ``metrics`` None: no Prometheus. ``live``: the same Prometheus with short deadlines
    for guards and the live picture; ``metrics`` if None. The ledger is called from several threads.
    ``call`` carries an activity out, ``check`` says why one could not be; ``beat`` tells the store now
    and then that the run is alive, where nothing else does. ``clusters``: those that faults work on.
    ``allow_url`` says why a fault may not call a URL, or None where it may. ``alert_sources``: who knows of
    alerts beside Prometheus itself; ``silences``: the Alertmanager in which alerts can be silenced.
    ``approvals``: where people approve; ``steps``: who goes through the method step by step."""

    metrics: Metrics | None
    clock: Clock
    ledger: Ledger
    locks: Locks
    live: Metrics | None = None
    executor: Executor = field(default_factory=Threads)
    call: Call = field(default_factory=_providers_call)
    check: Check = field(default_factory=_providers_check)
    beat: Callable[[str], object] | None = None
    clusters: Clusters = ambient.cluster
    allow_url: UrlPolicy = lambda _url: None
    alert_sources: Sequence[AlertSource] = ()
    silences: Silences | None = None
    approvals: Approvals | None = None
    steps: Steps | None = None
