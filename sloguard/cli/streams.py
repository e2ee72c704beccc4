"""The outputs of this process, whatever they are: closed, full, or without our characters.

Nobody who stops reading changes what a run does, or its exit code.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Callable
from typing import TextIO

import click

#: Our own marks, where an output cannot show them.
_PLAIN = str.maketrans({
    "✓": "+", "✗": "x", "–": "-", "—": "-", "•": "*", "…": "...", "─": "-", "│": "|", "┼": "+", "≤": "<=",
    "≥": ">=", "×": "x", "→": "->", "±": "+-", "µ": "u",
})  # fmt: skip


def make_safe() -> None:
    """Open what is closed, and let characters that cannot be shown do no harm. Call it first."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # Else the next file that is opened, the store perhaps, would be taken for an output.
            os.open(os.devnull, os.O_RDWR)
    # Null where the descriptor was closed when Python began, whatever the type says.
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", closefd=False))
    codecs.register_error("sloguard", _escaped)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(getattr(stream, "encoding", None), str) and not _knows_all(stream):
            stream.reconfigure(errors="sloguard")  # type: ignore[union-attr]  # text streams all


def deliver(
    text: str, *, err: bool = False, exact: bool = False, to: TextIO | None = None
) -> OSError | None:
    """Print; what stood in the way where nobody can read it any more. Never raises for that.

    ``exact``: a program reads it, and wants the same characters however they are written.
    """
    stream = to or (sys.stderr if err else sys.stdout)
    if not exact and not _knows_all(stream):
        text = text.translate(_PLAIN)
    try:
        click.echo(text, nl=False, err=err, file=to)
    except OSError as error:
        _mute(stream)
        return error
    except ValueError as error:  # closed by somebody in this process
        return OSError(None, str(error))
    return None


def tell(text: str) -> None:
    """A line on stderr, for whoever still listens."""
    deliver(f"{text}\n", err=True)


class Masked(io.TextIOBase):
    """Another stream, with the secrets left out of what is written to it."""

    def __init__(self, stream: TextIO, mask: Callable[[str], str]) -> None:
        self._stream, self._mask = stream, mask

    def write(self, text: str) -> int:
        """All of it at once: a secret in two pieces is none that could be known."""
        self._stream.write(self._mask(text))
        return len(text)

    def flush(self) -> None:
        """What was written goes out."""
        self._stream.flush()

    def isatty(self) -> bool:
        """As of the stream itself."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """As of the stream itself."""
        return self._stream.fileno()


def _knows_all(stream: TextIO) -> bool:
    try:
        # Click prints to ASCII as UTF-8 by itself: such a locale is nearly always a mistake.
        return codecs.lookup(stream.encoding).name in ("utf-8", "ascii")
    except (LookupError, TypeError, AttributeError):
        return True


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """As JSON writes them: right inside its texts, and readable anywhere else."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    units = [missing[i : i + 2].hex() for i in range(0, len(missing), 2)]
    return "".join(f"\\u{unit}" for unit in units), error.end


def _mute(stream: TextIO) -> None:
    """Python flushes again when it ends, and would complain then: let that go nowhere."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError, AttributeError):
        return
