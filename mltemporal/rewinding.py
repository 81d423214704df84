"""``job.rewind(to=…)`` as it is recorded, and which points of a curve still hold after it.

The words of the command in the job's history are the record: they are written in the transaction
that makes the job live again, so nothing else needs to be remembered.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mltemporal.specs.orders import Rewind

if TYPE_CHECKING:
    from mltemporal.database.jobs import Event
    from mltemporal.views import Point

_WORDS = re.compile(r"rewind to (?:'(?P<stage>validated|fitted)'|step (?P<step>\d+))")


def words_of(to: str | int) -> str:
    """Return what the history says of a rewind."""
    return f"rewind to step {to}" if isinstance(to, int) else f"rewind to {to!r}"


def undone(told: str) -> str:
    """Return what the history says where the job's workflow could not be started after all."""
    return f"{told} undone: its workflow could not be started"


def rewinds_of(events: Iterable[Event]) -> list[Rewind]:
    """Return the rewinds that a job's events, oldest first, tell of."""
    found: list[Rewind] = []
    for event in events:
        if (rewind := rewind_of(event)) is not None:
            found.append(rewind)
        elif found and event.message == undone(_told(found[-1])):
            found.pop()
    return found


def _told(rewind: Rewind) -> str:
    return words_of(rewind.to if rewind.step is None else rewind.step)


def rewind_of(event: Event) -> Rewind | None:
    """Return the rewind that an event tells of; None where it tells of something else."""
    words = _WORDS.fullmatch(event.message) if event.kind == "command" else None
    if words is None:
        return None
    if words["step"] is not None:
        return Rewind(after=event.attempt, to="step", step=int(words["step"]))
    return Rewind(after=event.attempt, to=words["stage"])


def starts_again(event: Event) -> bool:
    """Whether the event tells of a retry or a rewind: somebody had the job started again."""
    return rewind_of(event) is not None or (event.kind == "command" and event.message == "retry")


def awaits_start(events: Sequence[Event]) -> bool:
    """Whether somebody asked for a retry or a rewind, and nothing has begun since: the next was to start.

    The order of the events says so; times would compare the clocks of two machines.
    """
    for event in reversed(events):
        if event.kind in ("stage", "attempt", "finished"):
            return False
        if starts_again(event):
            return True
    return False


def holding(points: Sequence[Point], rewinds: Iterable[Rewind] = ()) -> list[Point]:
    """Return the points that make one curve: each step once.

    A newer attempt takes the place of what older ones reported from its first step on, and a rewind of
    all that came after the place it went to. A report without a step belongs to the step before it.
    """
    rewound = list(rewinds)
    firsts: dict[int, int] = {}
    for point in points:
        if point.step is not None:
            firsts.setdefault(point.attempt, point.step)

    def end(attempt: int) -> float:
        taken = [float(first) for newer, first in firsts.items() if newer > attempt]
        undone = [
            -math.inf if each.step is None else each.step + 1.0 for each in rewound if each.after >= attempt
        ]
        return min([*taken, *undone], default=math.inf)

    ends = {attempt: end(attempt) for attempt in {point.attempt for point in points}}
    last: dict[int, float] = {}
    held = []
    for point in points:
        step = last.get(point.attempt, -math.inf) if point.step is None else float(point.step)
        last[point.attempt] = step
        if step < ends[point.attempt]:
            held.append(point)
    return held
