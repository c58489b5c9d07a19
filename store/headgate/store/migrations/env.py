"""Runs the scripts on the connection that :mod:`headgate.store.migrate` hands over; there is no offline mode."""

from __future__ import annotations

from alembic import context

from headgate.store.migrate import VERSION_TABLE
from headgate.store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=connection.dialect.name == "sqlite",
    transactional_ddl=connection.dialect.name in ("sqlite", "postgresql"),
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
