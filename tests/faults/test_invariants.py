"""The checks of a fault run: they find nothing in a record in order, and what is doctored into it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from faults.invariants import INVARIANTS, Launched, Record, Told, breaches
from faults.workload import Work

WORKS = {
    kind: Work(index=number, kind=kind, seed=number, steps=4, pause_s=0.0)
    for number, kind in enumerate(
        ("function", "baseline", "preprocessing", "inference", "fails", "cancelled", "script")
    )
}
ROWS = 6
CLOSED = {"succeeded": "COMPLETED", "failed": "FAILED", "cancelled": "CANCELED"}


def in_order() -> Record:
    """A record in which nothing is wrong."""
    record = Record(plan=list(WORKS.values()), rows=ROWS)
    record.undisturbed["baseline", WORKS["baseline"].seed] = {"accuracy": 0.9}
    for work in WORKS.values():
        steps = range(1, work.reported + 1)
        job = Launched(
            id=work.index + 1,
            status=work.ends,
            workflow=CLOSED[work.ends],
            submitted=10 * work.index + 1,
            finished=10 * work.index + 9,
            error=f"ValueError: meant to fail at step {work.fails_at}" if work.kind == "fails" else "",
            points=tuple((1, step) for step in steps),
            curve=tuple(steps),
            results=1,
            value={"accuracy": 0.9} if work.kind == "baseline" else work.value,
            rows=tuple(range(ROWS)) if work.kind in ("preprocessing", "inference") else None,
            model="whole" if work.kind == "baseline" else "",
        )
        record.launched[work.name] = [job]
        record.told[work.name] = Told(job_id=job.id, status=work.ends, said=work.ends)
    return record


def changed(kind: str, **facts: object) -> Callable[[Record], None]:
    """Return what doctors the job of a kind."""

    def doctor(record: Record) -> None:
        name = WORKS[kind].name
        record.launched[name] = [replace(record.launched[name][0], **facts)]  # type: ignore[arg-type]

    return doctor


def launched_twice(record: Record) -> None:
    name = WORKS["function"].name
    (first,) = record.launched[name]
    record.launched[name].append(replace(first, id=77, submitted=first.finished - 1, finished=500))


def told(**facts: str) -> Callable[[Record], None]:
    def doctor(record: Record) -> None:
        name = WORKS["function"].name
        record.told[name] = replace(record.told[name], **facts)

    return doctor


DOCTORED: dict[str, list[Callable[[Record], None]]] = {
    "each job ended as it should": [
        changed("function", status="failed", workflow="FAILED"),
        changed("function", status="running", workflow="RUNNING"),
        changed("fails", error="attempt 3 was killed"),
        lambda record: record.launched.pop(WORKS["script"].name) and None,
    ],
    "no request ran as two jobs": [launched_twice],
    "handle, record and workflow agree": [
        changed("function", workflow="RUNNING"),
        told(status="running"),
        told(said="failed"),
        lambda record: record.told.pop(WORKS["function"].name) and None,
    ],
    "each metric point once": [changed("function", points=((1, 1), (1, 2), (1, 2), (1, 3), (1, 4)))],
    "curves without gap or overlap": [
        changed("function", curve=(1, 2, 4)),
        changed("script", curve=(1, 2, 2, 3, 4)),
        changed("script", curve=(1, 3, 2, 4)),
    ],
    "results as of an undisturbed run": [
        changed("function", value=1),
        changed("script", value=None),
        changed("baseline", value={"accuracy": 0.8}),
    ],
    "each output row once, in order": [
        changed("preprocessing", rows=(0, 1, 2, 3, 4)),
        changed("preprocessing", rows=None),
        changed("inference", rows=(0, 1, 2, 3, 3, 4, 5)),
        changed("inference", rows=(1, 0, 2, 3, 4, 5)),
        changed("inference", rows_right=False),
    ],
    "one result, one whole model": [
        changed("function", results=2),
        changed("script", results=0),
        changed("baseline", model=""),
        changed("baseline", model="object 12… holds other bytes than were stored"),
    ],
    "no two attempts alive together": [lambda record: record.overlaps.append("a and b")],
    "no process left": [lambda record: record.processes.append("4711: python")],
    "no file left": [lambda record: record.files.append("home/launch/x.json")],
    "no Kubernetes object left": [lambda record: record.kubernetes.append("job x")],
    "no lock or transaction left": [lambda record: record.locks.append("locked")],
    "no workflow left open": [lambda record: record.open_workflows.append("training-x")],
    "errors are told as ours": [lambda record: record.surprises.append("KeyError")],
}


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    assert {name: [] for name in INVARIANTS} == breaches(in_order())


def test_every_invariant_is_doctored_here() -> None:
    assert list(INVARIANTS) == list(DOCTORED)


@pytest.mark.parametrize(
    ("name", "doctor"),
    [
        pytest.param(name, doctor, id=f"{name} {number}")
        for name, doctors in DOCTORED.items()
        for number, doctor in enumerate(doctors)
    ],
)
def test_a_breach_is_found(name: str, doctor: Callable[[Record], None]) -> None:
    record = in_order()
    doctor(record)
    assert breaches(record)[name]


def test_a_request_that_ran_again_after_its_end_is_no_breach() -> None:
    record = in_order()
    name = WORKS["function"].name
    (first,) = record.launched[name]
    record.launched[name].append(replace(first, id=77, submitted=first.finished + 1, finished=500))
    assert [] == breaches(record)["no request ran as two jobs"]
