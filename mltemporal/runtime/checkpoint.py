"""``mltemporal.checkpoint``: what a training needs to go on after it was interrupted.

Saved objects stand in storage, newest last in the job's note ``checkpoints``; the next attempt
loads the newest that is whole. Outside a job the last one is kept in memory.

An object is named by a note of its own, ``saving/…``, from before it appears until ``checkpoints`` names
it: what a kill leaves in between is known, and goes with the job's checkpoints.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from mltemporal.errors import CorruptObject, MLTemporalError, NotFound
from mltemporal.progress import reported
from mltemporal.runtime import context, control, curve, loops, reporting, stopping
from mltemporal.runtime.context import Job
from mltemporal.specs.data import ObjectRef
from mltemporal.specs.orders import Rewind
from mltemporal.storage.content import Storage

__all__ = ["load", "on_stop", "save"]

_NOTE = "checkpoints"
_SAVING = "saving"
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
    loop: int | None = None
    """Of a checkpoint in a loop of `track`: the fields of its `loops.Position`, whose number this is."""
    done: int = 0
    total: int | None = None
    whole: bool = True
    place: str = ""
    item: str = ""


def save(obj: Any, step: int | None = None) -> None:
    """Keep ``obj`` (anything that cloudpickle takes) for the next attempt.

    It appears whole or not at all; of a job's checkpoints the last few are kept. Within a loop of `track` it
    counts as the state after the item in which it is saved, where the next attempt's loop goes on: save once
    an item, at the end of its body.

    A job that is asked to end while its code saves regularly goes on to its next checkpoint, where that is
    soon (within half of its grace), and ends there.

    Args:
        obj: the state, or all that it can be made from.
        step: what to call it, for people and for ``job.rewind(to=step)``; in a loop of `track` its count.

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


def on_stop(state: Callable[[], Any]) -> None:
    """Have ``state()`` saved whenever the state is wanted: before the job ends or pauses, or by command.

    That is on SIGTERM (a cancellation, an eviction, a suspended pod), on ``job.pause()`` and on
    ``job.checkpoint_now()``. It is called by the thread that trains, between two items of `track`; without
    such a loop, within `report`. A job that is asked to end goes on until then, half of its grace at most.

    Args:
        state: returns what `load` shall return in the next attempt.
    """

    def save_state() -> None:
        save(state())

    control.saves_by(save_state)


def _save(job: Job, obj: Any, step: int | None) -> None:
    now = time.time()
    loop = loops.current()
    position = loop.saved() if loop is not None else None
    if step is None and loop is not None:
        step = loop.done if position is None else loop.done + loop.inside
    saved = _placed(
        Checkpoint(object=_store(job, obj, now), step=step, attempt=job.attempt, time=now), position
    )
    if curve.begun():
        reporting.flush()
        curve.keep(job)  # first: what the next attempt does not train again is in the curve
    before = _entries(job)
    kept = [*holding(before, job.rewinds), saved][-max(1, job.spec.checkpoints_kept) :]
    job.storage.put_note(job.key, _NOTE, kept)
    if loop is not None and position is not None and not position.whole:
        loop.once_ended(lambda: _is_whole(job, saved, loop))
    _rhythm.beat()
    control.saved(step)
    job.storage.discard_note(job.key, _saving(saved.object))
    for old in before:
        if old not in kept:
            job.storage.discard(old.object)


def _placed(entry: Checkpoint, position: loops.Position | None) -> Checkpoint:
    if position is None:
        return entry
    fields = vars(position).copy()
    return replace(entry, loop=fields.pop("number"), **fields)


def _is_whole(job: Job, saved: Checkpoint, loop: loops.Loop) -> None:
    """The item in which it was saved has ended: say so in the note."""
    whole = _placed(saved, loop.position())
    with suppress(MLTemporalError), stopping.uninterrupted():  # the next one is known to be whole anyway
        kept = [whole if entry == saved else entry for entry in _entries(job)]
        job.storage.put_note(job.key, _NOTE, kept)


