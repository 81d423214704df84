"""Mending what crashes left: found, put right, told; never what another database or home owns.

Each part can be done any number of times and by several monitors at once: the record takes the first
end of a job, launchers end and delete by name, objects are removed where they still are. What is younger
than the grace is left alone: whoever is at it may only be slow.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from mltemporal import owner
from mltemporal.database.jobs import Event, JobRow
from mltemporal.errors import MLTemporalError
from mltemporal.monitoring import processes, strays
from mltemporal.monitoring.deeds import Deeds
from mltemporal.monitoring.looking import secrets_of, without
from mltemporal.monitoring.ownerless import Gone, asked_again, gone, of_another_temporal, startable
from mltemporal.monitoring.surroundings import WorkersSession
from mltemporal.specs.running import JobStatus
from mltemporal.storage.content import Storage

log = logging.getLogger("mltemporal.worker")

GRACE_S = 60.0
"""How long something must have stood still before it counts as left behind."""
START_WITHIN_S = 3600.0
"""A job that was never started is started so long after it was asked for; later it would be a surprise."""
GIVE_UP_S = 86_400.0
"""After so long, a job that only another machine could start is ended."""

_SWEEP_EVERY_S = 3600.0


class Mender:
    """Mends with the parts of one worker.

    Args:
        here: the worker's parts.
        storage: where objects are.
        grace_s: how long something must have stood still.
        watched_s: how long a job must have been seen without ever having been started before it is ended
            for its age: a clock that was set makes what is just being launched look old.
        name: who mends, as people are told.
    """

    def __init__(
        self,
        here: WorkersSession,
        storage: Storage,
        *,
        grace_s: float = GRACE_S,
        watched_s: float = 0.0,
        name: str = "the monitor",
    ) -> None:
        self._here = here
        self._storage = storage
        self._grace_s = grace_s
        self._watched_s = watched_s
        self._watched_since: dict[int, float] = {}
        self._name = name
        self._swept_at = float("-inf")
        self._left = False

    async def mend(self) -> Deeds:
        """Mend everything; raises nothing: what fails is told, and the rest is done."""
        return await self._mended(
            ("jobs without a workflow", self._jobs),
            ("workflows without a job", self._workflows),
            ("processes without a job", self._processes),
            ("half-written objects", self._objects),
            ("old checkpoints", self._checkpoints),
        )

    async def mend_jobs(self, known: frozenset[str] = frozenset()) -> Deeds:
        """Mend only jobs without a workflow and workflows without a job; raises nothing.

        Args:
            known: ids of workflows that run: their jobs are not looked at.
        """
        return await self._mended(
            ("jobs without a workflow", lambda deeds: self._jobs(deeds, known)),
            ("workflows without a job", self._workflows),
        )

    async def mend_processes(self) -> Deeds:
        """Stop what runs for ended jobs, and nothing else; raises nothing."""
        return await self._mended(
            ("processes of ended jobs", lambda deeds: processes.stop_ended(self._here, self._grace_s, deeds))
        )

    async def _mended(self, *parts: tuple[str, Callable[[Deeds], Awaitable[None]]]) -> Deeds:
        deeds = Deeds()
        for name, part in parts:
            try:
                await part(deeds)
            except MLTemporalError as error:
                deeds.failed.append(f"{name} cannot be looked for: {error.what}")
            except Exception as error:  # the other parts are mended all the same
                told = without(secrets_of(self._here.settings), f"{type(error).__name__}: {error}")
                deeds.failed.append(f"{name} cannot be looked for: {told}")
        return deeds

    async def _jobs(self, deeds: Deeds, known: frozenset[str] = frozenset()) -> None:
        """Start or end each live job whose workflow will not end it.

        A person expects what they asked for. So a job that was never started (its kernel died in that
        moment) is started, as all it needs is stored; later than an hour after it was asked for it
        would come as a surprise, and is ended. One whose workflow was ended from outside is
        ended too: somebody wanted that, and `job.retry()` goes on from the last checkpoint.
        """
        client = await self._here.client()
        for row in await asyncio.to_thread(self._here.database.leftovers.live):
            if row.workflow_id in known:
                continue
            if of_another_temporal(self._here, row):
                self._leave(row)
                continue
            try:
                found = await gone(client, row)
                if found is not None:
                    await self._job(row, found, deeds)
            except MLTemporalError as error:  # of its backend, say: the others are mended all the same
                deeds.failed.append(f"job {row.id} could not be mended: {error.what}")

    def _leave(self, row: JobRow) -> None:
        """Say once that there are jobs which are not this one's to judge."""
        if not self._left:
            self._left = True
            log.info("job %s, and what else others launched, is left to their Temporal", row.id)

    async def _job(self, row: JobRow, found: Gone, deeds: Deeds) -> None:
        """Start or end a job whose workflow is gone, past the grace."""
        spoken = await asyncio.to_thread(self._here.database.leftovers.last_event, row.id)
        quiet_s = time.time() - max(row.created_at, spoken, found.closed_at or 0.0)
        if quiet_s < self._grace_s:
            return
        again = await asyncio.to_thread(asked_again, self._here, row, found)
        mine = await startable(self._here, row)
        if not mine and quiet_s < GIVE_UP_S and (found.never_started or found.unknown):
            return  # another home's, where a monitor of its own can see more
        if (found.never_started or again) and mine and quiet_s < START_WITHIN_S:
            await owner.start(self._here, row, again=again)
            await self._tell(row, "its workflow had not been started, and was started now", deeds)
        elif found.never_started and not self._watched(row):
            return
        elif not found.unknown or not await processes.alive(self._here.launchers, row):
            await self._end(row, found, deeds)

    def _watched(self, row: JobRow) -> bool:
        since = self._watched_since.setdefault(row.id, time.monotonic())
        return time.monotonic() - since >= self._watched_s

    async def _end(self, row: JobRow, found: Gone, deeds: Deeds) -> None:
        ended = await owner.end_without_owner(self._here, row, JobStatus.FAILED, found.error)
        if (ended.status, ended.error) != (JobStatus.FAILED, found.error):
            return  # it ended by itself in this moment
        deeds.ended.append(row.id)
        await self._tell(row, f"its workflow {found.why}, so the job was recorded as failed", deeds)

    async def _workflows(self, deeds: Deeds) -> None:
        for stray in await strays.find(self._here, self._grace_s):
            if did := await strays.end(await self._here.client(), stray):
                deeds.done.append(did)

    async def _processes(self, deeds: Deeds) -> None:
        await processes.remove(self._here, self._grace_s, deeds)

    async def _objects(self, deeds: Deeds) -> None:
        from mltemporal.storage.leftovers import sweep

        if time.monotonic() - self._swept_at < _SWEEP_EVERY_S:
            return
        removed = await asyncio.to_thread(sweep, self._storage.url)
        self._swept_at = time.monotonic()
        if removed:
            shown = ", ".join(removed[:5]) + (" …" if len(removed) > 5 else "")
            deeds.done.append(f"removed {len(removed)} half-written objects from storage: {shown}")

    async def _checkpoints(self, deeds: Deeds) -> None:
        from mltemporal.runtime.checkpoint import discard_all

        days, leftovers = self._here.settings.checkpoint_days, self._here.database.leftovers
        for row in await asyncio.to_thread(leftovers.ended_before, time.time() - days * 86_400):
            removed = await asyncio.to_thread(discard_all, self._storage, row.key, attempts=row.attempt)
            if removed:
                text = f"its {removed} checkpoints were removed, {days} days after its end"
                await self._tell(row, text, deeds)
            if row.finished_at is not None:
                await asyncio.to_thread(leftovers.mark, row.finished_at)

    async def _tell(self, row: JobRow, text: str, deeds: Deeds) -> None:
        """Say it in the job's history, once, and among the deeds."""
        event = Event(time=time.time(), kind="note", attempt=row.attempt, message=f"{self._name}: {text}")
        key = f"mended-{row.attempt}-{text[:150]}"
        await asyncio.to_thread(self._here.database.jobs.add_event, row.id, event, key=key)
        deeds.done.append(f"job {row.id}: {text}")
