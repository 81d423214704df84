"""Talking to the workflow that owns a job: start it, command it, start it again."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from mltemporal.database.jobs import Event, JobRow
from mltemporal.errors import InvalidRequest, ServiceUnavailable
from mltemporal.specs.running import Command, JobStatus
from mltemporal.stack import search_attributes
from mltemporal.words import markdown
from mltemporal.workflows.activities.telling import told_command
from mltemporal.workflows.commands import CLEAN_UP_S, LONGEST_S

if TYPE_CHECKING:
    from temporalio.client import Client

    from mltemporal.session import Session

WORKFLOWS = {
    "training": "TrainingWorkflow",
    "preprocessing": "PreprocessingWorkflow",
    "inference": "InferenceWorkflow",
}
"""The workflow that owns each kind of job."""

_SUMMARY_BYTES = 200
"""Of a job's name in Temporal's Web UI: a server takes 400 bytes in all."""

ANSWER = timedelta(seconds=30)
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
            execution_timeout=timedelta(seconds=LONGEST_S + CLEAN_UP_S),  # `extend` may give it that much
            search_attributes=found_by,
            static_summary=f"job {row.id}: {markdown(row.name, _SUMMARY_BYTES)}",
            static_details=f"{row.kind} by {row.spec.trainer.kind}, for {markdown(row.created_by)}",
        )

    with translated():
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
    """Ask the workflow to cancel; returns False where the job has ended already. Needs no worker."""
    row = await asyncio.to_thread(session.database.jobs.get, job_id)
    if row.status.final:
        await asyncio.to_thread(record, session, row, f"cancel refused: it has ended as {row.status}")
        return False
    await session.client()  # where there is no way to Temporal, nothing was asked for
    await asyncio.to_thread(record, session, row, "cancel")
    try:
        if await _cancelled(session, row):
            return True
    except ServiceUnavailable as error:
        await asyncio.to_thread(record, session, row, f"cancel may not have arrived: {error.what}")
        raise
    # It ended in this moment; or its workflow was never started, and nobody else ends it.
    row = await asyncio.to_thread(session.database.jobs.get, job_id)
    if row.status.final:
        return False
    await end_without_owner(session, row, JobStatus.CANCELLED)
    await _cancelled(session, row)  # whoever was launching it may have started it meanwhile
    return True


async def _cancelled(session: Session, row: JobRow) -> bool:
    """Cancel the job's workflow; returns whether there was one to cancel."""
    from temporalio.service import RPCError, RPCStatusCode

    client = await session.client()
    with translated():
        try:
            await client.get_workflow_handle(row.workflow_id).cancel()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return False
    return True


async def end_without_owner(session: Session, row: JobRow, status: JobStatus, error: str = "") -> JobRow:
    """Record the end of a job whose workflow will never do so, and drop what was kept for it.

    Returns the job as it stands: somebody else may have ended it before.
    """
    await session.launcher(row.spec.backend).forget(row.key)
    return await asyncio.to_thread(session.database.jobs.finish, row.id, status, error=error)


async def command(session: Session, job_id: int, verb: str, **details: Any) -> str:
    """Have the workflow carry out a command; returns in a sentence what came of it.

    Accepted or refused, it is an event in the job's history.

    Args:
        session: who gives it.
        job_id: the job.
        verb: one of `specs.COMMANDS`.
        details: further fields of the `Command`.

    Raises:
        InvalidRequest: it is refused, and says why.
        ServiceUnavailable: Temporal or the worker does not answer.

    Idempotency: each call is a command of its own, which the workflow carries out once.
    """
    from temporalio.client import WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
    from temporalio.service import RPCError, RPCStatusCode

    row = await asyncio.to_thread(session.database.jobs.get, job_id)
    request = Command(
        job_id=job_id,
        verb=verb,
        by=session.user,
        id=uuid.uuid4().hex,
        origin=session.origin,
        given_at=time.time(),
        **details,
    )
    if row.status.final:
        why, next_step = f"cannot {verb} a job that is {row.status}", _ENDED[row.status]
        raise await _refused(session, row, request, why, next_step)
    client = await session.client()
    with translated():
        try:
            handle = client.get_workflow_handle(row.workflow_id)
            answer: str = await handle.execute_update(
                "command", request, id=request.id, rpc_timeout=ANSWER, result_type=str
            )
        except WorkflowUpdateRPCTimeoutOrCancelledError as error:
            raise ServiceUnavailable(
                f"no worker answered within {ANSWER.seconds} s",
                "look at mltemporal.status(); the command may still be carried out",
            ) from error
        except WorkflowUpdateFailedError as error:
            what, _, next_step = _reason(error).partition("\nNext step: ")
            raise await _refused(session, row, request, what, next_step or "look at job.status") from error
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            row = await asyncio.to_thread(session.database.jobs.get, job_id)
            why = f"cannot {verb} a job that is {row.status}"
            next_step = _ENDED.get(row.status) or _ELSEWHERE.format(_place(client))
            raise await _refused(session, row, request, why, next_step) from error
    return answer


_AGAIN = "it has ended; retry() starts it again, rewind(to='validated') does so without what was set"
_ENDED = {
    JobStatus.SUCCEEDED: "it has ended; rewind(to='validated') runs it anew",
    JobStatus.FAILED: _AGAIN,
    JobStatus.CANCELLED: _AGAIN,
}
_ELSEWHERE = (
    "its workflow does not run in {}; look again in a moment, and give commands with the settings of "
    "Temporal that the job was launched with"
)


def _place(client: Client) -> str:
    return f"the Temporal at {client.service_client.config.target_host}, namespace {client.namespace!r}"


async def _refused(
    session: Session, row: JobRow, request: Command, why: str, next_step: str
) -> InvalidRequest:
    """Record the refusal, once: where an activity refused, it did so already."""
    told = f"{told_command(request)} refused: {why}"
    await asyncio.to_thread(record, session, row, told, key=f"command-{request.id}")
    return InvalidRequest(why, next_step)


def _reason(error: BaseException) -> str:
    """Return what was said where it happened: an activity's words reach us wrapped in others."""
    while error.__cause__ is not None:
        error = error.__cause__
    return getattr(error, "message", None) or str(error)


def giver(session: Session) -> str:
    """Return who gives commands here, and from where."""
    return f"{session.user}, {session.origin}"


def record(session: Session, row: JobRow, told: str, *, key: str | None = None) -> None:
    """Record a command in the job's history."""
    event = Event(
        time=time.time(), kind="command", attempt=row.attempt, message=told, created_by=giver(session)
    )
    session.database.jobs.add_event(row.id, event, key=key)


@contextmanager
def translated() -> Iterator[None]:
    """Translate Temporal's errors, once, here."""
    from temporalio.service import RPCError

    try:
        yield
    except RPCError as error:
        raise ServiceUnavailable(
            f"Temporal does not answer: {error.message}", "run `mltemporal doctor`"
        ) from error
