"""The register of tables that jobs were given."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import sqlalchemy as sa

from mltemporal.database.inserting import insert_new
from mltemporal.database.retrying import retried
from mltemporal.database.tables import datasets
from mltemporal.errors import InvalidRequest
from mltemporal.specs import DatasetRef, decode, encode

if TYPE_CHECKING:
    from mltemporal.database.engine import Database


class Datasets:
    """The ``datasets`` table: one row a content, named where somebody named it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    def add(self, ref: DatasetRef) -> int:
        """Record the table and return its row's id. Idempotent by fingerprint.

        Raises:
            InvalidRequest: its name is another table's.
        """
        with self._database.writing() as connection:
            known = sa.select(datasets.c.id).where(datasets.c.fingerprint == ref.fingerprint)
            row: int | None = connection.scalar(known)
            if row is None:
                values = {
                    "name": ref.name,
                    "fingerprint": ref.fingerprint,
                    "ref_json": encode(ref),
                    "created_at": time.time(),
                }
                insert_new(connection, datasets, values)
                row = connection.scalar(known)
        if row is None:
            raise InvalidRequest(f"another table is registered as {ref.name!r}", "choose another name")
        return row

    @retried
    def named(self, name: str) -> DatasetRef | None:
        """Return the table registered under ``name``."""
        with self._database.reading() as connection:
            text = connection.scalar(sa.select(datasets.c.ref_json).where(datasets.c.name == name))
        return None if text is None else decode(text, DatasetRef)

    @retried
    def all(self, limit: int = 1000) -> list[tuple[float, DatasetRef]]:
        """Return (time of registration, table), newest first."""
        query = (
            sa.select(datasets.c.created_at, datasets.c.ref_json).order_by(datasets.c.id.desc()).limit(limit)
        )
        with self._database.reading() as connection:
            return [(at, decode(text, DatasetRef)) for at, text in connection.execute(query)]
