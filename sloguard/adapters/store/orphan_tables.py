"""The table of faults that were found on clusters. ``migrations/`` makes it."""

from __future__ import annotations

from sqlalchemy import Column, Double, Index, String, Table

from sloguard.adapters.store.tables import CleanText, metadata

_Key = String(255).with_variant(String(255, collation="C"), "postgresql")

orphans = Table(
    "orphans",
    metadata,
    Column("id", _Key, primary_key=True),
    Column("cluster", CleanText, nullable=False),
    # The run may be another store's, so it is no reference.
    Column("run", CleanText, nullable=False),
    Column("fault", CleanText, nullable=False),
    Column("target", CleanText, nullable=False),
    Column("state", String(16), nullable=False),
    Column("detail", CleanText, nullable=False),
    Column("by_hand", CleanText, nullable=False),
    Column("first_at", Double, nullable=False),
    Column("at", Double, nullable=False),
    Index("orphans_by_state", "state", "at"),
    Index("orphans_of_runs", "run"),
)
