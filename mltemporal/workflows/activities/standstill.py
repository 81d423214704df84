"""What is done about a training that stands still: flagged, and stopped where its job asked for that."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace

from mltemporal.database.engine import Database
from mltemporal.database.jobs import Event, JobRow
from mltemporal.launchers.base import Launcher, Phase, Sighting
from mltemporal.specs.running import Attempt, JobStatus
from mltemporal.workflows.activities.follower import Follower
from mltemporal.workflows.activities.stalls import KEPT, Progressing

log = logging.getLogger("mltemporal.worker")


class Standstill:
    """Watches one attempt for as long as it is followed; made by `begin`."""

    def __init__(self, database: Database, launcher: Launcher, job: JobRow, attempt: Attempt) -> None:
        self._database = database
        self._launcher = launcher
        self._job = job
        self._attempt = attempt
        self._progressing = Progressing(job.spec.stall_after_s)
        self._words = ""
        self._stopping: asyncio.Task[None] | None = None

    @classmethod
    async def begin(cls, database: Database, launcher: Launcher, job: JobRow, attempt: Attempt) -> Standstill:
        """Return a watch that goes on counting where the record stands."""
        made = cls(database, launcher, job, attempt)
        await asyncio.to_thread(made._recall)
        return made

    async def look(self, seen: Sighting, follower: Follower) -> str:
        """Return in words that it stands still, for people; empty while it gets on.

        The first time, that is recorded among the job's events; with ``stall="restart"`` the process
        is stopped meanwhile, gracefully.
        """
        if self._stopping is not None and self._stopping.done() and (error := self._stopping.exception()):
            log.warning("job %d stands still, and could not be stopped: %s", self._job.id, error)
            self._stopping, self._words = None, ""  # it is tried again
        stands = self._job.spec.stall is not None and self._progressing.look(
            time.monotonic(),
            running=seen.phase is Phase.RUNNING,
            stage=follower.stage,
            latest=follower.latest,
        )
        if self._stopping is not None:
            return self._words
        if stands and not self._words:
            step, limit_s = self._progressing.step, self._progressing.limit_s or 0.0
            self._words = f"stands still: no new step since step {step} for more than {limit_s:g} s"
            if self._job.spec.stall == "restart":
                self._words += "; it is stopped, to go on from its checkpoint"
                name = f"{self._job.key}-{self._attempt.number}"
                self._stopping = asyncio.create_task(self._launcher.stop(name, self._job.spec.grace_s))
            await asyncio.to_thread(self._record, step)
        elif not stands:
            self._words = ""
        return self._words

    async def ended(self, end: Sighting) -> Sighting:
        """Return how the process ended: one that was stopped here was interrupted, whatever its exit code.

        Raises:
            ServiceUnavailable: the launcher could not stop it.
        """
        if self._stopping is None:
            return end
        await self._stopping
        return replace(end, phase=Phase.INTERRUPTED, reason=f"it {self._words}")

    def close(self) -> None:
        """Follow no more. A process that is being stopped here is left to who stops or follows it next."""
        if self._stopping is not None:
            self._stopping.cancel()

    def _recall(self) -> None:
        points = self._database.progress.newest_points(self._job.id, self._attempt.number, KEPT)
        if not points:
            return
        ran_since = max(
            (event.time for event in self._database.jobs.events(self._job.id) if event.kind in _MOVES),
            default=0.0,
        )
        paused = self._job.status is JobStatus.PAUSED
        stood_s = 0.0 if paused else time.time() - max(points[-1].time, ran_since)
        self._progressing.recall(points, stood_s, self._job.stage)

    def _record(self, step: int | None) -> None:
        event = Event(
            time=time.time(), kind="stall", attempt=self._attempt.number, message=f"it {self._words}"
        )
        key = f"stall-{self._attempt.number}-{step}"
        self._database.jobs.add_event(self._job.id, event, key=key)


_MOVES = ("attempt", "stage", "command")
"""Events from which on it could run, again."""
