"""The tables of what people are asked, what they say, and what they note. ``migrations/`` makes them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, ForeignKey, Index, Integer, String, Table, Text

from sloguard.adapters.store.tables import CleanText, metadata

_Id = String(128).with_variant(String(128, collation="C"), "postgresql")
_Number = BigInteger().with_variant(Integer(), "sqlite")

asks = Table(
    "asks",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("run", _Id, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("title", CleanText, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("plan", Text, nullable=False),
    Column("asked_at", Double, nullable=False),
    Column("until", Double, nullable=False),
    Column("minimum", Integer, nullable=False),
    # JSON: names, none for whoever may start runs.
    Column("allowed", Text, nullable=False),
    Column("again", CleanText, nullable=False),
    Column("requester", CleanText, nullable=False),
    Column("state", String(16), nullable=False),
    Column("decided_at", Double),
    Column("detail", CleanText, nullable=False),
    Index("asks_by_run", "run", "asked_at"),
    Index("asks_by_state", "state", "asked_at"),
)

voices = Table(
    "voices",
    metadata,
    Column("ask", _Id, ForeignKey("asks.id", ondelete="CASCADE"), primary_key=True),
    Column("by", CleanText, primary_key=True),
    Column("answer", String(16), nullable=False),
    Column("at", Double, nullable=False),
    Column("origin", CleanText, nullable=False),
    Column("reason", CleanText, nullable=False),
)

links = Table(
    "links",
    metadata,
    # Of the secret; the secret itself is nowhere.
    Column("hash", String(64), primary_key=True),
    Column("ask", _Id, ForeignKey("asks.id", ondelete="CASCADE"), nullable=False),
    Column("channel", CleanText, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("used_at", Double),
    Column("answer", String(16), nullable=False),
    Index("links_by_ask", "ask"),
)

notes = Table(
    "notes",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    # Of a run, or of a window that is none yet.
    Column("run", _Id, nullable=False),
    Column("text", CleanText, nullable=False),
    Column("at", Double, nullable=False),
    Column("by", CleanText, nullable=False),
    Column("written_at", Double, nullable=False),
    Column("origin", String(16), nullable=False),
    Column("place", CleanText, nullable=False),
    Index("notes_by_run", "run", "at", "number"),
)
