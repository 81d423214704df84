"""Starting an ended job again, under the same identity: `job.retry()` and `job.rewind()`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mltemporal.database.jobs import JobRow
from mltemporal.errors import InvalidRequest, ServiceUnavailable
from mltemporal.owner import ANSWER, giver, record, start, translated
from mltemporal.rewinding import undone, words_of
from mltemporal.specs.running import JobStatus
from mltemporal.stages import stages_of

if TYPE_CHECKING:
    from mltemporal.session import Session


async def start_again(session: Session, job_id: int, to: str | int | None = None) -> None:
    """Start an ended job again under the same identity; its attempts go on counting.

    It becomes live, and where it begins is recorded, in one transaction. Whoever dies after that has asked
    for it: the job's workflow is started by whoever notices. Where the workflow cannot be started, the job
    is ended again as it was.

    Args:
        session: who asks.
        job_id: the job.
        to: from where (see `rewinding`); None: a failed or cancelled one, from its last checkpoint.

    Raises:
        InvalidRequest: it has not ended, its like runs, or it cannot start from there.
        ServiceUnavailable: Temporal does not answer.
    """
    row = await asyncio.to_thread(session.database.jobs.get, job_id)
    told = "retry" if to is None else words_of(to)
    try:
        await _check_start(session, row, to)
        await _until_closed(session, row)
        await _reopen(session, row, told)
    except InvalidRequest as refusal:
        await asyncio.to_thread(record, session, row, f"{told} refused: {refusal.what}")
        raise
    try:
        await start(session, row, again=True)
    except Exception:
        await session.launcher(row.spec.backend).forget(row.key)
        jobs = session.database.jobs
        await asyncio.to_thread(jobs.finish, row.id, row.status, result=row.result, error=row.error)
        await asyncio.to_thread(record, session, row, undone(told))
        raise


async def _reopen(session: Session, row: JobRow, told: str) -> None:
    """Make the job live, with all that it needs.

    Raises:
        InvalidRequest: somebody else has, or its like runs.
    """
    launcher, jobs = session.launcher(row.spec.backend), session.database.jobs
    launcher.prepare(row.key)  # before the row: a live job has all that it needs
    by = giver(session)
    if await asyncio.to_thread(jobs.reopen, row.id, by=by, told=told, attempt=row.attempt):
        return
    now = await asyncio.to_thread(jobs.get, row.id)
    if not now.status.final:
        raise InvalidRequest(f"job {row.id} was started again just now", "it is live: follow it")
    await launcher.forget(row.key)
    raise InvalidRequest(f"another job like job {row.id} is running", "attach to it: run the cell again")


async def _check_start(session: Session, row: JobRow, to: str | int | None) -> None:
    """Refuse what cannot start again, or not from there.

    Raises:
        InvalidRequest: says why, and from where it can.
    """
    if to is None:
        if row.status not in (JobStatus.FAILED, JobStatus.CANCELLED):
            instead = "only failed or cancelled jobs start again"
            if row.status is JobStatus.SUCCEEDED:
                instead += "; job.rewind(to='validated') runs it anew"
            raise InvalidRequest(f"cannot retry a job that is {row.status}", instead)
        return
    if not row.status.final:
        raise InvalidRequest(f"cannot rewind a job that is {row.status}", "cancel it first: job.cancel()")
    stages = await asyncio.to_thread(stages_of, session, row)
    if to not in stages:
        shown = ", ".join(map(repr, stages)) or "none: it was never started"
        meant = [each for each in stages if str(each) == str(to).strip().lower()]
        hint = f"did you mean {meant[0]!r}? " if meant else ""
        raise InvalidRequest(f"job {row.id} has no stage {to!r} to go back to", f"{hint}there are: {shown}")


async def _until_closed(session: Session, row: JobRow) -> None:
    """Wait for the workflow that has just recorded the job's end: while it is open, no other can start."""
    from temporalio.client import WorkflowFailureError
    from temporalio.exceptions import ApplicationError
    from temporalio.service import RPCError, RPCStatusCode

    client = await session.client()
    with translated():
        try:
            await asyncio.wait_for(client.get_workflow_handle(row.workflow_id).result(), ANSWER.seconds)
        except (WorkflowFailureError, ApplicationError):
            return  # an ApplicationError: its last words were a stranger's, and are refused
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
        except TimeoutError as error:
            raise ServiceUnavailable(
                f"the workflow of job {row.id} has not closed yet",
                "look at mltemporal.status(): is a worker there? then try again",
            ) from error
