"""The table of reports that are kept. ``migrations/`` makes it."""

from __future__ import annotations

from sqlalchemy import Column, Double, Index, LargeBinary, String, Table

from sloguard.adapters.store.tables import CleanText, metadata

_Id = String(128).with_variant(String(128, collation="C"), "postgresql")

reports = Table(
    "reports",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("name", CleanText, nullable=False),
    Column("title", CleanText, nullable=False),
    Column("summary", CleanText, nullable=False),
    Column("start", Double, nullable=False),
    Column("end", Double, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("created_by", CleanText, nullable=False),
    Column("announced_at", Double),
    # What there may be only one of; NULL where there may be many.
    Column("key", CleanText),
    # JSON and HTML, compressed.
    Column("model", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("reports_by_key", "key", unique=True),
    Index("reports_by_age", "created_at"),
)
