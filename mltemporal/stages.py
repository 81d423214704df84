"""From where an ended job can start again: ``job.rewind(to=…)``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mltemporal.rewinding import rewinds_of
from mltemporal.runtime.checkpoint import kept_steps
from mltemporal.runtime.context import Job
from mltemporal.specs.data import ObjectRef

if TYPE_CHECKING:
    from mltemporal.database.jobs import JobRow
    from mltemporal.session import Session


def stages_of(session: Session, row: JobRow) -> list[str | int]:
    """Return the recorded stages of a job: names, and the steps of its checkpoints, oldest first."""
    if not row.attempt:
        return []  # nothing was validated
    stages: list[str | int] = ["validated"]
    events = session.database.jobs.events(row.id)
    rewinds = rewinds_of(events)
    if row.kind == "training":
        return [*stages, *dict.fromkeys(kept_steps(session.storage, row.key, rewinds))]
    if row.kind == "preprocessing":
        job = Job(session.storage, row.key, row.attempt)
        if session.storage.get_note(row.key, f"fitted{job.generation('validated')}", ObjectRef) is not None:
            stages.append("fitted")
    return stages
