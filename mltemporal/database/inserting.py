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
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert(table).inline().values(values).on_conflict_do_nothing()
    return connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount == 1
