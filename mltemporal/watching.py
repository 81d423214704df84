"""Reading a job as a person sees it, once or for as long as it runs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mltemporal import background, owner
from mltemporal.errors import MLTemporalError, ServiceUnavailable
from mltemporal.monitoring.ownerless import Gone, asked_again, gone, startable
from mltemporal.rewinding import holding, rewinds_of
from mltemporal.specs.running import JobStatus
from mltemporal.views import JobView
from mltemporal.words import clean, one_line

if TYPE_CHECKING:
    from mltemporal.database.jobs import JobRow
    from mltemporal.session import Session

log = logging.getLogger("mltemporal.watching")

_BEAT_S = 0.25
_OWNER_CHECK_S = 5.0
_TAIL_LINES = 200
_FEW_CHUNKS = 20
_TOLD = ("note", "follow", "stall")
"""Kinds of events that a person is told."""


@dataclass(frozen=True)
class _Read:
    view: JobView
    last_point: int


def read_view(session: Session, job_id: int) -> JobView:
    """Return the job as it stands now, with all its points."""
    return _read(session, job_id, after=0).view


def _read(session: Session, job_id: int, *, after: int) -> _Read:
    database = session.database
    row = database.jobs.get(job_id)
    events = database.jobs.events(job_id)
    points = database.progress.points(job_id, after=after)
    shown = [point for _, point in points]
    if not after:
        shown = holding(shown, rewinds_of(events))
    notes = tuple(event.message for event in events if event.kind in ("note", "follow", "stall"))
    ended = [
        f"attempt {attempt['number']} was interrupted: {attempt['reason'].splitlines()[-1]}"
        for attempt in database.jobs.attempts(job_id)
        if attempt["phase"] == "interrupted" and attempt["reason"]
    ]
    view = JobView(
        id=row.id,
        name=row.name,
        kind=row.kind,
        status=row.status,
        stage=row.stage,
        attempt=row.attempt,
        attempts_allowed=max(row.spec.retries + 1, row.attempt),  # `retry` goes on counting
        backend=row.spec.backend,
        trainer=row.spec.trainer.label,
        dataset=dataset_label(row),
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        points=tuple(shown),
        log_tail=tuple(log_lines(session, job_id, tail=_TAIL_LINES)),
        notes=(*notes, *ended),
        metrics=row.result.metrics if row.result is not None else {},
        error=row.error,
        url=session.job_url(row.workflow_id),
    )
    return _Read(view, max((row_id for row_id, _ in points), default=after))


def dataset_label(row: JobRow) -> str:
    """Return what a person calls the job's dataset."""
    ref = row.spec.dataset
    rows = (
        f"{ref.rows:,} rows × {len(ref.columns)} columns" if ref.rows >= 0 else f"{len(ref.columns)} columns"
    )
    name = ref.name or (ref.uri.rstrip("/").rpartition("/")[2] if ref.uri else "table")
    return f"{one_line(name)} ({rows})"


def log_lines(session: Session, job_id: int, *, tail: int, rank: int = 0) -> list[str]:
    """Return the last ``tail`` lines of a rank's output, oldest first, without terminal escapes."""
    log_of = session.database.progress.log
    lines: list[str] = []
    for newest in (_FEW_CHUNKS, tail):  # each has a line at least, and most have many
        chunks = log_of(job_id, newest=newest, rank=rank)
        lines = clean("".join(text for _, _, text in chunks)).splitlines()
        if len(lines) >= tail or len(chunks) < newest:
            break
    return lines[-tail:] if tail else []


class Watch:
    """Calls ``callback`` with a view at once and then on each change, until the job has ended.

    It runs on the background loop; the last view has a final status. A callback that raises
    ends the watch; the error is logged.
    """

    def __init__(self, session: Session, job_id: int, callback: Callable[[JobView], None]) -> None:
        self._session = session
        self._job_id = job_id
        self._callback = callback
        self._future = background.submit(self._run())

    def close(self) -> None:
        """Stop watching; the job goes on."""
        self._future.cancel()

    async def _run(self) -> None:
        after, shown = 0, None
        pulse = Pulse(self._session, self._job_id)
        while True:
            try:
                read = await asyncio.to_thread(_read, self._session, self._job_id, after=after)
            except ServiceUnavailable as error:
                log.info("%s", error)  # the next beat tries again; the panel keeps what it shows
                await asyncio.sleep(4 * _BEAT_S)
                continue
            except MLTemporalError as error:
                log.warning("the watch of job %d ends: %s", self._job_id, error)
                return
            after = read.last_point
            if read.view.points or replace(read.view, points=()) != shown:
                shown = replace(read.view, points=())
                try:
                    self._callback(read.view)
                except Exception:
                    log.exception("the watch of job %d ends: its callback failed", self._job_id)
                    return
            if read.view.status.final:
                return
            await pulse.beat()


class Pulse:
    """Paces whoever waits for a job: briskly at first, calmly later, with a look at the owner now and then.

    The database says how a job stands. Where its workflow is gone without having said so (terminated by
    an administrator, never started because the kernel died in that moment), the looker says it, or starts
    it, when it has seen so twice; workers do the same (`monitoring.tending`).
    """

    def __init__(self, session: Session, job_id: int) -> None:
        self._session = session
        self._job_id = job_id
        self._started = time.monotonic()
        self._looked_at = time.monotonic()
        self._gone_before = ""

    async def beat(self) -> None:
        """Wait until it is time to look again."""
        waited = time.monotonic() - self._started
        await asyncio.sleep(min(_BEAT_S, max(0.01, waited / 20)))
        if time.monotonic() - self._looked_at > _OWNER_CHECK_S:
            self._looked_at = time.monotonic()
            try:
                await self._check_owner()
            except MLTemporalError as error:
                log.info("%s", error)  # Temporal is away; the database is still the best word

    async def _check_owner(self) -> None:
        row = await asyncio.to_thread(self._session.database.jobs.get, self._job_id)
        found = None if row.status.final else await gone(await self._session.client(), row)
        why = "" if found is None or found.unknown else found.why
        if found is not None and why and why == self._gone_before:  # twice: a retry starts another
            await self._settle(row, found)
        self._gone_before = why

    async def _settle(self, row: JobRow, found: Gone) -> None:
        """Start what was to start and was cut off; end what was ended from outside."""
        again = await asyncio.to_thread(asked_again, self._session, row, found)
        if found.never_started or again:
            if await startable(self._session, row):
                await owner.start(self._session, row, again=again)
            return  # otherwise it is another home's, whose workers see to it
        await owner.end_without_owner(self._session, row, JobStatus.FAILED, found.error)
