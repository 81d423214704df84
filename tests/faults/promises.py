"""What commands promise: each a function from the record of a fault run to the breaches."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from .record import Launched, Record
from .workload import REWOUND

_REFUSED, _UNDONE = " refused: ", " undone: "
_WITHOUT_A_STEP = ("asked: it is saved at the next", "checkpoint_now: it was carried out")
"""What is answered where it takes long, or where the answer of a worker that died is not known."""
_SAVED = re.compile(r"a checkpoint was saved at step (\d+)")


@dataclass(kw_only=True)
class Life:
    """What happened to a job from one start to its end."""

    commands: list[str]
    """Those that were accepted."""
    status: str = ""
    """How it ended."""


def lives(job: Launched) -> list[Life]:
    """Return what happened to a job, from each launch, retry and rewind on."""
    found = [Life(commands=[])]
    for each in job.story:
        if each.kind == "finished":
            found[-1].status = each.message
        elif _UNDONE in each.message:
            found.pop()
        elif _REFUSED not in each.message:
            if each.message.startswith(("retry", "rewind to ")):
                found.append(Life(commands=[]))
            found[-1].commands.append(each.message)
    return found


def told_once(record: Record) -> list[str]:
    """What was answered or refused is in the history as that, and nothing more often than it was given."""
    found = []
    for work, job in record.jobs():
        messages = [each.message for each in job.story if each.kind == "command"]
        accepted = Counter(each for each in messages if _REFUSED not in each and _UNDONE not in each)
        refused = Counter(each.partition(_REFUSED)[0] for each in messages if _REFUSED in each)
        given = [each for each in record.asked.get(work.name, []) if each.job_id == job.id]
        for told in sorted({*accepted, *refused, *(each.told for each in given)}):
            came = Counter(each.came for each in given if each.told == told)
            recorded = accepted[told] + refused[told]
            if (
                accepted[told] < came["answered"]
                or refused[told] < came["refused"]
                or recorded > came.total()
            ):
                found.append(
                    f"{work.name} (job {job.id}): {told!r} was given {came.total()} times, answered "
                    f"{came['answered']} and refused {came['refused']} times; its history has it "
                    f"{accepted[told]} and refused {refused[told]} times"
                )
    return found


def set_seen(record: Record) -> list[str]:
    """What was set was seen from one step on, to the end."""
    found = []
    for work, job in record.well():
        before = len(job.turns) - work.steps
        if work.kind == "set" and job.turns != (0,) * before + (work.turn,) * work.steps:
            found.append(
                f"{work.name} (job {job.id}) saw {job.turns}, not {work.turn} in its last {work.steps}"
            )
    return found


def time_had(record: Record) -> list[str]:
    """No job ended for want of time that it had been given, and none took more than it was given."""
    found = []
    for work, job in record.jobs():
        if work.kind != "extended":
            continue
        lived = lives(job)
        if any(life.status == "failed" and work.command in life.commands for life in lived):
            found.append(f"{work.name} (job {job.id}) was given more time, and ended before: {lived}")
        if job.status == "succeeded" and [life.commands for life in lived] == [[]]:
            found.append(f"{work.name} (job {job.id}) took more time than it was given")
    return found


def stopped_when_asked(record: Record) -> list[str]:
    """What ended early was asked to."""
    return [
        f"{work.name} (job {job.id}) ended at step {job.last}, and nobody had asked for it"
        for work, job in record.well()
        if work.kind == "stopped" and work.command not in lives(job)[-1].commands
    ]


def saved_kept(record: Record) -> list[str]:
    """A checkpoint that was asked for is told by its step, and later attempts go on there or after it."""
    found = []
    for work, job in record.jobs():
        if work.kind != "checkpointed":
            continue
        answers = [
            each.text
            for each in record.asked.get(work.name, [])
            if each.job_id == job.id and each.came == "answered"
        ]
        found += [
            f"{work.name} (job {job.id}) answered {text!r}"
            for text in answers
            if not _SAVED.fullmatch(text) and not text.startswith(_WITHOUT_A_STEP)
        ]
        saved = [int(step[1]) for text in answers if (step := _SAVED.fullmatch(text))]
        asked = [each.attempt for each in job.story if each.message == work.command]
        later = [step for attempt, step in job.points if step is not None and attempt > max(asked, default=0)]
        if saved and later and min(later) < max(saved):
            found.append(f"{work.name} (job {job.id}): saved at {max(saved)}, went on at {min(later)}")
    return found


def ran_again(record: Record) -> list[str]:
    """What was rewound ran again, once; what came before stays."""
    found = []
    for work, job in record.well():
        if work.kind not in REWOUND:
            continue
        lived = lives(job)
        if [life.status for life in lived] != ["succeeded"] * 2 or lived[1].commands[0] != work.command:
            found.append(f"{work.name} (job {job.id}) lived {lived}, not twice by {work.command!r}")
        ends = {attempt for attempt, step in job.points if step == work.steps}
        last = max((each.attempt for each in job.story if each.message == work.command), default=0)
        if work.kind == "rewound" and {attempt > last for attempt in ends} != {False, True}:
            found.append(f"{work.name} (job {job.id}): the last step was reported by attempts {ends} only")
    return found


PROMISES: dict[str, Callable[[Record], list[str]]] = {
    "each command once in the history, as it was answered": told_once,
    "what was set was seen": set_seen,
    "time that was given was had": time_had,
    "what ended early was asked to": stopped_when_asked,
    "what was saved on demand was kept": saved_kept,
    "what was rewound ran again, once": ran_again,
}
"""Each by what it says."""
