"""What a running job says: points, log lines and artifacts, each recorded exactly once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from mltemporal.database.gaps import Untold, has_stepped, in_order, known, of_attempt, untold
from mltemporal.database.inserting import insert_new, insert_or_update
from mltemporal.database.retrying import retried
from mltemporal.database.tables import (
    CURSOR_CHARACTERS,
    artifacts,
    attempts,
    events,
    jobs,
    log_chunks,
    points,
    streams,
)
from mltemporal.errors import NotFound
from mltemporal.specs.data import Artifact, ObjectRef
from mltemporal.specs.encoding import decode, encode
from mltemporal.views import Point

if TYPE_CHECKING:
    from mltemporal.database.engine import Database

LOG_KEPT_BYTES = 4 << 20
"""The end of each attempt's output that the database holds; a longer log goes to storage whole."""

_NAMES_OF_POINTS = 1000


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What one rank of an attempt said between two positions (bytes) of its output."""

    start: int
    end: int
    cursor: str = ""
    """Where its platform goes on after ``end``, in the platform's own words; empty leaves the one before."""
    points: tuple[tuple[int, Point], ...] = ()
    """Each with the position of its line."""
    log: str = ""
    notes: tuple[tuple[int, str], ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    again_from: int | None = None
    """The first step of a process that began within the attempt: from it on, its points replace others."""

    def __post_init__(self) -> None:
        if len(self.cursor) > CURSOR_CHARACTERS:
            raise ValueError(f"the cursor {self.cursor!r} has more than {CURSOR_CHARACTERS} characters")


@dataclass(frozen=True)
class Place:
    """Up to where a stream of output is recorded."""

    position: int = 0
    """In bytes."""
    cursor: str = ""
    """The same place in the platform's own words; empty where it has none."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """How much of what an attempt said is recorded."""

    since: float = 0.0
    """When the attempt began, seconds since the epoch."""
    points: int = 0
    notes: tuple[str, ...] = ()
    artifacts: int = 0
    names: frozenset[str] = frozenset()
    """The metrics of its newest points."""
    stepped: bool = False
    """Whether the process that began last has told a step."""


class ProgressRecord:
    """The ``points``, ``log_chunks`` and ``artifacts`` tables."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    def place(self, job_id: int, attempt: int, rank: int = 0) -> Place:
        """Return up to where the rank's output was recorded."""
        query = sa.select(streams.c.position, streams.c.cursor).where(_of_stream(job_id, attempt, rank))
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        return Place() if row is None else Place(row.position, row.cursor)

    @retried
    def ranks(self, job_id: int) -> list[int]:
        """Return the ranks that have said something, in any attempt, in order."""
        query = sa.select(streams.c.rank).where(streams.c.job_id == job_id).distinct()
        with self._database.reading() as connection:
            return sorted(connection.scalars(query))

    @retried
    def append(self, job_id: int, attempt: int, batch: Batch, *, rank: int = 0) -> bool:
        """Record the batch and move the rank's place, in one transaction.

        Progress is rank 0's: of another rank's points and notes nothing is recorded.

        Returns False, and records nothing, when the position is not at ``batch.start``: then
        somebody else recorded it already, and the caller starts again from `place`.

        Raises:
            NotFound: the attempt was never announced, or the database was set back to before that.
        """
        with self._database.writing() as connection:
            _lock(connection, job_id)
            if not _move(connection, job_id, attempt, rank, batch):
                return False
            if batch.log:
                _add_log(connection, job_id, attempt, rank, batch)
            if rank == 0:
                _add_progress(connection, job_id, attempt, batch)
            for artifact in batch.artifacts:
                _put_artifact(connection, job_id, attempt, artifact)
        return True

    @retried
    def untold(self, job_id: int, attempt: int, kept: Sequence[Point]) -> Untold:
        """Return what the record lacks of the points of one process of the attempt, given in its order."""
        with self._database.reading() as connection:
            return untold(connection, job_id, attempt, kept)

    @retried
    def recall(self, job_id: int, attempt: int, told: Untold) -> None:
        """Record what was `untold` of a process.

        Where it is all of it, what an earlier process had reported from its first step on gives way.

        Idempotent; should the output tell a point later, it is not recorded again.
        """
        first = next((point for point in told.points if point.step is not None), None)
        with self._database.writing() as connection:
            _lock(connection, job_id)
            if told.whole and first is not None:
                again = points.c.step >= first.step, points.c.time < first.time
                connection.execute(sa.delete(points).where(*of_attempt(job_id, attempt), *again))
            recorded = known(connection, job_id, attempt, told.points)
            lowest = sa.select(sa.func.min(points.c.position)).where(*of_attempt(job_id, attempt))
            # Below those of lines: no two of an attempt share a position.
            below = min(connection.scalar(lowest) or 0, 0)
            fresh = [point for point in told.points if (point.time, point.step) not in recorded]
            rows = [_point_values(job_id, below - at, point) for at, point in enumerate(fresh, 1)]
            if rows:
                connection.execute(sa.insert(points), rows)

    @retried
    def keep_artifacts(self, job_id: int, attempt: int, kept: Sequence[Artifact]) -> None:
        """Record artifacts of an attempt; the last of a name stands. Idempotent."""
        with self._database.writing() as connection:
            for artifact in kept:
                _put_artifact(connection, job_id, attempt, artifact)

    @retried
    def points(self, job_id: int, *, after: int = 0, limit: int | None = None) -> list[tuple[int, Point]]:
        """Return (row id, point) of the points whose row id is above ``after``, in order of arrival.

        All points, without ``after``, come in the order in which they were reported.
        """
        query = (
            sa.select(points)
            .where(points.c.job_id == job_id, points.c.id > after)
            .order_by(points.c.id)
            .limit(limit)
        )
        with self._database.reading() as connection:
            found = [(row.id, _point(row)) for row in connection.execute(query)]
        return found if after else in_order(found)

    @retried
    def last_point(self, job_id: int, attempt: int) -> Point | None:
        """Return the attempt's newest point."""
        query = sa.select(points).where(*of_attempt(job_id, attempt)).order_by(points.c.id.desc()).limit(1)
        with self._database.reading() as connection:
            row = connection.execute(query).first()
            newest = None if row is None else _point(row)
            if newest is not None and newest.recalled:  # it may have been reported before others
                told = connection.execute(query.where(points.c.position >= 0)).first()
                if told is not None and _point(told).came_after(newest):
                    return _point(told)
        return newest

    @retried
    def newest_points(self, job_id: int, attempt: int, count: int) -> list[Point]:
        """Return the attempt's ``count`` newest points, oldest first."""
        query = (
            sa.select(points).where(*of_attempt(job_id, attempt)).order_by(points.c.id.desc()).limit(count)
        )
        with self._database.reading() as connection:
            return [_point(row) for row in connection.execute(query)][::-1]

    @retried
    def said(self, job_id: int, attempt: int) -> Said:
        """Return how much the attempt has said so far."""
        began = sa.select(attempts.c.started_at).where(
            attempts.c.job_id == job_id, attempts.c.number == attempt
        )
        told = sa.select(events.c.message).where(
            events.c.job_id == job_id, events.c.attempt == attempt, events.c.kind == "note"
        )

        def count(table: sa.Table) -> sa.Select[Any]:
            return (
                sa.select(sa.func.count())
                .select_from(table)
                .where(table.c.job_id == job_id, table.c.attempt == attempt)
            )

        newest = self.newest_points(job_id, attempt, _NAMES_OF_POINTS)
        with self._database.reading() as connection:
            return Said(
                since=connection.scalar(began) or 0.0,
                points=connection.scalar(count(points)) or 0,
                notes=tuple(connection.scalars(told)),
                artifacts=connection.scalar(count(artifacts)) or 0,
                names=frozenset(name for point in newest for name in point.metrics),
                stepped=has_stepped(connection, job_id, attempt),
            )

    @retried
    def log(
        self, job_id: int, *, after: int = 0, newest: int | None = None, rank: int = 0
    ) -> list[tuple[int, int, str]]:
        """Return (row id, attempt, text) of the rank's log chunks above ``after``, or its ``newest``."""
        query = sa.select(log_chunks.c.id, log_chunks.c.attempt, log_chunks.c.text).where(
            log_chunks.c.job_id == job_id, log_chunks.c.rank == rank, log_chunks.c.id > after
        )
        query = (
            query.order_by(log_chunks.c.id)
            if newest is None
            else query.order_by(log_chunks.c.id.desc()).limit(newest)
        )
        with self._database.reading() as connection:
            rows = [(row.id, row.attempt, row.text) for row in connection.execute(query)]
        return rows if newest is None else rows[::-1]

    @retried
    def artifacts(self, job_id: int) -> list[Artifact]:
        """Return the files that the job left behind, by name."""
        query = sa.select(artifacts.c.name, artifacts.c.object_json).where(artifacts.c.job_id == job_id)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(artifacts.c.name)).all()
        return [Artifact(name=row.name, object=decode(row.object_json, ObjectRef)) for row in rows]


