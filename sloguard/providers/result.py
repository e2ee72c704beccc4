"""What a call gives back, and the limits within which all calls stay."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from sloguard.core.model import Json
from sloguard.core.objective import ObjectiveError, parse_duration

#: How often a waiting call looks whether it was stopped, seconds.
LOOK = 0.05

#: Longest error text.
_LONGEST = 500

#: Says why a URL may not be called, or None where it may.
UrlPolicy = Callable[[str], str | None]


@runtime_checkable
class AddressPolicy(Protocol):
    """A UrlPolicy that is also asked about each address that a connection got to, before it is used."""

    def __call__(self, url: str, /) -> str | None: ...

    def address(self, text: str) -> str | None:
        """Why nothing at this address may be called, or None."""
        ...


@dataclass(frozen=True, slots=True)
class Result:
    """What an activity gave.

    ``output``: JSON. ``error``: one line, None where the call itself went well (a process that exits
    with 1 or an HTTP 500 is an output: see ``failed_action``). ``unreachable``: the error is a refused
    or lost connection or a timeout. ``aborted``: it was stopped. ``trace``: the traceback of a Python
    function's own exception, for the journal. ``interrupts``: the function asked, in the Chaos Toolkit's
    way, that the whole run end; ``leaves``: it called ``sys.exit``.
    """

    output: Json = None
    error: str | None = None
    unreachable: bool = False
    aborted: bool = False
    trace: str = ""
    interrupts: bool = False
    leaves: bool = False


class Refused(Exception):
    """A provider cannot be called as it is declared; the text says what and what to do."""


def interrupts(error: BaseException) -> bool:
    """Whether this asks the run to end: the Chaos Toolkit's InterruptExecution, known by its name."""
    return any(kind.__name__ == "InterruptExecution" for kind in type(error).__mro__)


def one_line(text: object) -> str:
    """A text for people on one line, cut where it gets long."""
    line = " ".join(str(text).split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def seconds(provider: Mapping[str, Any], key: str = "timeout") -> float | None:
    """A provider's timeout: a number of seconds or a duration such as ``5s``; None where none is set."""
    value = provider.get(key)
    if value is None:
        return None
    return positive_seconds(value, key)


def positive_seconds(value: Any, key: str) -> float:
    """A duration above 0 in seconds; raises Refused."""
    try:
        found = parse_duration(value)
    except ObjectiveError as error:
        raise Refused(f"{key}: {error}") from None
    if found <= 0:
        raise Refused(f"{key}: must be above 0 seconds, found {value}")
    return found


def aborted(what: str = "stopped before it was done") -> Result:
    """The result of a call that was stopped."""
    return Result(error=what, aborted=True)


def timed_out(limit: float) -> Result:
    """The result of a call that took longer than it may."""
    return Result(error=f"timed out after {limit:g}s", unreachable=True)
