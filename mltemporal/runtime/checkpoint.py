"""``mltemporal.checkpoint``: what a training needs to go on after it was interrupted.

Saved objects stand in storage, newest last in the job's note ``checkpoints``; the next attempt
loads the newest that is whole. Outside a job the last one is kept in memory.
"""

from __future__ import annotations

import pickle
import time
from dataclasses import dataclass
from typing import Any

from mltemporal.errors import CorruptObject, NotFound
from mltemporal.runtime import context, reporting, stopping
from mltemporal.runtime.context import Job
from mltemporal.specs import ObjectRef
from mltemporal.storage import Storage

__all__ = ["load", "save"]

_NOTE = "checkpoints"
_in_memory: Any = None
_told = False


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """One entry of the note ``checkpoints``."""

    object: ObjectRef
    step: int | None = None
    attempt: int
    time: float
    """Seconds since the epoch."""


def save(obj: Any, step: int | None = None) -> None:
    """Keep ``obj`` (anything that cloudpickle takes) for the next attempt.

    It appears whole or not at all; of a job's checkpoints the last few are kept.

    Raises:
        ServiceUnavailable: storage does not answer or is full.
        TypeError, pickle.PicklingError: ``obj`` holds something that cannot be stored.
    """
    global _in_memory  # noqa: PLW0603 - outside a job there is nothing else to keep it
    job = context.current()
    if job is None:
        _tell_once()
        _in_memory = obj
        return
    with stopping.uninterrupted():
        _save(job, obj, step)


def _save(job: Job, obj: Any, step: int | None) -> None:
    now = time.time()
    saved = Checkpoint(object=_store(job, obj, now), step=step, attempt=job.attempt, time=now)
    entries = [*_entries(job), saved]
    kept = max(1, job.spec.checkpoints_kept)
    job.storage.put_note(job.key, _NOTE, entries[-kept:])
    for entry in entries[:-kept]:
        job.storage.discard(entry.object)


def load() -> Any:
    """Return the object that was saved last, by this attempt or an earlier one; None where there is none.

    Raises:
        ServiceUnavailable: storage does not answer.
    """
    job = context.current()
    if job is None:
        _tell_once()
        return _in_memory
    for entry in reversed(_entries(job)):
        try:
            with job.storage.local_path(entry.object) as path, path.open("rb") as file:
                pickle.load(file)  # noqa: S301 - the job's own, verified by its hash
                return pickle.load(file)  # noqa: S301
        except (CorruptObject, NotFound) as error:
            reporting.note(f"a checkpoint was left out: {error.what}")
    return None


def discard_all(storage: Storage, key: str) -> int:
    """Remove the checkpoints of the job ``key`` and return how many there were; its other notes stay.

    Idempotent.
    """
    entries = storage.get_note(key, _NOTE, list[Checkpoint]) or []
    for entry in entries:
        storage.discard(entry.object)
    if entries:
        storage.put_note(key, _NOTE, [])
    return len(entries)


def _store(job: Job, obj: Any, now: float) -> ObjectRef:
    import cloudpickle

    with job.storage.writing(format="cloudpickle") as written, written.path.open("wb") as file:
        # Opens with words that no other object has, so that discarding it can hurt nobody else.
        pickle.dump((job.key, job.attempt, now), file)
        cloudpickle.dump(obj, file)
    return written.ref


def _entries(job: Job) -> list[Checkpoint]:
    return job.storage.get_note(job.key, _NOTE, list[Checkpoint]) or []


def _tell_once() -> None:
    global _told  # noqa: PLW0603
    if not _told:
        _told = True
        print("mltemporal: no job runs here, so checkpoints are kept in memory only")  # noqa: T201
