"""The checks of a fault run: they find nothing in a record in order, and what is doctored into it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from faults.invariants import INVARIANTS, breaches
from faults.record import Asked, Happened, Launched, Record, Told
from faults.tasks import counted, turned
from faults.workload import KINDS, REWOUND, WITH_ROWS, Work

WORKS = {
    kind: Work(index=number, kind=kind, seed=number, steps=4, pause_s=0.0)
    for number, kind in enumerate(KINDS)
}
ROWS = 6
CLOSED = {"succeeded": "COMPLETED", "failed": "FAILED", "cancelled": "CANCELED"}
SET = WORKS["set"]
TURNS = (0, 0, *[SET.turn] * SET.steps)


def in_order() -> Record:
    """A record in which nothing is wrong."""
    record = Record(plan=list(WORKS.values()), rows=ROWS)
    for kind in ("baseline", "estimator"):
        record.undisturbed[kind, WORKS[kind].seed] = {"accuracy": 0.9}
    for work in WORKS.values():
        job = launched(work)
        record.launched[work.name] = [job]
        record.told[work.name] = Told(job_id=job.id, status=work.ends, said=work.ends)
        if work.command:
            record.asked[work.name] = [asked(work)]
    return record


def asked(work: Work, **facts: str) -> Asked:
    text = "a checkpoint was saved at step 1"
    return replace(Asked(job_id=work.index + 1, told=work.command, came="answered", text=text), **facts)


def launched(work: Work) -> Launched:
    """The job of a work, as it must be."""
    steps = {"set": range(1, len(TURNS) + 1), "stopped": range(3)}.get(work.kind, work.reported) or range(0)
    values = {"set": turned(work.seed, TURNS), "stopped": counted(work.seed, 3)}
    with_model = work.kind in ("baseline", "estimator")
    end = Happened(kind="finished", message=work.ends)
    command = Happened(kind="command", message=work.command, attempt=1)
    before = [replace(end, message="failed")] if work.kind == "retried" else []
    before += [end] if work.kind in REWOUND else []
    lived = 1 + (work.kind in REWOUND)
    return Launched(
        id=work.index + 1,
        status=work.ends,
        workflow=CLOSED[work.ends],
        submitted=10 * work.index + 1,
        finished=10 * work.index + 9,
        error=f"ValueError: meant to fail at step {work.fails_at}" if work.kind == "fails" else "",
        attempts=lived,
        points=tuple((number, step) for number in range(1, lived + 1) for step in steps),
        curve=tuple(steps),
        turns=TURNS if work.kind == "set" else (),
        last={"set": len(TURNS), "stopped": 3}.get(work.kind, work.steps),
        story=(*before, *([command] if work.command else []), end),
        results=lived,
        value={"accuracy": 0.9} if with_model else values.get(work.kind, work.value),
        rows=tuple(range(ROWS)) if work.kind in WITH_ROWS else None,
        model="whole" if with_model else "",
    )


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


def story(kind: str, *messages: str) -> Callable[[Record], None]:
    """Return what gives the job of a kind another story; ends are words, commands begin with a hyphen."""
    happened = tuple(
        Happened(kind="command" if text[0] == "-" else "finished", message=text.removeprefix("-"), attempt=1)
        for text in messages
    )
    return changed(kind, story=happened)


def given(kind: str, *commands: Asked) -> Callable[[Record], None]:
    """Return what puts other commands into the journal of a kind."""

    def doctor(record: Record) -> None:
        record.asked[WORKS[kind].name] = list(commands)

    return doctor


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
        changed("stopped", curve=(0, 1)),
        changed("checkpointed", curve=(0, 1, 3)),
        changed("set", curve=(1, 2, 3)),
    ],
    "results as of an undisturbed run": [
        changed("function", value=1),
        changed("script", value=None),
        changed("baseline", value={"accuracy": 0.8}),
        changed("stopped", last=2, curve=(0, 1)),
        changed("set", value=turned(SET.seed, TURNS[1:])),
    ],
    "each output row once, in order": [
        changed("preprocessing", rows=(0, 1, 2, 3, 4)),
        changed("preprocessing", rows=None),
        changed("inference", rows=(0, 1, 2, 3, 3, 4, 5)),
        changed("inference", rows=(1, 0, 2, 3, 4, 5)),
        changed("inference", rows_right=False),
        changed("reprocessed", rows=(0, 1, 2, 3, 4, 5) * 2),
    ],
    "one result, one whole model": [
        changed("function", results=2),
        changed("script", results=0),
        changed("rewound", results=1),
        changed("baseline", model=""),
        changed("baseline", model="object 12… holds other bytes than were stored"),
    ],
    "each command once in the history, as it was answered": [
        story("stopped", "succeeded"),
        story("stopped", "-stop_early", "-stop_early", "succeeded"),
        story("stopped", "-stop_early refused: too late", "succeeded"),
        story("function", "-pause", "succeeded"),
        given("stopped"),
        given("stopped", asked(WORKS["stopped"], came="refused")),
        given("stopped", asked(WORKS["stopped"]), asked(WORKS["stopped"])),
        given("stopped", replace(asked(WORKS["stopped"]), job_id=77)),
    ],
    "what was set was seen": [
        changed("set", turns=(0,) * 6),
        changed("set", turns=(0, SET.turn, 0, *TURNS[3:])),
        changed("set", turns=(*TURNS, SET.turn)),
        changed("set", turns=TURNS[3:]),
    ],
    "time that was given was had": [
        story("extended", "-extend to 10 min 0 s", "failed", "-retry", "succeeded"),
        story("extended", "-extend to 10 min 0 s refused: it is validating", "succeeded"),
    ],
    "what ended early was asked to": [
        story("stopped", "-stop_early refused: it has no process", "succeeded")
    ],
    "what was saved on demand was kept": [
        changed("checkpointed", points=((1, 0), (1, 1), (2, 0), (2, 1))),
        given("checkpointed", asked(WORKS["checkpointed"], text="yes")),
    ],
    "what was rewound ran again, once": [
        story("rewound", "succeeded"),
        story("reprocessed", "succeeded", "-rewind to 'fitted'", "succeeded"),
        story("reprocessed", *["succeeded", f"-{WORKS['reprocessed'].command}"] * 2, "succeeded"),
        story("rewound", "failed", f"-{WORKS['rewound'].command}", "succeeded"),
        changed("rewound", points=tuple((2, step) for step in range(1, 5))),
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


@pytest.mark.parametrize(
    ("name", "doctor"),
    [
        (
            "each command once in the history, as it was answered",
            given("stopped", asked(WORKS["stopped"], came=""), asked(WORKS["stopped"])),
        ),
        (
            "time that was given was had",
            story("extended", "failed", "-retry", "-extend to 10 min 0 s", "succeeded"),
        ),
        (
            "what was saved on demand was kept",
            changed("checkpointed", points=((1, 0), (1, 1), (2, 1), (2, 2), (2, 3))),
        ),
        (
            "what was saved on demand was kept",
            given("checkpointed", asked(WORKS["checkpointed"], text="checkpoint_now: it was carried out")),
        ),
        (
            "what was rewound ran again, once",
            story(
                "reprocessed",
                "succeeded",
                "-rewind to 'validated'",
                "succeeded",
                "-rewind to 'validated' undone: its workflow could not be started",
                "-rewind to 'validated'",
                "succeeded",
            ),
        ),
    ],
    ids=["asked again", "given too late", "saved, then killed", "saved unseen", "rewound when it could be"],
)
def test_what_faults_may_bring_is_no_breach(name: str, doctor: Callable[[Record], None]) -> None:
    record = in_order()
    doctor(record)
    assert [] == breaches(record)[name]
