"""What must hold after a fault run, each a function from the record of it to the breaches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from .workload import Work


@dataclass(frozen=True, kw_only=True)
class Launched:
    """One row of a job, and what was found out about it."""

    id: int
    status: str
    workflow: str
    """How Temporal says that its workflow closed."""
    submitted: int
    """The place of its first event among all events."""
    finished: int
    """The place of its end; 0 where it has none."""
    error: str = ""
    attempts: int = 1
    points: tuple[tuple[int, int | None], ...] = ()
    """(attempt, step) of each metric point."""
    curve: tuple[int, ...] = ()
    """The steps of ``job.metrics()``, in its order."""
    results: int = 0
    """How many attempts have left a result."""
    value: object = None
    """What it returned, or its metrics."""
    rows: tuple[int, ...] | None = None
    """The ids of the rows of its output."""
    rows_right: bool = True
    """Whether what was computed for each row is right."""
    model: str = ""
    """``whole``, or what is wrong with the model; empty where there is none."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the handle in a kernel said when the job had ended."""

    job_id: int
    status: str
    said: str


@dataclass(kw_only=True)
class Record:
    """A whole run, as it was found when everything had come to rest."""

    plan: list[Work]
    launched: dict[str, list[Launched]] = field(default_factory=dict)
    told: dict[str, Told] = field(default_factory=dict)
    undisturbed: dict[tuple[str, int], object] = field(default_factory=dict)
    """The metrics of baselines and estimators that nobody disturbed, by kind and seed."""
    rows: int = 0
    """How many rows the table of preprocessings and inferences has."""
    overlaps: list[str] = field(default_factory=list)
    processes: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    kubernetes: list[str] = field(default_factory=list)
    locks: list[str] = field(default_factory=list)
    open_workflows: list[str] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)

    def jobs(self) -> Iterator[tuple[Work, Launched]]:
        """Each work with each of its jobs."""
        for work in self.plan:
            for job in self.launched.get(work.name, []):
                yield work, job

    def well(self) -> Iterator[tuple[Work, Launched]]:
        """Those that succeeded."""
        return ((work, job) for work, job in self.jobs() if job.status == "succeeded")


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
        if twice and work.reported:
            found.append(f"{work.name} (job {job.id}): recorded more than once: {twice[:5]}")
    return found


def curve_whole(record: Record) -> list[str]:
    """The curve that a person sees has each step once, in order, over all attempts."""
    found = []
    for work, job in record.jobs():
        if work.reported and job.status == work.ends and list(job.curve) != list(range(1, work.reported + 1)):
            missing = sorted(set(range(1, work.reported + 1)) - set(job.curve))
            twice = sorted(step for step, times in Counter(job.curve).items() if times > 1)
            found.append(
                f"{work.name} (job {job.id}): of {work.reported} {missing[:5]} missing, {twice[:5]} twice"
            )
    return found


def value_right(record: Record) -> list[str]:
    """What came out is what an undisturbed run gives."""
    found = []
    for work, job in record.well():
        should = work.value if work.value is not None else record.undisturbed.get((work.kind, work.seed))
        if should is not None and job.value != should:
            found.append(f"{work.name} (job {job.id}) came to {job.value}, undisturbed to {should}")
    return found


def rows_once(record: Record) -> list[str]:
    """Each row of an output is there once, in order, with the right value."""
    found = []
    for work, job in record.well():
        if work.kind not in ("preprocessing", "inference"):
            continue
        if job.rows is None or list(job.rows) != list(range(record.rows)):
            count = "no" if job.rows is None else f"{len(job.rows)} rows, {len(set(job.rows))} different"
            found.append(f"{work.name} (job {job.id}): {count}, not {record.rows} in order")
        elif not job.rows_right:
            found.append(f"{work.name} (job {job.id}): wrong values in its rows")
    return found


def one_model(record: Record) -> list[str]:
    """A successful job has one result, a training's model is whole."""
    found = []
    for work, job in record.well():
        if job.results != 1:
            found.append(f"{work.name} (job {job.id}) has {job.results} results")
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
