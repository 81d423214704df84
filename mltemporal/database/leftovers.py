"""What the monitor asks of the record when it looks for what crashes left."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from mltemporal.database.inserting import insert_or_update
from mltemporal.database.jobs import JobRow, row_of
from mltemporal.database.retrying import retried
from mltemporal.database.tables import events, jobs, meta
from mltemporal.specs.running import JobStatus

if TYPE_CHECKING:
    from mltemporal.database.engine import Database

_MARK = "checkpoints_removed_until"


class Leftovers:
    """Jobs by what may be left of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    def live(self, limit: int = 1_000) -> list[JobRow]:
        """Return the jobs that have not ended, oldest first."""
        query = (
            sa.select(jobs)
            .where(jobs.c.status.not_in([status.value for status in JobStatus if status.final]))
            .order_by(jobs.c.id)
            .limit(limit)
        )
        return self._jobs(query)

    def of_key(self, key: str) -> JobRow | None:
        """Return the job of that key; None where this database has none."""
        return self.of_keys([key]).get(key)

    @retried
    def of_keys(self, keys: Collection[str]) -> dict[str, JobRow]:
        """Return the jobs of those keys, each by its key, as far as this database has them."""
        found = self._jobs(sa.select(jobs).where(jobs.c.key.in_(list(keys)))) if keys else []
        return {row.key: row for row in found}

    @retried
    def last_event(self, job_id: int) -> float:
        """Return when something last happened to the job, seconds since the epoch; 0 where nothing did."""
        query = sa.select(sa.func.max(events.c.time)).where(events.c.job_id == job_id)
        with self._database.reading() as connection:
            return connection.scalar(query) or 0.0

    @retried
    def ended_before(self, when: float, limit: int = 50) -> list[JobRow]:
        """Return jobs that ended before ``when`` and after the mark, in the order of their ends."""
        query = (
            sa.select(jobs)
            .where(jobs.c.finished_at > self._mark(), jobs.c.finished_at < when)
            .order_by(jobs.c.finished_at, jobs.c.id)
            .limit(limit)
        )
        return self._jobs(query)

    @retried
    def mark(self, when: float) -> None:
        """Say that of jobs which ended up to ``when`` nothing old is left. Idempotent.

        Where two say so at once the mark may end at the earlier time; then some are looked at again.
        """
        with self._database.writing() as connection:
            if when > self._mark():
                insert_or_update(connection, meta, {"name": _MARK, "value": repr(when)})

    def _mark(self) -> float:
        with self._database.reading() as connection:
            value = connection.scalar(sa.select(meta.c.value).where(meta.c.name == _MARK))
        return 0.0 if value is None else float(value)

    def _jobs(self, query: sa.Select[Any]) -> list[JobRow]:
        with self._database.reading() as connection:
            return [row_of(row) for row in connection.execute(query).mappings()]
