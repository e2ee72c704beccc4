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
REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010")
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
_Key = String(255).with_variant(String(255, collation="C"), "postgresql")
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
    # What it is: the experiment's name in its catalogue (else its file's), and why it is there.
    Column("experiment", CleanText, nullable=False, server_default=""),
    Column("kind", String(16), nullable=False, server_default="run"),
    Column("origin", _Id, nullable=False, server_default=""),
    Index("runs_by_title", "title", "id"),
    Index("runs_unfinished", "ended_at"),
    Index("runs_by_start", "started_at", "id"),
    Index("runs_by_experiment", "experiment", "id"),
    Index("runs_by_experiment_start", "experiment", "started_at", "id"),
    Index("runs_by_outcome", "outcome", "id"),
    Index("runs_by_outcome_start", "outcome", "started_at", "id"),
    Index("runs_by_kind", "kind", "id"),
    Index("runs_by_tally", "experiment", "kind", "outcome", "id"),
)

tags = Table(
    "tags",
    metadata,
    Column("tag", CleanText, primary_key=True),
    _run(primary_key=True),
    # The run's start, so that the runs of a tag are found in this order too.
    Column("at", Double, nullable=False, server_default="0"),
    Index("tags_by_run", "run"),
    Index("tags_by_start", "tag", "at", "run"),
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

jobs = Table(
    "jobs",
    metadata,
    _number(),
    Column("id", _Id, nullable=False, unique=True),
    Column("kind", String(16), nullable=False),
    Column("experiment", CleanText, nullable=False),
    Column("source", CleanText, nullable=False),
    Column("variables", CleanText, nullable=False),
    Column("dry_run", Boolean, nullable=False),
    Column("tags", CleanText, nullable=False),
    Column("seed", BigInteger),
    Column("payload", CleanText, nullable=False),
    Column("not_before", Double, nullable=False),
    Column("exclusive", CleanText, nullable=False),
    Column("requested_by", CleanText, nullable=False),
    Column("requested_from", CleanText, nullable=False),
    # NULL where there is none: of these there may be as many as one likes.
    Column("idempotency_key", CleanText),
    Column("fingerprint", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("requested_at", Double, nullable=False),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("executor", CleanText, nullable=False),
    Column("claim", String(64), nullable=False),
    Column("attempts", Integer, nullable=False),
    # Who has it: the worker, and the executor until the worker speaks.
    Column("host", CleanText, nullable=False),
    Column("boot", CleanText, nullable=False),
    Column("pid_space", CleanText, nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("process_started", BigInteger, nullable=False),
    Column("heartbeat", Double, nullable=False),
    Column("exit_code", Integer),
    Column("detail", CleanText, nullable=False),
    Column("abort_reason", CleanText, nullable=False),
    Column("abort_by", CleanText, nullable=False),
    Column("result", CleanText, nullable=False),
    Index("jobs_by_state", "state", "number"),
    Index("jobs_by_key", "requested_by", "idempotency_key", unique=True),
)

leases = Table(
    "leases",
    metadata,
    Column("name", _Id, primary_key=True),
    Column("holder", CleanText, nullable=False),
    Column("until", Double, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    _number(),
    Column("id", _Id, nullable=False, unique=True),
    Column("name", CleanText, nullable=False),
    Column("scopes", CleanText, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("created_by", CleanText, nullable=False),
    Column("expires_at", Double),
    Column("last_used_at", Double),
    Column("revoked_at", Double),
    Column("revoked_by", CleanText, nullable=False),
)

# Of the secret in a browser's cookie only a hash is kept, and no session outlives its token.
sessions = Table(
    "sessions",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("token", _Id, ForeignKey("tokens.id", ondelete="CASCADE"), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Index("sessions_by_token", "token", "created_at"),
    Index("sessions_by_expiry", "expires_at"),
)

audit = Table(
    "audit",
    metadata,
    _number(),
    Column("at", Double, nullable=False),
    Column("who", CleanText, nullable=False),
    Column("place", CleanText, nullable=False),
    Column("action", CleanText, nullable=False),
    Column("target", CleanText, nullable=False),
    Column("detail", CleanText, nullable=False),
    Index("audit_by_target", "target", "number"),
    Index("audit_by_who", "who", "number"),
    Index("audit_by_time", "at"),
)

windows = Table(
    "windows",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("title", CleanText, nullable=False),
    Column("slos", CleanText, nullable=False),
    Column("tool", CleanText, nullable=False),
    Column("tags", CleanText, nullable=False),
    Column("removed", CleanText, nullable=False),
    Column("before", Double),
    Column("after", Double),
    Column("opened_at", Double, nullable=False),
    Column("opened_by", CleanText, nullable=False),
    Column("opened_from", CleanText, nullable=False),
    Column("idempotency_key", CleanText),
    Column("fingerprint", String(64), nullable=False),
    Column("fault_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("state", String(16), nullable=False),
    Column("restored_at", Double),
    Column("closed_at", Double),
    Column("closed_by", CleanText, nullable=False),
    Column("detail", CleanText, nullable=False),
    Index("windows_by_state", "state", "id"),
    Index("windows_by_key", "opened_by", "idempotency_key", unique=True),
)

# Messages outlive the run that they tell of: whoever deletes it does not untell it.
outbox = Table(
    "outbox",
    metadata,
    _number(),
    Column("channel", _Id, nullable=False),
    Column("key", _Key, nullable=False),
    Column("kind", String(64), nullable=False),
    Column("stream", _Id, nullable=False),
    Column("payload", CleanText, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("error", CleanText, nullable=False),
    Column("memory", CleanText, nullable=False),
    # Who delivers it, and until when nobody else may.
    Column("holder", CleanText, nullable=False),
    Column("held_until", Double, nullable=False),
    Index("outbox_by_key", "channel", "key", unique=True),
    Index("outbox_by_stream", "channel", "stream", "state", "number"),
    Index("outbox_by_state", "state", "channel", "number"),
    # Numbers are never given again: they order messages, and people name them.
    sqlite_autoincrement=True,
)
