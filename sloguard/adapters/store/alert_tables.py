"""The tables of alerts: what came from Alertmanager, and the episodes that it told of."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
)

from sloguard.adapters.store.tables import CleanText, metadata

# As in ``tables``: compared byte by byte everywhere.
_Id = String(128).with_variant(String(128, collation="C"), "postgresql")
_Number = BigInteger().with_variant(Integer(), "sqlite")


def _number() -> Column[int]:
    return Column("number", _Number, primary_key=True, autoincrement=True)


#: Payloads that nobody has worked off; ``body`` is compressed (zlib).
inbox = Table(
    "alert_inbox",
    metadata,
    _number(),
    Column("received_at", Double, nullable=False),
    Column("sender", CleanText, nullable=False),
    Column("address", CleanText, nullable=False),
    Column("alerts", Integer, nullable=False),
    Column("size", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    # A number that was given is never given again: who settles a payload names it by that.
    sqlite_autoincrement=True,
)

refused = Table(
    "alert_refused",
    metadata,
    _number(),
    Column("received_at", Double, nullable=False),
    Column("sender", CleanText, nullable=False),
    Column("address", CleanText, nullable=False),
    Column("alerts", Integer, nullable=False),
    Column("size", Integer, nullable=False),
    Column("reason", CleanText, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("alert_refused_by_time", "received_at"),
    sqlite_autoincrement=True,
)

episodes = Table(
    "alert_episodes",
    metadata,
    _number(),
    Column("fingerprint", _Id, nullable=False),
    Column("starts_at", Double, nullable=False),
    Column("ends_at", Double),
    Column("name", CleanText, nullable=False),
    Column("labels", CleanText, nullable=False),
    Column("annotations", CleanText, nullable=False),
    Column("generator_url", CleanText, nullable=False),
    Column("first_received", Double, nullable=False),
    Column("last_received", Double, nullable=False),
    Index("alert_episodes_by_key", "fingerprint", "starts_at", unique=True),
    Index("alert_episodes_by_start", "starts_at", "number"),
    Index("alert_episodes_by_end", "ends_at", "starts_at"),
    sqlite_autoincrement=True,
)

#: Groups of which Alertmanager has left something out, by a digest of what names them.
left_out = Table(
    "alert_left_out",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("receiver", CleanText, nullable=False),
    Column("grouping", CleanText, nullable=False),
    Column("first_at", Double, nullable=False),
    Column("last_at", Double, nullable=False),
    Column("payloads", Integer, nullable=False),
    Column("most", Integer, nullable=False),
)

#: Runs whose alerts have to be looked at again; ``turn`` grows each time that another reason is found.
amendments = Table(
    "alert_amendments",
    metadata,
    Column("run", _Id, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("turn", Integer, nullable=False),
)
