"""Inserting what may be there already, in the words of either database."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite


def insert_new(connection: sa.Connection, table: sa.Table, values: dict[str, Any]) -> bool:
    """Insert the row; False, and nothing is changed, where one of its keys is taken.

    Where another transaction is just inserting it, this waits for that one's end. An
    `IntegrityError` instead would end the transaction in PostgreSQL.
    """
    statement = _insert(connection, table).inline().values(values).on_conflict_do_nothing()
    return connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount == 1


def insert_or_update(connection: sa.Connection, table: sa.Table, values: dict[str, Any]) -> None:
    """Insert the row, or give the one of its primary key these values."""
    statement = _insert(connection, table).values(values)
    connection.execute(statement.on_conflict_do_update(index_elements=table.primary_key.columns, set_=values))


def _insert(connection: sa.Connection, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
