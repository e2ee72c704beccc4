"""Counting runs by what they are and how they ended, and finding the newest of each, from an index alone."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_index("runs_by_tally", "runs", ["experiment", "kind", "outcome", "id"])
