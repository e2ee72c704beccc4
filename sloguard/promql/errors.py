"""What can be wrong with a query, and where."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a query: ``line`` and ``column`` count characters from 1, ``offset`` from 0."""

    line: int
    column: int
    offset: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


def position_at(query: str, offset: int) -> Position:
    """The place of a character of ``query``; its length names the end."""
    before = query[:offset]
    return Position(before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1, offset)


class PromqlError(ValueError):
    """A query that cannot be read.

    ``message`` says what is wrong, ``hint`` what to write instead (it may be empty), ``position`` where
    (None where that is not known). ``unsupported``: it may be right for a newer Prometheus or another
    server, and could be sent as it is by somebody who declares its lookback.
    """

    def __init__(
        self,
        message: str,
        position: Position | None = None,
        *,
        hint: str = "",
        unsupported: bool = False,
    ) -> None:
        self.message = message
        self.position = position
        self.hint = hint
        self.unsupported = unsupported
        place = f" ({position})" if position else ""
        super().__init__(f"{message}{place}{f'; {hint}' if hint else ''}")
