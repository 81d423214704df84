"""Jobs that the database calls live and whose workflow will never say how they end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mltemporal.errors import ServiceUnavailable
from mltemporal.rewinding import awaits_start

if TYPE_CHECKING:
    from temporalio.client import Client

    from mltemporal.database.jobs import JobRow
    from mltemporal.session import Session


@dataclass(frozen=True, kw_only=True)
class Gone:
    """Why nobody will end the job."""

    why: str
    """What happened to ``its workflow``: ``was terminated in Temporal (run …)``."""
    closed_at: float | None = None
    """When it closed, seconds since the epoch; None where Temporal knows none."""

    @property
    def error(self) -> str:
        """What a person reads of a job that ends for it."""
        return f"its workflow {self.why}\nNext step: look at it in Temporal's Web UI, then job.retry()"

    @property
    def never_started(self) -> bool:
        """Whether the kernel died between the job's row and its workflow."""
        return self.why == _NEVER_STARTED

    @property
    def unknown(self) -> bool:
        """Whether there certainly was a workflow that this Temporal does not know: perhaps another does."""
        return self.why == _UNKNOWN


_NEVER_STARTED = "was never started"
_UNKNOWN = "is not known to Temporal"


async def gone(client: Client, row: JobRow) -> Gone | None:
    """Return why the job's workflow will not say how the job ends; None where it will.

    A look at one moment: a retry starts the next workflow some milliseconds after it made the job live.

    Raises:
        ServiceUnavailable: Temporal does not answer.
    """
    from temporalio.client import WorkflowExecutionStatus
    from temporalio.service import RPCError, RPCStatusCode

    try:
        described = await client.get_workflow_handle(row.workflow_id).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return Gone(why=_UNKNOWN if row.attempt else _NEVER_STARTED)
        raise ServiceUnavailable(
            f"Temporal cannot be asked for the workflow of job {row.id}: {error.message}",
            "run `mltemporal doctor`",
        ) from error
    status = described.status
    if status in (None, WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.CONTINUED_AS_NEW):
        return None
    return Gone(
        why=f"was {status.name.lower().replace('_', ' ')} in Temporal (run {described.run_id})",
        closed_at=None if described.close_time is None else described.close_time.timestamp(),
    )


def asked_again(session: Session, row: JobRow, found: Gone) -> bool:
    """Whether the workflow that closed was to be followed by another one."""
    return found.closed_at is not None and awaits_start(session.database.jobs.events(row.id))


def of_another_temporal(session: Session, row: JobRow) -> bool:
    """Whether another Temporal may own the job: an embedded one hears only of its own user's on this machine.

    A shared database also holds the jobs of people whose Temporal is another; what that knows of them
    cannot be asked here. Two configured Temporals over one database are not told apart.
    """
    settings = session.settings
    shared = not settings.database_url.startswith("sqlite")
    return shared and not settings.temporal_configured and row.created_by != session.user


async def startable(session: Session, row: JobRow) -> bool:
    """Whether the job's workflow can be started from here: a local one where its environment is kept."""
    return row.spec.backend != "local" or row.key in await session.launcher("local").kept()
