"""Alembic's entry: it runs on the connection, and in the transaction, that `upgrade` hands over."""

from alembic import context

from mltemporal.database.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters a table by copying it
)
context.run_migrations()
