"""The register of tables that jobs were given or have made."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from mltemporal.database.inserting import insert_new
from mltemporal.database.retrying import retried
from mltemporal.database.tables import datasets
from mltemporal.errors import NotFound
from mltemporal.specs.data import DatasetFacts, DatasetRef
from mltemporal.specs.encoding import decode, encode

if TYPE_CHECKING:
    from mltemporal.database.engine import Database


@dataclass(frozen=True, kw_only=True)
class DatasetRow:
    """One table as recorded."""

    id: int
    created_at: float
    ref: DatasetRef
    facts: DatasetFacts


class Datasets:
    """The ``datasets`` table: one row a content, named where somebody named it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    def add(self, ref: DatasetRef, facts: DatasetFacts | None = None) -> int:
        """Record the table and return its row's id. Idempotent by fingerprint: the first record stands."""
        values = {
            "name": ref.name,
            "fingerprint": ref.fingerprint,
            "ref_json": encode(ref),
            "facts_json": encode(facts or DatasetFacts()),
            "created_at": time.time(),
        }
        with self._database.writing() as connection:
            insert_new(connection, datasets, values)
            known = sa.select(datasets.c.id).where(datasets.c.fingerprint == ref.fingerprint)
            row: int = connection.scalars(known).one()
            return row

    @retried
    def describe(self, ref: DatasetRef, facts: DatasetFacts) -> int:
        """Record the table, or what was found out about one that is recorded; returns its row's id.

        Where it came from stays as it was first recorded; profile, expectations and name are the newest
        that were given. Idempotent.
        """
        row_id = self.add(ref, facts)
        row = self.get(row_id)
        values = {
            "name": ref.name or row.ref.name,
            "ref_json": encode(ref if ref.name else row.ref),
            "facts_json": encode(
                replace(
                    row.facts,
                    profile=facts.profile or row.facts.profile,
                    expectations=facts.expectations or row.facts.expectations,
                )
            ),
        }
        with self._database.writing() as connection:
            connection.execute(sa.update(datasets).where(datasets.c.id == row_id).values(**values))
        return row_id

    def get(self, dataset_id: int) -> DatasetRow:
        """Return the table of that id.

        Raises:
            NotFound: there is none.
        """
        row = self._one(datasets.c.id == dataset_id)
        if row is None:
            raise NotFound(f"there is no dataset {dataset_id}", "mltemporal.datasets() lists them")
        return row

    def named(self, name: str) -> DatasetRow | None:
        """Return the newest table registered under ``name``."""
        return self._one(datasets.c.name == name)

    def of(self, fingerprint: str) -> DatasetRow | None:
        """Return the table of that fingerprint."""
        return self._one(datasets.c.fingerprint == fingerprint)

    @retried
    def all(self, limit: int = 1000) -> list[DatasetRow]:
        """Return the tables, newest first."""
        query = sa.select(datasets).order_by(datasets.c.id.desc()).limit(limit)
        with self._database.reading() as connection:
            return [_row(row) for row in connection.execute(query).mappings()]

    @retried
    def _one(self, condition: sa.ColumnElement[bool]) -> DatasetRow | None:
        query = sa.select(datasets).where(condition).order_by(datasets.c.id.desc()).limit(1)
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else _row(row)


def _row(row: sa.RowMapping) -> DatasetRow:
    return DatasetRow(
        id=row["id"],
        created_at=row["created_at"],
        ref=decode(row["ref_json"], DatasetRef),
        facts=decode(row["facts_json"], DatasetFacts),
    )
