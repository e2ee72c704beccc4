"""Where runs are kept: SQLite by default, PostgreSQL where several replicas share a store.

``Store`` is imported when it is first asked for, because SQLAlchemy is not light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sloguard.adapters.store.errors import (
    AmbiguousRun,
    NotAStore,
    OpenFaults,
    RunExists,
    RunNotFound,
    StoreBusy,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreNotAllowed,
    StoreTooNew,
    StoreUnreachable,
)

if TYPE_CHECKING:
    from sloguard.adapters.store.facade import Store
    from sloguard.adapters.store.recording import Recorder

__all__ = [
    "AmbiguousRun",
    "NotAStore",
    "OpenFaults",
    "Recorder",
    "RunExists",
    "RunNotFound",
    "Store",
    "StoreBusy",
    "StoreDamaged",
    "StoreError",
    "StoreFull",
    "StoreNotAllowed",
    "StoreTooNew",
    "StoreUnreachable",
]


def __getattr__(name: str) -> Any:
    if name == "Store":
        from sloguard.adapters.store.facade import Store

        return Store
    if name == "Recorder":
        from sloguard.adapters.store.recording import Recorder

        return Recorder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
