"""From a checked request to a running workflow: what every verb that starts a job does."""

from __future__ import annotations

import hashlib
import os
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mltemporal import background, owner
from mltemporal.handles import Job, handle_of, present_launch
from mltemporal.rewinding import awaits_start
from mltemporal.session import Session
from mltemporal.specs.data import DatasetRef
from mltemporal.specs.encoding import encode
from mltemporal.specs.request import JobSpec

if TYPE_CHECKING:
    from mltemporal.database.datasets import DatasetRow
    from mltemporal.database.jobs import JobRow
    from mltemporal.launchers.base import Launcher


@dataclass(frozen=True)
class DryRun:
    """What a verb would start; everything in it was checked."""

    summary: tuple[str, ...]

    def __repr__(self) -> str:
        return "\n".join(["Everything that can be checked is right; nothing was started.", *self.summary])


def new_key(kind: str) -> str:
    """Return the key of a new job: a DNS label that names its workflow, processes and notes."""
    return f"{kind}-{uuid.uuid4().hex[:12]}"


def fingerprint(*parts: object) -> str:
    """Return what makes two requests the same."""
    return hashlib.sha256(encode(list(parts)).encode()).hexdigest()


def sketched(dataset: object, registered: DatasetRow | None) -> DatasetRef:
    """Return the dataset as far as it is known before anything is read or stored: what a launcher checks."""
    if registered is not None:
        return registered.ref
    uri = os.fspath(dataset) if isinstance(dataset, str | os.PathLike) else None
    return DatasetRef(fingerprint="", rows=-1, columns=(), uri=uri)


def rehearsed(here: Session, launcher: Launcher, sketch: JobSpec, **told: str) -> DryRun:
    """Have services and the place itself check a job that is not started; ``told`` is what else was checked.

    Raises:
        InvalidRequest: the place would refuse it.
        ServiceUnavailable: a service does not answer.
    """
    address = here.ready().temporal_address
    here.storage.check()
    here.database.revision()
    background.run(here.client())
    place = background.run(launcher.rehearse(sketch))
    return DryRun(
        (
            *(f"{what}: {words}" for what, words in told.items()),
            f"backend: {sketch.backend}, {place}",
            f"services: Temporal at {address}, database and storage answer",
        )
    )


def launch(
    here: Session, launcher: Launcher, spec: JobSpec, *, verb: str, force: bool, **record: Any
) -> Job[Any]:
    """Submit the job, show its handle where jobs are shown, and return it.

    Idempotency: where its like is live, that job is returned, unless ``force``.
    """
    row, new = _submit(here, launcher, spec, by=here.user, force=force, **record)
    job = handle_of(here, row)
    present_launch(job, _without_worker(here, spec.backend) if new else attached(row, verb))
    return job


def attached(row: JobRow, verb: str) -> str:
    """Say that a running job was found in place of a new one."""
    return (
        f"This is job {row.id}, which is {row.status} since the same cell started it; "
        f"{verb}(…, force=True) starts another."
    )


def _without_worker(here: Session, backend: str) -> str:
    """Say so where no worker would take the job now; where it is local, one is just being started."""
    queue = here.task_queue(backend)
    if backend == "local" or any(worker.task_queue == queue for worker in here.database.workers.alive()):
        return ""
    return (
        f"No worker serves the task queue {queue!r} now; the job starts when one does: "
        "`mltemporal worker`, or the Deployment in deploy/."
    )


def _submit(here: Session, launcher: Launcher, spec: JobSpec, **record: Any) -> tuple[JobRow, bool]:
    """Record the job, unless its like is live, and start its workflow; returns the job and whether it is new.

    What a job needs is there before its row, and gone where there is no row: whoever finds a row
    can start its workflow. A live job is started too: it may have been cut off before that.
    """
    row, new = None, False
    try:
        launcher.prepare(spec.key)
        here.storage.put_note(spec.key, "spec", spec)
        dataset_id = here.database.datasets.add(spec.dataset)
        row, new = here.database.jobs.add(spec, dataset_id=dataset_id, **record)
        # One that ends just now must not be followed by another workflow.
        again = not new and awaits_start(here.database.jobs.events(row.id))
        background.run(owner.start(here, row, again=again))
    except Exception:
        if row is None or not new or here.database.jobs.withdraw(row.id):
            _forget(here, launcher, spec.key)
        raise  # where it stays, another kernel has attached to it, and sees to its start
    if not new:
        _forget(here, launcher, spec.key)
    return row, new


def _forget(here: Session, launcher: Launcher, key: str) -> None:
    background.run(launcher.forget(key))
    here.storage.discard_notes(key)
