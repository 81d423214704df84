"""What must hold after a fault run, each a function from the record of it to the breaches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise

from .promises import PROMISES, lives
from .record import Launched, Record
from .tasks import counted, turned
from .workload import WITH_ROWS, Work

CLOSED = {"succeeded": "COMPLETED", "failed": "FAILED", "cancelled": "CANCELED"}


def ended(record: Record) -> list[str]:
    """Each job has ended, and as it should."""
    found = [f"{work.name} was never launched" for work in record.plan if not record.launched.get(work.name)]
    for work, job in record.jobs():
        if job.status != work.ends:
            found.append(f"{work.name} (job {job.id}) is {job.status}, not {work.ends}: {job.error[-300:]}")
        elif work.kind == "fails" and "meant to fail at step" not in job.error:
            found.append(f"{work.name} (job {job.id}) failed with other words: {job.error[-300:]}")
    return found


def launched_once(record: Record) -> list[str]:
    """No two jobs of one request were ever alive together."""
    found = []
    for name, jobs in record.launched.items():
        in_order = sorted(jobs, key=lambda job: job.submitted)
        found += [
            f"{name}: job {second.id} was launched while job {first.id} was alive"
            for first, second in pairwise(in_order)
            if not first.finished or first.finished > second.submitted
        ]
    return found


def agree(record: Record) -> list[str]:
    """What the handle said, the row and the closed workflow are one truth."""
    found = []
    for work, job in record.jobs():
        if job.workflow != CLOSED.get(job.status):
            found.append(f"{work.name} (job {job.id}) is {job.status}, its workflow {job.workflow}")
    for work in record.plan:
        rows = {job.id: job.status for job in record.launched.get(work.name, [])}
        told = record.told.get(work.name)
        if told is None:
            found.append(f"{work.name}: no kernel ever saw its end")
        elif not told.status == told.said == rows.get(told.job_id):
            found.append(
                f"{work.name} (job {told.job_id}): the handle read {told.status} and its result said "
                f"{told.said}, the row says {rows.get(told.job_id)}"
            )
    return found


def points_once(record: Record) -> list[str]:
    """Each metric point was recorded once."""
    found = []
    for work, job in record.jobs():
        twice = [point for point, times in Counter(job.points).items() if times > 1]
        if twice and _steps(work, job) is not None:
            found.append(f"{work.name} (job {job.id}): recorded more than once: {twice[:5]}")
    return found


def curve_whole(record: Record) -> list[str]:
    """The curve that a person sees has each step once, in order, over all attempts."""
    found = []
    for work, job in record.jobs():
        steps = _steps(work, job)
        if steps is None or job.status != work.ends:
            continue
        if list(job.curve) != list(steps):
            missing = sorted(set(steps) - set(job.curve))
            twice = sorted(step for step, times in Counter(job.curve).items() if times > 1)
            found.append(
                f"{work.name} (job {job.id}): of {len(steps)} {missing[:5]} missing, {twice[:5]} twice"
            )
    return found


def _steps(work: Work, job: Launched) -> range | None:
    """Return the steps that its curve must have, where that is known."""
    if work.kind == "stopped":  # `track` says how many items were done, its code in which it is
        return range(job.last)
    return range(1, job.last + 1) if work.kind == "set" else work.reported


def value_right(record: Record) -> list[str]:
    """What came out is what an undisturbed run gives."""
    found = []
    for work, job in record.well():
        should = _value(record, work, job)
        if should is not None and job.value != should:
            found.append(f"{work.name} (job {job.id}) came to {job.value}, undisturbed to {should}")
    return found


def _value(record: Record, work: Work, job: Launched) -> object:
    """Return what it must come to, by what it has reported where people's commands count; None: unknown."""
    if work.kind == "stopped":
        return counted(work.seed, job.last)
    if work.kind == "set":
        return turned(work.seed, job.turns)
    return record.undisturbed.get((work.kind, work.seed)) if work.value is None else work.value


def rows_once(record: Record) -> list[str]:
    """Each row of an output is there once, in order, with the right value."""
    found = []
    for work, job in record.well():
        if work.kind not in WITH_ROWS:
            continue
        if job.rows is None or list(job.rows) != list(range(record.rows)):
            count = "no" if job.rows is None else f"{len(job.rows)} rows, {len(set(job.rows))} different"
            found.append(f"{work.name} (job {job.id}): {count}, not {record.rows} in order")
        elif not job.rows_right:
            found.append(f"{work.name} (job {job.id}): wrong values in its rows")
    return found


def one_model(record: Record) -> list[str]:
    """A successful job has one result, and one of each time before that it was rewound; models are whole."""
    found = []
    for work, job in record.well():
        if job.results != (wanted := sum(life.status == "succeeded" for life in lives(job))):
            found.append(f"{work.name} (job {job.id}) has {job.results} results, not {wanted}")
        if work.kind in ("baseline", "estimator") and job.model != "whole":
            found.append(f"{work.name} (job {job.id}): its model is {job.model or 'missing'}")
    return found


INVARIANTS: dict[str, Callable[[Record], list[str]]] = {
    "each job ended as it should": ended,
    "no request ran as two jobs": launched_once,
    "handle, record and workflow agree": agree,
    "each metric point once": points_once,
    "curves without gap or overlap": curve_whole,
    "results as of an undisturbed run": value_right,
    "each output row once, in order": rows_once,
    "one result, one whole model": one_model,
    **PROMISES,
    "no two attempts alive together": lambda record: record.overlaps,
    "no process left": lambda record: record.processes,
    "no file left": lambda record: record.files,
    "no Kubernetes object left": lambda record: record.kubernetes,
    "no lock or transaction left": lambda record: record.locks,
    "no workflow left open": lambda record: record.open_workflows,
    "errors are told as ours": lambda record: record.surprises,
}
"""Each by what it says."""


def breaches(record: Record) -> dict[str, list[str]]:
    """Return what was broken, by invariant; an empty list where one holds."""
    return {name: check(record) for name, check in INVARIANTS.items()}
