"""Open workflows and other code: who fits moves over, who does not is replaced, and loses nothing.

Temporal runs an open workflow on by replaying its history on the code at hand. Where that does not fit,
or cannot be read, the workflow would stand still for ever. So the job is given a new one under the same
identity, which takes over the process that runs.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mltemporal import owner
from mltemporal.database.jobs import Event, JobRow
from mltemporal.deployments.build import build_id
from mltemporal.deployments.replaying import Replayed, recent, replay
from mltemporal.errors import MLTemporalError
from mltemporal.launchers.base import Phase
from mltemporal.specs.running import Attempt
from mltemporal.workflows.activities.storage import ADOPT_NOTE

if TYPE_CHECKING:
    from mltemporal.monitoring.surroundings import WorkersSession

log = logging.getLogger("mltemporal.worker")

_REASON = "it does not replay on the workflow code {build}: {why}"


async def unfit(here: WorkersSession, queues: Sequence[str]) -> list[Replayed]:
    """Return the open workflows of these task queues that do not replay on the code at hand.

    Raises:
        ServiceUnavailable: Temporal or the database does not answer.
    """
    client = await here.client()
    opened = await recent(client, queues, open_only=True)
    return [found async for found in replay(client, opened, here.database) if not found.ok]


async def move_over(here: WorkersSession, queues: Sequence[str]) -> None:
    """Replace each open workflow that does not fit the code at hand; the others need nothing.

    One whose replay is not done in time may fit: it is left alone.
    What fails is logged, and the rest is done. Idempotent: a new workflow fits.
    """
    from temporalio.service import RPCError

    client = await here.client()
    opened = await recent(client, queues, open_only=True)
    count = 0
    async for found in replay(client, opened, here.database):
        count += 1
        if found.ok:
            continue
        if not found.in_time:
            log.warning("%s is left as it is: %s; see `mltemporal replay`", found.label, found.reason)
            continue
        log.warning("%s", found)
        try:
            await _replace(here, found)
        except (MLTemporalError, RPCError) as error:
            log.warning("%s could not be moved over: %s", found.label, error)
    if count:
        log.info("%d open workflows were replayed on build %s", count, build_id())


async def _replace(here: WorkersSession, found: Replayed) -> None:
    row = await asyncio.to_thread(here.database.leftovers.of_key, found.workflow_id)
    if row is None or row.status.final:
        # A round of the monitor comes again; of a job that has ended, only its last words are lost.
        await _terminate(here, found)
        return
    cancelled = await _cancel_requested(here, found)
    await _prepare_adoption(here, row)
    await owner.start(here, row, again=True, replacing=True)
    await _tell(here, row, found)
    if cancelled:
        await owner.cancel(here, row.id)


async def _prepare_adoption(here: WorkersSession, row: JobRow) -> None:
    """Have the new workflow go on with the attempt that runs, or with the next where none does."""
    if not row.attempt:
        return
    launcher = here.launcher(row.spec.backend)
    if await launcher.find(f"{row.key}-{row.attempt}") is not None:
        note = Attempt(job_id=row.id, number=row.attempt)
        await asyncio.to_thread(here.storage.put_note, row.key, ADOPT_NOTE, note)
        return
    reason = "its workflow was replaced by one of other code"
    await asyncio.to_thread(
        here.database.jobs.end_attempt, row.id, row.attempt, phase=Phase.INTERRUPTED, reason=reason
    )


async def _tell(here: WorkersSession, row: JobRow, found: Replayed) -> None:
    text = f"a new workflow took over: the one before does not fit mltemporal {build_id()} ({found.reason})"
    event = Event(time=time.time(), kind="note", attempt=row.attempt, message=text)
    await asyncio.to_thread(here.database.jobs.add_event, row.id, event, key=f"moved-{found.run_id}")


async def _cancel_requested(here: WorkersSession, found: Replayed) -> bool:
    client = await here.client()
    described = await client.get_workflow_handle(found.workflow_id).describe()
    return bool(described.raw_description.workflow_extended_info.cancel_requested)


async def _terminate(here: WorkersSession, found: Replayed) -> None:
    from temporalio.service import RPCError, RPCStatusCode

    client = await here.client()
    reason = _REASON.format(build=build_id(), why=found.reason)
    try:
        await client.get_workflow_handle(found.workflow_id, run_id=found.run_id).terminate(reason=reason)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:  # it has just ended
            raise
