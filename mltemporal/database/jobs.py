"""Jobs, their attempts and their events."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from mltemporal.database.attaching import find_or_insert
from mltemporal.database.inserting import insert_new
from mltemporal.database.retrying import retried
from mltemporal.database.tables import attempts, events, jobs
from mltemporal.errors import NotFound
from mltemporal.specs.encoding import decode, encode
from mltemporal.specs.request import JobSpec
from mltemporal.specs.results import RESULTS, JobResult
from mltemporal.specs.running import JobStatus

if TYPE_CHECKING:
    from mltemporal.database.engine import Database

_LARGEST_ID = 2**31 - 1  # PostgreSQL refuses to compare a column with what it cannot hold
_FINAL = [status.value for status in JobStatus if status.final]


@dataclass(frozen=True, kw_only=True)
class JobRow:
    """One job as recorded."""

    id: int
    key: str
    kind: str
    name: str
    status: JobStatus
    stage: str
    fingerprint: str
    spec: JobSpec
    tags: tuple[str, ...]
    attempt: int
    """The newest attempt's number; 0 before the first."""
    created_by: str
    created_at: float
    started_at: float | None
    finished_at: float | None
    result: JobResult | None
    error: str

    @property
    def workflow_id(self) -> str:
        """The id of the workflow that owns the job."""
        return self.key


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened to a job."""

    time: float
    kind: str
    """``submitted``, ``attached``, ``stage``, ``attempt``, ``retry``, ``follow``, ``stall``, ``command``,
    ``note``, ``finished`` or ``notice``."""
    attempt: int = 0
    message: str = ""
    created_by: str = ""


class Jobs:
    """The ``jobs``, ``attempts`` and ``events`` tables."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    def add(
        self,
        spec: JobSpec,
        *,
        fingerprint: str,
        dataset_id: int,
        tags: Sequence[str] = (),
        by: str = "",
        note: str = "",
        force: bool = False,
    ) -> tuple[JobRow, bool]:
        """Record a new job, or find the live one of the same fingerprint. Idempotent by the spec's key.

        Args:
            note: what was chosen at launch and why, for a person.
            force: record a new job even where one of this fingerprint is live.

        Returns:
            The job, and whether it is new. Of several callers at once, one gets a new one.
        """
        now = time.time()
        values = {
            "key": spec.key,
            "kind": spec.kind,
            "name": spec.name,
            "status": JobStatus.QUEUED,
            "fingerprint": fingerprint,
            "dataset_id": dataset_id,
            "spec_json": encode(spec),
            "tags_json": encode(list(tags)),
            "created_by": by,
            "created_at": now,
        }
        with self._database.writing() as connection:
            job_id, new = find_or_insert(connection, values, force=force)
            if new:
                _add_event(connection, job_id, "submitted", Event(time=now, kind="submitted", created_by=by))
                if note:
                    _add_event(connection, job_id, "note", Event(time=now, kind="note", message=note))
            else:
                attached = Event(time=now, kind="attached", created_by=by)
                _add_event(connection, job_id, f"attached-{spec.key}", attached)
        return self.get(job_id), new

    @retried
    def withdraw(self, job_id: int) -> bool:
        """Remove a job whose workflow could not be started.

        Returns:
            False where the job stays: somebody else has attached to it, or a worker has started it meanwhile.
        """
        since = sa.select(events.c.id).where(
            events.c.job_id == job_id, events.c.key.not_in(("submitted", "note"))
        )
        with self._database.writing() as connection:
            # Whoever attaches locks the same row first: neither goes unseen by the other.
            connection.execute(sa.select(jobs.c.id).where(jobs.c.id == job_id).with_for_update())
            if connection.scalar(since.limit(1)) is not None:
                return False
            connection.execute(sa.delete(events).where(events.c.job_id == job_id))
            connection.execute(sa.delete(jobs).where(jobs.c.id == job_id))
        return True

    def get(self, job_id: int) -> JobRow:
        """Return the job.

        Raises:
            NotFound: there is none of that id.
        """
        row = self._one(jobs.c.id == job_id) if 0 < job_id <= _LARGEST_ID else None
        if row is None:
            raise NotFound(f"there is no job {job_id}", "mltemporal.jobs() lists the jobs")
        return row

    @retried
    def live(self, fingerprint: str) -> JobRow | None:
        """Return the live job of that fingerprint."""
        return self._one(jobs.c.live_fingerprint == fingerprint)

    @retried
    def named(self, name: str) -> JobRow:
        """Return the newest job of that name.

        Raises:
            NotFound: there is none of that name.
        """
        row = self._one(jobs.c.name == name)
        if row is None:
            raise NotFound(f"there is no job named {name!r}", "mltemporal.jobs() lists the jobs")
        return row

    @retried
    def find(
        self, *, status: Sequence[str] = (), name: str | None = None, tag: str | None = None, limit: int = 100
    ) -> list[JobRow]:
        """Return the jobs that fit every given condition, newest first."""
        query = sa.select(jobs).order_by(jobs.c.id.desc()).limit(limit)
        if status:
            query = query.where(jobs.c.status.in_(list(status)))
        if name is not None:
            query = query.where(jobs.c.name == name)
        if tag is not None:
            # LIKE would take upper and lower case for the same in SQLite; this does not.
            query = query.where(sa.func.replace(jobs.c.tags_json, encode(tag), "") != jobs.c.tags_json)
        with self._database.reading() as connection:
            return [row_of(row) for row in connection.execute(query).mappings()]

    @retried
    def set_status(self, job_id: int, status: JobStatus, stage: str = "") -> None:
        """Say where a live job stands; an ended one stays as it ended. Idempotent."""
        with self._database.writing() as connection:
            before = connection.execute(
                sa.select(jobs.c.status, jobs.c.attempt).where(jobs.c.id == job_id)
            ).first()
            changed = connection.execute(
                sa.update(jobs)
                .where(jobs.c.id == job_id, jobs.c.status.not_in(_FINAL))
                .values(status=status, stage=stage)
            )
            if changed.rowcount and before is not None and before.status != status:
                event = Event(time=time.time(), kind="stage", attempt=before.attempt, message=status.value)
                _add_event(connection, job_id, None, event)

    @retried
    def start_attempt(self, job_id: int, number: int) -> None:
        """Record that an attempt begins. Idempotent."""
        now = time.time()
        with self._database.writing() as connection:
            if not insert_new(connection, attempts, {"job_id": job_id, "number": number, "started_at": now}):
                return
            connection.execute(
                sa.update(jobs)
                .where(jobs.c.id == job_id)
                .values(attempt=number, started_at=sa.func.coalesce(jobs.c.started_at, now))
            )
            _add_event(
                connection, job_id, f"attempt-{number}", Event(time=now, kind="attempt", attempt=number)
            )

    @retried
    def end_attempt(
        self, job_id: int, number: int, *, phase: str, reason: str = "", log_json: str | None = None
    ) -> None:
        """Record how an attempt ended, and where its whole log is. Idempotent: the first word stands."""
        with self._database.writing() as connection:
            connection.execute(
                sa.update(attempts)
                .where(
                    attempts.c.job_id == job_id, attempts.c.number == number, attempts.c.finished_at.is_(None)
                )
                .values(finished_at=time.time(), phase=phase, reason=reason, log_json=log_json)
            )

    @retried
    def finish(
        self,
        job_id: int,
        status: JobStatus,
        *,
        result: JobResult | None = None,
        error: str = "",
        attempts: int | None = None,
    ) -> JobRow:
        """Record how the job ended. Idempotent: the first end stands. Returns the job as it stands.

        Args:
            job_id: the job.
            status: as what it ended.
            result: what it came to.
            error: why it failed.
            attempts: how many it had in all; where it was started again after those, it has not ended.
        """
        now = time.time()
        ends = [jobs.c.id == job_id, jobs.c.status.not_in(_FINAL)]
        if attempts is not None:
            again = sa.exists().where(
                events.c.job_id == job_id,
                events.c.kind == "command",
                events.c.key.startswith("retry-"),
                events.c.attempt >= attempts,
            )
            ends += [jobs.c.attempt <= attempts, ~again]
        with self._database.writing() as connection:
            changed = connection.execute(
                sa.update(jobs)
                .where(*ends)
                .values(
                    status=status,
                    stage="",
                    finished_at=now,
                    live_fingerprint=None,
                    error=error,
                    result_json=None if result is None else encode(result),
                )
            )
            if changed.rowcount:
                _add_event(connection, job_id, None, Event(time=now, kind="finished", message=status.value))
        return self.get(job_id)

    def reopen(self, job_id: int, *, by: str = "", told: str = "retry", attempt: int | None = None) -> bool:
        """Make an ended job live again; False where it had not ended, or another of its kind is live.

        Args:
            job_id: the job.
            by: who asked for it; that is recorded as the command ``told``.
            told: the command in words.
            attempt: its newest attempt, as the caller knows it; where there was another, nothing is done.
        """
        row = self.get(job_id)
        if attempt is not None and row.attempt != attempt:
            return False
        command = Event(time=time.time(), kind="command", attempt=row.attempt, message=told, created_by=by)
        try:
            return self._reopen(row, command)
        except IntegrityError:
            return False

    @retried
    def _reopen(self, row: JobRow, command: Event) -> bool:
        with self._database.writing() as connection:
            key = f"retry-{command.time!r}"
            if connection.scalar(_event_of(row.id, key)) is not None:
                return True  # this call is made again, after its commit went unanswered
            changed = connection.execute(
                sa.update(jobs)
                .where(jobs.c.id == row.id, jobs.c.status.in_(_FINAL), jobs.c.attempt == row.attempt)
                .values(
                    status=JobStatus.QUEUED,
                    stage="",
                    finished_at=None,
                    error="",
                    result_json=None,
                    live_fingerprint=row.fingerprint,
                )
            )
            if changed.rowcount:
                _add_event(connection, row.id, key, command)
            return bool(changed.rowcount)

    @retried
    def add_event(self, job_id: int, event: Event, *, key: str | None = None) -> None:
        """Record an event; one that has a ``key`` is recorded once."""
        with self._database.writing() as connection:
            _add_event(connection, job_id, key, event)

    @retried
    def event(self, job_id: int, key: str) -> Event | None:
        """Return the event that was recorded with that key."""
        columns = [events.c[field.name] for field in fields(Event)]
        query = sa.select(*columns).where(events.c.job_id == job_id, events.c.key == key)
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else Event(**row)

    @retried
    def events(self, job_id: int) -> list[Event]:
        """Return everything that happened to the job, oldest first."""
        columns = [events.c[field.name] for field in fields(Event)]
        query = sa.select(*columns).where(events.c.job_id == job_id).order_by(events.c.id)
        with self._database.reading() as connection:
            return [Event(**row) for row in connection.execute(query).mappings()]

    @retried
    def attempts(self, job_id: int) -> list[dict[str, Any]]:
        """Return the attempts as dictionaries of the table's columns, oldest first."""
        query = sa.select(attempts).where(attempts.c.job_id == job_id).order_by(attempts.c.number)
        with self._database.reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    @retried
    def _one(self, condition: sa.ColumnElement[bool]) -> JobRow | None:
        query = sa.select(jobs).where(condition).order_by(jobs.c.id.desc()).limit(1)
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else row_of(row)


def row_of(row: sa.RowMapping) -> JobRow:
    """Return the job of a row of the table."""
    return JobRow(
        id=row["id"],
        key=row["key"],
        kind=row["kind"],
        name=row["name"],
        status=JobStatus(row["status"]),
        stage=row["stage"],
        fingerprint=row["fingerprint"],
        spec=decode(row["spec_json"], JobSpec),
        tags=tuple(decode(row["tags_json"], list[str])),
        attempt=row["attempt"],
        created_by=row["created_by"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        result=None if row["result_json"] is None else decode(row["result_json"], RESULTS[row["kind"]]),
        error=row["error"],
    )


def _event_of(job_id: int, key: str) -> sa.Select[tuple[int]]:
    return sa.select(events.c.id).where(events.c.job_id == job_id, events.c.key == key)


def _add_event(connection: sa.Connection, job_id: int, key: str | None, event: Event) -> None:
    values = {"job_id": job_id, "key": key or f"{event.kind}-{event.time!r}", **vars(event)}
    insert_new(connection, events, values)
