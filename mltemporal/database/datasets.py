"""The register of tables that jobs were given."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from mltemporal.database.tables import datasets
from mltemporal.specs import DatasetRef, decode, encode

if TYPE_CHECKING:
    from mltemporal.database.engine import Database


class Datasets:
    """The ``datasets`` table: one row a content, named where somebody named it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, ref: DatasetRef) -> int:
        """Record the table and return its row's id. Idempotent by fingerprint."""
        known = self._row_of(ref)
        if known is not None:
            return known
        try:
            with self._database.writing() as connection:
                row = connection.execute(
                    sa.insert(datasets).values(
                        name=ref.name,
                        fingerprint=ref.fingerprint,
                        ref_json=encode(ref),
                        created_at=time.time(),
                    )
                )
                assert row.inserted_primary_key is not None
                return int(row.inserted_primary_key[0])
        except IntegrityError:  # somebody else has just done so
            known = self._row_of(ref)
            if known is None:
                raise
            return known

    def _row_of(self, ref: DatasetRef) -> int | None:
        query = sa.select(datasets.c.id).where(datasets.c.fingerprint == ref.fingerprint)
        with self._database.reading() as connection:
            row: int | None = connection.scalar(query)
            return row

    def named(self, name: str) -> DatasetRef | None:
        """Return the table registered under ``name``."""
        with self._database.reading() as connection:
            text = connection.scalar(sa.select(datasets.c.ref_json).where(datasets.c.name == name))
        return None if text is None else decode(text, DatasetRef)

    def all(self, limit: int = 1000) -> list[tuple[float, DatasetRef]]:
        """Return (time of registration, table), newest first."""
        query = (
            sa.select(datasets.c.created_at, datasets.c.ref_json).order_by(datasets.c.id.desc()).limit(limit)
        )
        with self._database.reading() as connection:
            return [(at, decode(text, DatasetRef)) for at, text in connection.execute(query)]
