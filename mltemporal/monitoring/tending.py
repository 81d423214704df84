"""What each worker sees to beside its work: a live job has a workflow that runs, an ended one no process.

So the status that a person reads is the truth some seconds after the services are back, also where nobody
has called `monitor`. One query for Temporal's running workflows and one for the live jobs a round; only
where the two differ is anything asked about a single job. What runs is known to the launchers; only what
they name is looked up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from mltemporal.errors import MLTemporalError
from mltemporal.monitoring.deeds import Deeds
from mltemporal.monitoring.mending import Mender
from mltemporal.monitoring.strays import running
from mltemporal.monitoring.surroundings import WorkersSession
from mltemporal.storage.content import Storage

log = logging.getLogger("mltemporal.worker")

EVERY_S = 5.0
GRACE_S = 5.0
"""What is younger may be in the middle of its launch, or of its end."""
WATCHED_S = 60.0
"""Longer than any launch waits for Temporal."""


async def tend(here: WorkersSession, storage: Storage, *, every_s: float = EVERY_S) -> None:
    """Look at once and then every few seconds, until cancelled; what fails is tried again.

    Idempotency: several workers may do it at once.
    """
    mender = Mender(here, storage, grace_s=GRACE_S, watched_s=WATCHED_S, name="a worker")

    async def jobs() -> Deeds:
        return await mender.mend_jobs(known=await running(here))

    async with asyncio.TaskGroup() as both:  # stopping a process takes its grace: no status waits for that
        both.create_task(_again_and_again(jobs, every_s))
        both.create_task(_again_and_again(mender.mend_processes, every_s))


async def _again_and_again(look: Callable[[], Awaitable[Deeds]], every_s: float) -> None:
    while True:
        try:
            deeds = await look()
            for told in (*deeds.done, *deeds.failed):
                log.info("%s", told)
        except MLTemporalError as error:
            log.info("%s", error)  # a service is away: the next look comes soon
        except Exception:  # one bad look must not be the last
            log.exception("a look at the jobs failed; it is done again")
        await asyncio.sleep(every_s)
