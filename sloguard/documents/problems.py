"""A problem of a file or a setting, with its place, what was expected and the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sloguard.core.visible import visible

#: A text with more problems than this is not read to its end by anybody.
MOST_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. ``line`` and ``column`` count from 1; ``path``: ``slos[0].objective``.

    ``expected`` completes "expected …"; ``hint`` is a whole phrase ("did you mean 'objective'?").
    """

    message: str
    path: str = ""
    file: str = ""
    line: int | None = None
    column: int | None = None
    expected: str = ""
    hint: str = ""

    @property
    def place(self) -> str:
        """``file:line:column``, as far as known."""
        parts = [self.file, self.line, self.column]
        return ":".join(str(p) for p in parts if p not in ("", None))

    def __str__(self) -> str:
        where = ": ".join(p for p in (self.place, self.path) if p)
        what = "; ".join(
            p for p in (self.message, self.expected and f"expected {self.expected}", self.hint) if p
        )
        return visible(f"{where}: {what}" if where else what)


class DocumentError(Exception):
    """Everything that is wrong, at once. ``problems`` are in the order of their places."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(problems, key=_order))
        super().__init__(str(self))

    def __str__(self) -> str:
        lines = [str(p) for p in self.problems[:MOST_SHOWN]]
        if len(self.problems) > MOST_SHOWN:
            lines.append(f"… and {len(self.problems) - MOST_SHOWN} more problems")
        return "\n".join(lines)


def _order(problem: Problem) -> tuple[str, int, int]:
    return (problem.file, problem.line or 0, problem.column or 0)


def nearest(word: str, known: Sequence[str], cutoff: float = 0.6) -> str | None:
    """The known word that was probably meant; case and ``_`` for ``-`` are not held against it."""
    plain = {_normal(k): k for k in known}
    found = difflib.get_close_matches(_normal(word), list(plain), n=1, cutoff=cutoff)
    return plain[found[0]] if found else None


def did_you_mean(word: str, known: Sequence[str], cutoff: float = 0.6) -> str:
    """``did you mean 'x'?``, or nothing."""
    near = nearest(word, known, cutoff)
    return f"did you mean '{near}'?" if near else ""


def _normal(word: str) -> str:
    return word.strip().lower().replace("_", "-").replace(" ", "-")