class _Rhythm:
    """How often the code saves by itself."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._usual_s: float | None = None

    def beat(self) -> None:
        now = time.monotonic()
        if self._last is not None:
            self._usual_s = now - self._last
        self._last = now

    def patience_s(self) -> float:
        """For how long a job that is asked to end may go on to save its state, in seconds."""
        job = context.current()
        if job is None:
            return 0.0
        most_s = job.spec.grace_s / 2
        if control.can_save():
            return most_s
        if self._usual_s is None or self._usual_s > most_s:
            return 0.0
        return min(most_s, 1.0 + 2 * self._usual_s)


_rhythm = _Rhythm()
stopping.wait_for(_rhythm.patience_s)


def load() -> Any:
    """Return the object that was saved last, by this attempt or an earlier one; None where there is none.

    Raises:
        ServiceUnavailable: storage does not answer.
    """
    job = context.current()
    if job is None:
        _tell_once()
        return _in_memory
    for entry in reversed(holding(_entries(job), job.rewinds)):
        try:
            with job.storage.local_path(entry.object) as path, path.open("rb") as file:
                pickle.load(file)  # noqa: S301 - the job's own, verified by its hash
                state = pickle.load(file)  # noqa: S301
        except (CorruptObject, NotFound) as error:
            reporting.note(f"a checkpoint was left out: {error.what}")
            continue
        loops.loaded(_position(entry))
        return state
    return None


def _position(entry: Checkpoint) -> loops.Position | None:
    if entry.loop is None:
        return None
    return loops.Position(entry.loop, entry.done, entry.total, entry.whole, entry.place, entry.item)


def holding(entries: list[Checkpoint], rewinds: Sequence[Rewind]) -> list[Checkpoint]:
    """Return the checkpoints that no rewind has undone, oldest first."""
    for rewind in rewinds:
        entries = [
            entry
            for entry in entries
            if entry.attempt > rewind.after
            or (rewind.to == "step" and entry.step is not None and entry.step <= (rewind.step or 0))
        ]
    return entries


def kept_steps(storage: Storage, key: str, rewinds: Sequence[Rewind]) -> list[int]:
    """Return the steps of the checkpoints of the job ``key`` that can be gone back to, oldest first."""
    entries = holding(storage.get_note(key, _NOTE, list[Checkpoint]) or [], rewinds)
    return [entry.step for entry in entries if entry.step is not None]


def discard_all(storage: Storage, key: str, *, attempts: int) -> int:
    """Remove the checkpoints of the job ``key`` and return how many there were.

    What its ``attempts`` have reported beside them goes, too; the job's other notes stay.

    Only of a job that has ended: what is just being saved goes, too. Idempotent.
    """
    entries = storage.get_note(key, _NOTE, list[Checkpoint]) or []
    for entry in entries:
        storage.discard(entry.object)
    for name in storage.note_names(key, _SAVING):
        if (cut_off := storage.get_note(key, name, ObjectRef)) is not None:
            storage.discard(cut_off)
        storage.discard_note(key, name)
    for attempt in range(1, attempts + 1):
        for name in storage.note_names(key, reported(attempt)):
            storage.discard_note(key, name)
    if entries:
        storage.put_note(key, _NOTE, [])
    return len(entries)


def _store(job: Job, obj: Any, now: float) -> ObjectRef:
    import cloudpickle

    def announce(ref: ObjectRef) -> None:
        job.storage.put_note(job.key, _saving(ref), ref)

    with (
        job.storage.writing(format="cloudpickle", announce=announce) as written,
        written.path.open("wb") as file,
    ):
        # Opens with words that no other object has, so that discarding it can hurt nobody else.
        pickle.dump((job.key, job.attempt, now), file)
        cloudpickle.dump(obj, file)
    return written.ref


def _saving(ref: ObjectRef) -> str:
    return f"{_SAVING}/{ref.sha256}"


def _entries(job: Job) -> list[Checkpoint]:
    return job.storage.get_note(job.key, _NOTE, list[Checkpoint]) or []


def _tell_once() -> None:
    global _told  # noqa: PLW0603
    if not _told:
        _told = True
        print("mltemporal: no job runs here, so checkpoints are kept in memory only")  # noqa: T201
