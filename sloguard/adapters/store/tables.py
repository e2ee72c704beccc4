"""The tables, as this code reads and writes them. ``migrations/`` makes them.

Times are seconds since the epoch, UTC, as doubles. JSON is ASCII text, so that every backend keeps it
as it was written. Every row but a run's own goes when its run goes.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

#: The schema this code speaks, and all that it can bring up to it, oldest first.
REVISIONS = ("0001",)
HEAD = REVISIONS[-1]
VERSION_TABLE = "sloguard_schema"

metadata = MetaData()


class CleanText(TypeDecorator[str]):
    """Text that every backend takes: PostgreSQL refuses NUL, SQLite's driver half a character."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        """What is sent."""
        if value is None or (value.isascii() and "\0" not in value):
            return value
        cleaned = value.replace("\0", "\\x00")
        return cleaned.encode("utf-8", "backslashreplace").decode("utf-8")


# Identifiers are compared byte by byte everywhere, whatever the database's language.
_Id = String(128).with_variant(String(128, collation="C"), "postgresql")
_Number = BigInteger().with_variant(Integer(), "sqlite")


def _run(*, primary_key: bool = False) -> Column[str]:
    return Column(
        "run",
        _Id,
        ForeignKey("runs.id", ondelete="CASCADE"),
        primary_key=primary_key,
        nullable=False,
    )


def _number() -> Column[int]:
    return Column("number", _Number, primary_key=True, autoincrement=True)


runs = Table(
    "runs",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("title", CleanText, nullable=False),
    Column("tags", CleanText, nullable=False),
    Column("source", CleanText, nullable=False),
    Column("declared", CleanText, nullable=False),
    Column("variables", CleanText, nullable=False),
    Column("resolved", CleanText, nullable=False),
    Column("version", CleanText, nullable=False),
    # Who runs it, for telling the living from the dead.
    Column("host", CleanText, nullable=False),
    Column("boot", CleanText, nullable=False),
    Column("pid_space", CleanText, nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("process_started", BigInteger, nullable=False),
    Column("heartbeat", Double, nullable=False),
    # When: by the events as they come, and the timeline's own marks at the end.
    Column("started_at", Double, nullable=False),
    Column("fault_at", Double),
    Column("restored_at", Double),
    Column("ended_at", Double),
    Column("timeline", CleanText),
    # What came of it.
    Column("outcome", String(32)),
    Column("reason", CleanText, nullable=False),
    Column("score", Double),
    Column("document", CleanText),
    Column("surroundings", CleanText),
    Index("runs_by_title", "title", "id"),
    Index("runs_unfinished", "ended_at"),
)

tags = Table(
    "tags",
    metadata,
    Column("tag", CleanText, primary_key=True),
    _run(primary_key=True),
    Index("tags_by_run", "run"),
)

activities = Table(
    "activities",
    metadata,
    _number(),
    _run(),
    Column("key", CleanText, nullable=False),
    Column("section", String(32), nullable=False),
    Column("phase", String(32)),
    Column("activity", CleanText, nullable=False),
    Column("status", String(32), nullable=False),
    Column("started_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("output", CleanText, nullable=False),
    Column("error", CleanText),
    Column("tolerance_met", Boolean),
    Column("unreachable", Boolean, nullable=False),
    Index("activities_by_run", "run", "key"),
)

faults = Table(
    "faults",
    metadata,
    _number(),
    _run(),
    Column("id", _Id, nullable=False),
    Column("fault", CleanText, nullable=False),
    Column("target", CleanText, nullable=False),
    Column("status", String(32), nullable=False),
    Column("injected_at", Double),
    Column("undone_at", Double),
    Column("detail", CleanText, nullable=False),
    Column("by_hand", CleanText, nullable=False),
    Index("faults_by_run", "run", "id", unique=True),
)

begun = Table(
    "ledger_activities",
    metadata,
    _number(),
    _run(),
    Column("activity", CleanText, nullable=False),
    Column("status", String(32), nullable=False),
    Column("at", Double, nullable=False),
    Index("ledger_activities_by_run", "run", "activity", unique=True),
)

intents = Table(
    "ledger",
    metadata,
    _number(),
    Column("id", _Id, nullable=False, unique=True),
    _run(),
    Column("activity", CleanText, nullable=False),
    Column("fault", CleanText, nullable=False),
    Column("target", CleanText, nullable=False),
    Column("record", CleanText, nullable=False),
    Column("status", String(32), nullable=False),
    Column("detail", CleanText, nullable=False),
    Column("at", Double, nullable=False),
    Index("ledger_by_run", "run", "status"),
)

evidence = Table(
    "evidence",
    metadata,
    _number(),
    _run(),
    Column("slo", CleanText, nullable=False),
    Column("data", CleanText, nullable=False),
    Index("evidence_by_run", "run", "slo", unique=True),
)

answers = Table(
    "answers",
    metadata,
    _number(),
    Column("evidence", _Number, ForeignKey("evidence.number", ondelete="CASCADE"), nullable=False),
    Column("role", String(32), nullable=False),
    Column("series", Integer, nullable=False),
    Column("points", Integer, nullable=False),
    Column("first", Double, nullable=False),
    Column("step", Double, nullable=False),
    Column("notes", CleanText, nullable=False),
    Column("labels", LargeBinary, nullable=False),
    Column("present", LargeBinary, nullable=False),
    Column("samples", LargeBinary, nullable=False),
    Index("answers_by_evidence", "evidence", "role", unique=True),
)

verdicts = Table(
    "verdicts",
    metadata,
    _number(),
    _run(),
    Column("slo", CleanText, nullable=False),
    Column("labels", CleanText, nullable=False),
    Column("verdict", String(32), nullable=False),
    Column("reason", CleanText, nullable=False),
    Column("before", String(32), nullable=False),
    Column("during", String(32), nullable=False),
    Column("after", String(32), nullable=False),
    Index("verdicts_by_run", "run"),
    Index("verdicts_by_slo", "slo", "run"),
)

events = Table(
    "events",
    metadata,
    _number(),
    _run(),
    Column("at", Double, nullable=False),
    Column("kind", String(64), nullable=False),
    Column("data", CleanText, nullable=False),
    Index("events_by_run", "run", "number"),
)
