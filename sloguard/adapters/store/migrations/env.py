"""Alembic's entry: it runs on the connection and inside the transaction that it is handed."""

from __future__ import annotations

from alembic import context

from sloguard.adapters.store.tables import metadata

attributes = context.config.attributes
context.configure(
    connection=attributes["connection"],
    target_metadata=metadata,
    version_table=attributes["version_table"],
    # SQLite cannot change most of a table in place.
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
