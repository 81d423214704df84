"""A job that was paused stays so where its process is lost meanwhile and another one begins."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from mltemporal.database.engine import Database
from mltemporal.database.jobs import Event, JobRow
from mltemporal.launchers.base import Launcher, Phase, Sighting
from mltemporal.rewinding import starts_again

_TOLD = "it was paused when its process was lost, and is paused again: resume() lets it go on"


class Pause:
    """Watches one attempt as it begins; suspends it where a person had paused the one before."""

    def __init__(self, database: Database, launcher: Launcher, job: JobRow, attempt: int) -> None:
        self._database = database
        self._launcher = launcher
        self._job = job
        self._attempt = attempt
        self._looks = attempt > 1

    async def look(self, seen: Sighting) -> None:
        """Suspend the process once it runs. Idempotent: what was suspended before is a person's to resume."""
        if not self._looks or seen.phase is Phase.QUEUED:
            return
        self._looks = False
        if seen.phase is Phase.RUNNING and await asyncio.to_thread(self._is_wanted):
            await self._launcher.suspend(f"{self._job.key}-{self._attempt}")
            await asyncio.to_thread(self._tell)

    def _is_wanted(self) -> bool:
        return was_paused(self._database.jobs.events(self._job.id), self._attempt)

    def _tell(self) -> None:
        event = Event(time=time.time(), kind="note", attempt=self._attempt, message=_TOLD)
        self._database.jobs.add_event(self._job.id, event, key=f"paused-again-{self._attempt}")


def was_paused(events: Sequence[Event], attempt: int) -> bool:
    """Return whether an earlier attempt was paused by a person, and nobody had the job go on since."""
    for event in reversed(events):
        if event.kind == "command" and event.message == "pause":
            return event.attempt < attempt
        if event.kind == "command" and (event.message == "resume" or starts_again(event)):
            return False
    return False
