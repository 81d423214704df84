"""Talking to the workflow that owns a job: start it, command it, start it again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from mltemporal.database import Event, JobRow
from mltemporal.errors import InvalidRequest, ServiceUnavailable
from mltemporal.specs import Command, JobStatus
from mltemporal.stack import search_attributes
from mltemporal.words import markdown

if TYPE_CHECKING:
    from mltemporal.session import Session

_CLEAN_UP = timedelta(days=8)
"""Room for the clean-up after the job's own time: the workflow's limit must never cut it short."""

WORKFLOWS = {
    "training": "TrainingWorkflow",
    "preprocessing": "PreprocessingWorkflow",
    "inference": "InferenceWorkflow",
}
"""The workflow that owns each kind of job."""

_ANSWER = timedelta(seconds=30)
"""How long a command may take: it needs a worker, and a look at the process."""


async def start(session: Session, row: JobRow, *, again: bool = False, replacing: bool = False) -> None:
    """Start the job's workflow. Idempotent: a running one is left alone.

    Args:
        again: whether a closed workflow of this job may be followed by a new one.
        replacing: whether a running one is terminated, and followed by a new one in the same moment.

    Raises:
        ServiceUnavailable: Temporal does not answer.
    """
    from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
    from temporalio.exceptions import WorkflowAlreadyStartedError
    from temporalio.service import RPCError

    client = await session.client()
    reuse = WorkflowIDReusePolicy.ALLOW_DUPLICATE if again else WorkflowIDReusePolicy.REJECT_DUPLICATE
    conflict = WorkflowIDConflictPolicy.USE_EXISTING
    if replacing:
        conflict = WorkflowIDConflictPolicy.TERMINATE_EXISTING
    found_by = search_attributes.of(client, row)

    async def start_workflow() -> None:
        await client.start_workflow(
            WORKFLOWS[row.kind],
            row.id,
            id=row.workflow_id,
            task_queue=session.task_queue(row.spec.backend),
            id_conflict_policy=conflict,
            id_reuse_policy=reuse,
            execution_timeout=timedelta(seconds=row.spec.timeout_s) + _CLEAN_UP,
            search_attributes=found_by,
            static_summary=f"job {row.id}: {markdown(row.name)}",
            static_details=f"{row.kind} by {row.spec.trainer.kind}, for {markdown(row.created_by)}",
        )

    with _translated():
        try:
            try:
                await start_workflow()
            except RPCError as error:
                if found_by is None or not search_attributes.refused(client, error):
                    raise
                found_by = None
                await start_workflow()
        except WorkflowAlreadyStartedError:
            return  # it was started, and has closed, before


async def cancel(session: Session, job_id: int) -> bool:
    """Ask the workflow to cancel; returns False where the job has ended already."""
    from temporalio.service import RPCError, RPCStatusCode

    row = await asyncio.to_thread(session.database.jobs.get, job_id)
    if row.status.final:
        return False
    await asyncio.to_thread(_record, session, row, "cancel")
    client = await session.client()
    with _translated():
        try:
            await client.get_workflow_handle(row.workflow_id).cancel()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            # It ended in this moment; or its workflow was never started, and nobody else ends it.
            row = await asyncio.to_thread(session.database.jobs.get, job_id)
            if row.status.final:
                return False
            await end_without_owner(session, row, JobStatus.CANCELLED)
    return True


async def end_without_owner(session: Session, row: JobRow, status: JobStatus, error: str = "") -> None:
    """Record the end of a job whose workflow will never do so, and drop what was kept for it."""
    await session.launcher(row.spec.backend).forget(row.key)
    await asyncio.to_thread(session.database.jobs.finish, row.id, status, error=error)


async def command(session: Session, job_id: int, verb: str) -> None:
    """Have the workflow carry out ``pause`` or ``resume``; returns when it has.

    Raises:
        InvalidRequest: the workflow refuses, and says why.
        ServiceUnavailable: Temporal or the worker does not answer.
    """
    from temporalio.client import WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
    from temporalio.service import RPCError, RPCStatusCode

    row = await asyncio.to_thread(session.database.jobs.get, job_id)
    client = await session.client()
    if row.status.final:
        raise InvalidRequest(f"cannot {verb} a job that is {row.status}", "it has ended")
    request = Command(job_id=job_id, verb=verb, by=session.user)
    with _translated():
        try:
            handle = client.get_workflow_handle(row.workflow_id)
            await handle.execute_update("command", request, rpc_timeout=_ANSWER)
        except WorkflowUpdateRPCTimeoutOrCancelledError as error:
            raise ServiceUnavailable(
                f"no worker answered within {_ANSWER.seconds} s",
                "look at mltemporal.status(); the command may still be carried out",
            ) from error
        except WorkflowUpdateFailedError as error:
            raise InvalidRequest(_reason(error), "look at job.status") from error
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            raise InvalidRequest(f"cannot {verb} a job that is {row.status}", "it has ended") from error


async def retry(session: Session, job_id: int) -> None:
    """Start an ended job again under the same identity; its attempts go on counting.

    Where the workflow cannot be started, the job is ended again as it was.

    Raises:
        InvalidRequest: it has not ended, it succeeded, or its like runs.
        ServiceUnavailable: Temporal does not answer.
    """
    row = await asyncio.to_thread(session.database.jobs.get, job_id)
    if row.status not in (JobStatus.FAILED, JobStatus.CANCELLED):
        raise InvalidRequest(
            f"cannot retry a job that is {row.status}", "only failed or cancelled jobs start again"
        )
    await _until_closed(session, row)
    if not await asyncio.to_thread(session.database.jobs.reopen, job_id, by=session.user):
        raise InvalidRequest(f"another job like job {job_id} is running", "attach to it: run the cell again")
    try:
        session.launcher(row.spec.backend).prepare(row.key)
        await start(session, row, again=True)
    except Exception:
        await end_without_owner(session, row, row.status, row.error)
        raise


async def _until_closed(session: Session, row: JobRow) -> None:
    """Wait for the workflow that has just recorded the job's end: while it is open, no other can start."""
    from temporalio.client import WorkflowFailureError
    from temporalio.service import RPCError, RPCStatusCode

    client = await session.client()
    with _translated():
        try:
            await asyncio.wait_for(client.get_workflow_handle(row.workflow_id).result(), _ANSWER.seconds)
        except WorkflowFailureError:
            return
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
        except TimeoutError as error:
            raise ServiceUnavailable(
                f"the workflow of job {row.id} has not closed yet",
                "look at mltemporal.status(): is a worker there? then try again",
            ) from error


def _reason(error: BaseException) -> str:
    """Return what was said where it happened: an activity's words reach us wrapped in others."""
    while error.__cause__ is not None:
        error = error.__cause__
    return getattr(error, "message", None) or str(error)


def _record(session: Session, row: JobRow, verb: str) -> None:
    event = Event(
        time=time.time(), kind="command", attempt=row.attempt, message=verb, created_by=session.user
    )
    session.database.jobs.add_event(row.id, event)


@contextmanager
def _translated() -> Iterator[None]:
    """Translate Temporal's errors, once, here."""
    from temporalio.service import RPCError

    try:
        yield
    except RPCError as error:
        raise ServiceUnavailable(
            f"Temporal does not answer: {error.message}", "run `mltemporal doctor`"
        ) from error
