"""What the service keeps: jobs, tokens, the audit log, windows; and runs by experiment, outcome and time."""

from __future__ import annotations

from pathlib import PurePath

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

IDENTIFIER = sa.String(length=128).with_variant(sa.String(length=128, collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _runs()
    _tags()
    _jobs()
    _others()


def _runs() -> None:
    # Not as a batch: SQLite adds columns in place, and copying every row would take minutes.
    op.add_column("runs", sa.Column("experiment", sa.Text(), nullable=False, server_default=""))
    kind = sa.Column("kind", sa.String(length=16), nullable=False, server_default="run")
    op.add_column("runs", kind)
    op.add_column("runs", sa.Column("origin", IDENTIFIER, nullable=False, server_default=""))
    connection = op.get_bind()
    runs = sa.table("runs", sa.column("source", sa.Text()), sa.column("experiment", sa.Text()))
    for source in connection.execute(sa.select(runs.c.source).distinct()).scalars().all():
        name = PurePath(source).stem
        connection.execute(sa.update(runs).where(runs.c.source == source).values(experiment=name))
    op.create_index("runs_by_start", "runs", ["started_at", "id"])
    op.create_index("runs_by_experiment", "runs", ["experiment", "id"])
    op.create_index("runs_by_experiment_start", "runs", ["experiment", "started_at", "id"])
    op.create_index("runs_by_outcome", "runs", ["outcome", "id"])
    op.create_index("runs_by_outcome_start", "runs", ["outcome", "started_at", "id"])
    op.create_index("runs_by_kind", "runs", ["kind", "id"])


def _tags() -> None:
    op.add_column("tags", sa.Column("at", sa.Double(), nullable=False, server_default="0"))
    op.execute("UPDATE tags SET at = (SELECT started_at FROM runs WHERE runs.id = tags.run)")
    op.create_index("tags_by_start", "tags", ["tag", "at", "run"])


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("number", NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("experiment", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("variables", sa.Text(), nullable=False),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=True),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("not_before", sa.Double(), nullable=False),
        sa.Column("exclusive", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("requested_from", sa.Text(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("requested_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=True),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.Column("executor", sa.Text(), nullable=False),
        sa.Column("claim", sa.String(length=64), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("boot", sa.Text(), nullable=False),
        sa.Column("pid_space", sa.Text(), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("process_started", sa.BigInteger(), nullable=False),
        sa.Column("heartbeat", sa.Double(), nullable=False),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("abort_reason", sa.Text(), nullable=False),
        sa.Column("abort_by", sa.Text(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
    )
    op.create_index("jobs_by_state", "jobs", ["state", "number"])
    op.create_index("jobs_by_key", "jobs", ["requested_by", "idempotency_key"], unique=True)
    op.create_table(
        "leases",
        sa.Column("name", IDENTIFIER, nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def _others() -> None:
    op.create_table(
        "tokens",
        sa.Column("number", NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=True),
        sa.Column("last_used_at", sa.Double(), nullable=True),
        sa.Column("revoked_at", sa.Double(), nullable=True),
        sa.Column("revoked_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
    )
    op.create_table(
        "audit",
        sa.Column("number", NUMBER, autoincrement=True, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("audit_by_target", "audit", ["target", "number"])
    op.create_index("audit_by_who", "audit", ["who", "number"])
    op.create_index("audit_by_time", "audit", ["at"])
    op.create_table(
        "windows",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("slos", sa.Text(), nullable=False),
        sa.Column("tool", sa.Text(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("removed", sa.Text(), nullable=False),
        sa.Column("before", sa.Double(), nullable=True),
        sa.Column("after", sa.Double(), nullable=True),
        sa.Column("opened_at", sa.Double(), nullable=False),
        sa.Column("opened_by", sa.Text(), nullable=False),
        sa.Column("opened_from", sa.Text(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("fault_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("restored_at", sa.Double(), nullable=True),
        sa.Column("closed_at", sa.Double(), nullable=True),
        sa.Column("closed_by", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("windows_by_state", "windows", ["state", "id"])
    op.create_index("windows_by_key", "windows", ["opened_by", "idempotency_key"], unique=True)