def _lock(connection: sa.Connection, job_id: int) -> None:
    """Let nobody else append to the job until this transaction ends.

    PostgreSQL gives out a row's id before its transaction ends: without this a reader that goes on
    after the newest id would miss the rows of a transaction that began before and ended later.
    """
    connection.execute(sa.select(jobs.c.id).where(jobs.c.id == job_id).with_for_update(key_share=True))


def _of_stream(job_id: int, attempt: int, rank: int) -> sa.ColumnElement[bool]:
    return sa.and_(streams.c.job_id == job_id, streams.c.attempt == attempt, streams.c.rank == rank)


def _move(connection: sa.Connection, job_id: int, attempt: int, rank: int, batch: Batch) -> bool:
    """Move the stream's place from the batch's start to its end; False where it was not there."""
    place: dict[str, object] = {"position": batch.end}
    if batch.cursor:
        place["cursor"] = batch.cursor
    moved = connection.execute(
        sa.update(streams)
        .where(_of_stream(job_id, attempt, rank), streams.c.position == batch.start)
        .values(place)
    )
    if moved.rowcount or batch.start:
        return bool(moved.rowcount)
    announced = sa.select(attempts.c.number).where(attempts.c.job_id == job_id, attempts.c.number == attempt)
    if connection.scalar(announced) is None:
        raise NotFound(f"job {job_id} has no attempt {attempt}", "job.history() lists its attempts")
    first = {
        "job_id": job_id,
        "attempt": attempt,
        "rank": rank,
        "position": batch.end,
        "cursor": batch.cursor,
    }
    return insert_new(connection, streams, first)


