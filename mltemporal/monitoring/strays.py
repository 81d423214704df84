"""Workflows that run in Temporal and whose job has ended or is unknown."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mltemporal.errors import ServiceUnavailable
from mltemporal.monitoring.surroundings import WorkersSession
from mltemporal.owner import WORKFLOWS
from mltemporal.settings import BACKENDS

if TYPE_CHECKING:
    from temporalio.client import Client

TERMINATE_AFTER_S = 600.0
"""A workflow that was cancelled so long ago and still runs is terminated."""


@dataclass(frozen=True, kw_only=True)
class Stray:
    """One such workflow."""

    workflow_id: str
    run_id: str
    why: str
    since: float
    """When it should have ended, seconds since the epoch."""


async def find(here: WorkersSession, grace_s: float) -> list[Stray]:
    """Return the workflows of this database's queues that run for no live job, past the grace.

    Where the task queue has a name that somebody chose, another database may use it too: then
    workflows of unknown jobs are left alone.

    Raises:
        ServiceUnavailable: Temporal does not answer.
    """
    from temporalio.service import RPCError

    client = await here.client()
    live = {row.key for row in await asyncio.to_thread(here.database.leftovers.live)}
    found = []
    try:
        for queue in {here.task_queue(backend) for backend in BACKENDS}:
            async for workflow in client.list_workflows(_running(queue)):
                if workflow.id in live:
                    continue
                why, since = await asyncio.to_thread(
                    _judged, here, workflow.id, workflow.start_time.timestamp()
                )
                if why and time.time() - since > grace_s:
                    found.append(Stray(workflow_id=workflow.id, run_id=workflow.run_id, why=why, since=since))
    except RPCError as error:
        raise ServiceUnavailable(
            f"Temporal cannot list workflows: {error.message}", "run `mltemporal doctor`"
        ) from error
    return found


async def running(here: WorkersSession) -> frozenset[str]:
    """Return the ids of this database's workflows that run, as Temporal lists them: a moment late.

    Raises:
        ServiceUnavailable: Temporal does not answer.
    """
    from temporalio.service import RPCError

    client = await here.client()
    found = set()
    try:
        for queue in {here.task_queue(backend) for backend in BACKENDS}:
            found.update([workflow.id async for workflow in client.list_workflows(_running(queue))])
    except RPCError as error:
        raise ServiceUnavailable(
            f"Temporal cannot list workflows: {error.message}", "run `mltemporal doctor`"
        ) from error
    return frozenset(found)


async def end(client: Client, stray: Stray) -> str:
    """Cancel the workflow, so that it cleans up; terminate one that does not heed that.

    Returns what was done in a sentence; empty where there was nothing (more) to do.
    """
    from temporalio.service import RPCError, RPCStatusCode

    handle = client.get_workflow_handle(stray.workflow_id, run_id=stray.run_id)
    reason = f"the monitor: {stray.why}"
    try:
        described = await handle.describe()
        if described.close_time is not None:
            return ""
        if not described.raw_description.workflow_extended_info.cancel_requested:
            await handle.cancel(reason=reason)
            return f"cancelled the workflow {stray.workflow_id!r}: {stray.why}"
        if time.time() - stray.since < TERMINATE_AFTER_S:
            return ""
        await handle.terminate(reason=reason)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return ""  # it ended in this moment
        raise ServiceUnavailable(
            f"the workflow {stray.workflow_id!r} cannot be ended: {error.message}", "run `mltemporal doctor`"
        ) from error
    return f"terminated the workflow {stray.workflow_id!r}, which did not heed a cancellation: {stray.why}"


def _judged(here: WorkersSession, workflow_id: str, started_at: float) -> tuple[str, float]:
    """Return why the workflow should not run, and since when; an empty reason where it should."""
    row = here.database.leftovers.of_key(workflow_id)
    if row is None:
        ours = here.settings.task_queue is None  # the queue's name holds the database's id
        return ("this database has no such job" if ours else "", started_at)
    if not row.status.final:
        return "", started_at
    return f"job {row.id} has ended as {row.status}", row.finished_at or started_at


def _running(queue: str) -> str:
    kinds = ", ".join(f"'{name}'" for name in WORKFLOWS.values())
    quoted = queue.replace("'", "\\'")
    return f"WorkflowType IN ({kinds}) AND TaskQueue = '{quoted}' AND ExecutionStatus = 'Running'"
