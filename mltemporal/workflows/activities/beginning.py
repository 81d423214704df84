"""What holds when a job's workflow begins: whose the job is, what was said before, where it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from temporalio import activity

from mltemporal.database.jobs import Event, JobRow
from mltemporal.errors import Disowned
from mltemporal.param_values import told_values
from mltemporal.rewinding import rewind_of, rewinds_of, starts_again
from mltemporal.specs.orders import ORDERS, REWINDS, Orders, Rewind
from mltemporal.storage.content import Storage


def check_owner(job: JobRow) -> None:
    """Refuse work to a workflow that is not the job's own, and on a job that has ended.

    A forged workflow, or one that is started a second time, so comes to nothing.

    Raises:
        Disowned: it is such a one.
    """
    workflow_id = activity.info().workflow_id
    if workflow_id != job.workflow_id:
        raise Disowned(f"job {job.id} is not the job of workflow {workflow_id!r}", "use mltemporal.train(…)")
    if job.status.final:
        raise Disowned(f"job {job.id} has ended as {job.status}", "job.retry() starts it again")


def rewound_to(events: Sequence[Event]) -> Rewind | None:
    """Return from where the job was rewound, if that is how it was started last."""
    for event in reversed(events):
        if event.kind == "submitted" or starts_again(event):
            return rewind_of(event)
    return None


def started_again(events: Sequence[Event], attempt: int) -> bool:
    """Return whether a person has had the job started again since that attempt began."""
    return any(event.attempt >= attempt and starts_again(event) for event in events)


def begin_anew(storage: Storage, job: JobRow, events: Sequence[Event]) -> None:
    """Tell the attempts to come where they start. Idempotent: it follows from the events alone.

    Orders to earlier attempts are over. Values that were set stay, but where it begins from the beginning.
    """
    if rewinds := rewinds_of(events):
        storage.put_note(job.key, REWINDS, rewinds)
    orders = storage.get_note(job.key, ORDERS, Orders)
    if orders is None:
        return
    rewind = rewound_to(events)
    kept = {} if rewind is not None and rewind.to == "validated" else orders.params
    if (new := replace(orders, given=(), params=kept)) != orders:
        storage.put_note(job.key, ORDERS, new)


def set_before(storage: Storage, job: JobRow) -> str:
    """Return in words the values that were set before this attempt, with which it is called; else empty."""
    orders = storage.get_note(job.key, ORDERS, Orders)
    return f"it begins with {told_values(orders.params)}, as set before" if orders and orders.params else ""
