"""Workers say that they are there, so that a person sees who would run a job."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from mltemporal.database.inserting import insert_or_update
from mltemporal.database.retrying import retried
from mltemporal.database.tables import workers

if TYPE_CHECKING:
    from mltemporal.database.engine import Database

SEEN_EVERY_S = 5.0
"""How often a worker says so; three silences and it counts as gone."""


@dataclass(frozen=True, kw_only=True)
class WorkerInfo:
    """One worker process."""

    id: str
    host: str
    pid: int
    version: str
    """Of mltemporal, with the build of its workflow code: ``0.1.0-1a2b3c4d``."""
    python: str
    """Path of its interpreter."""
    task_queue: str
    started_at: float
    seen_at: float


class Workers:
    """The ``workers`` table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    def seen(self, info: WorkerInfo) -> None:
        """Record that the worker is alive now. Idempotent."""
        values = {**vars(info), "seen_at": time.time()}
        with self._database.writing() as connection:
            insert_or_update(connection, workers, values)
            connection.execute(sa.delete(workers).where(workers.c.seen_at < time.time() - 86_400))

    @retried
    def gone(self, worker_id: str) -> None:
        """Record that the worker has stopped."""
        with self._database.writing() as connection:
            connection.execute(sa.delete(workers).where(workers.c.id == worker_id))

    @retried
    def alive(self) -> list[WorkerInfo]:
        """Return the workers seen within the last three beats."""
        query = (
            sa.select(workers)
            .where(workers.c.seen_at > time.time() - 3 * SEEN_EVERY_S)
            .order_by(workers.c.started_at)
        )
        with self._database.reading() as connection:
            return [WorkerInfo(**row) for row in connection.execute(query).mappings()]
