"""From a process's output to the record, to the process's end, whoever else records it too."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from mltemporal.database.engine import Database
from mltemporal.database.jobs import JobRow
from mltemporal.launchers.base import Launcher, Sighting
from mltemporal.workflows.activities.follower import Follower


async def record_output(
    database: Database,
    launcher: Launcher,
    job: JobRow,
    attempt: int,
    *,
    rank: int = 0,
    tell: Callable[[Sighting, Follower], Awaitable[None]] | None = None,
) -> Sighting:
    """Record what one rank of an attempt prints until it has ended, and return how it did.

    Args:
        tell: is told of each sighting, once that is recorded.

    Raises:
        NotFound: there is no such process, or the record has no such attempt.
        ServiceUnavailable: launcher or database does not answer.

    Idempotency: goes on where the record stands; where somebody else has recorded meanwhile, after that.
    """
    name, patterns = f"{job.key}-{attempt}", job.spec.trainer.metric_patterns
    while True:
        place = await asyncio.to_thread(database.progress.place, job.id, attempt, rank)
        follower = Follower(database, job.id, attempt, patterns, rank=rank, position=place.position)
        async for seen in launcher.follow(name, place.position, place.cursor, rank):
            if seen.output or seen.phase.final or follower.can_catch_up:
                last = seen.phase.final
                if not await asyncio.to_thread(follower.feed, seen.output, seen.cursor, last=last):
                    break
            if tell is not None:
                await tell(seen, follower)
            if seen.phase.final:
                return seen