def _add_log(connection: sa.Connection, job_id: int, attempt: int, rank: int, batch: Batch) -> None:
    stream = {"job_id": job_id, "attempt": attempt, "rank": rank}
    connection.execute(sa.insert(log_chunks).values(**stream, position=batch.start, text=batch.log))
    # A job that prints gigabytes must not fill the database.
    outdated = log_chunks.c.position < batch.end - LOG_KEPT_BYTES
    connection.execute(sa.delete(log_chunks).filter_by(**stream).where(outdated))


def _add_progress(connection: sa.Connection, job_id: int, attempt: int, batch: Batch) -> None:
    if batch.again_from is not None:
        again = (*of_attempt(job_id, attempt), points.c.step >= batch.again_from)
        connection.execute(sa.delete(points).where(*again))
    told = [point for _, point in batch.points]
    recalled = known(connection, job_id, attempt, told, points.c.position < 0) if told else set()
    fresh = [(at, point) for at, point in batch.points if (point.time, point.step) not in recalled]
    if fresh:
        connection.execute(sa.insert(points), [_point_values(job_id, at, point) for at, point in fresh])
    for at, note in batch.notes:
        connection.execute(
            sa.insert(events).values(
                job_id=job_id,
                key=f"note-{attempt}-{at}",
                time=time.time(),
                kind="note",
                attempt=attempt,
                message=note,
            )
        )


def _put_artifact(connection: sa.Connection, job_id: int, attempt: int, artifact: Artifact) -> None:
    values = {
        "job_id": job_id,
        "name": artifact.name,
        "attempt": attempt,
        "object_json": encode(artifact.object),
        "created_at": time.time(),
    }
    insert_or_update(connection, artifacts, values)


def _point_values(job_id: int, position: int, point: Point) -> dict[str, object]:
    return {
        "job_id": job_id,
        "attempt": point.attempt,
        "position": position,
        "time": point.time,
        "step": point.step,
        "total": point.total,
        "metrics_json": encode(point.metrics),
    }


def _point(row: sa.Row[tuple[object, ...]]) -> Point:
    metrics = decode(row.metrics_json, dict[str, float | None])
    return Point(
        attempt=row.attempt,
        time=row.time,
        step=row.step,
        total=row.total,
        metrics={name: float("nan") if value is None else value for name, value in metrics.items()},
        recalled=row.position < 0,
    )
