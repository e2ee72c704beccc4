"""Locks in memory: objects made with the same table exclude each other."""

from __future__ import annotations

from collections.abc import Iterable

from sloguard.ports import Held


class FakeLocks:
    """ports.Locks. ``table``: key -> holder, shared by those who shall meet."""

    def __init__(self, table: dict[str, str] | None = None) -> None:
        self.table = {} if table is None else table
        self.mine: set[str] = set()

    def acquire(self, keys: Iterable[str], holder: str) -> None:
        wanted = sorted(set(keys) - self.mine)
        for key in wanted:
            if key in self.table:
                raise Held(key, self.table[key])
        self.table.update(dict.fromkeys(wanted, holder))
        self.mine.update(wanted)

    def release(self) -> None:
        for key in self.mine:
            del self.table[key]
        self.mine.clear()
