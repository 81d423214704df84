"""What an attempt has reported, kept in storage beside its checkpoints.

A pod's log goes with its pod, at times before a worker has read it. The points before a checkpoint are
never trained again, so they are put beside it first, and beside the result: the worker fills the gaps of
the curve from there. A local process prints into a file that outlives it, and keeps nothing here.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from itertools import groupby
from typing import TYPE_CHECKING

from mltemporal.progress import KEEP_VARIABLE
from mltemporal.specs.orders import reported

if TYPE_CHECKING:
    from mltemporal.runtime.context import Job

PIECE_LINES = 1_000
"""What is reported is kept in notes of so many lines; only the last of them is written again."""
MOST_PIECES = 40
"""More than a pod can print between a node's silence and its own end: older ones are dropped."""


class Curve:
    """The newest reports of this process, and how many of them storage has. Safe from several threads."""

    def __init__(self) -> None:
        self._process = f"{time.time_ns():020d}"
        self._lines: deque[tuple[int, str]] = deque(maxlen=PIECE_LINES * MOST_PIECES)
        self._heard = 0
        self._kept = 0
        self._oldest = 0
        """The first piece that storage has."""
        self._keeping = threading.Lock()

    def hear(self, line: str) -> None:
        """Remember a report; called in the order of the reports, by one thread at a time."""
        self._lines.append((self._heard, line))
        self._heard += 1

    def keep(self, job: Job) -> None:
        """Put what is new into storage. Idempotent.

        Raises:
            ServiceUnavailable: storage does not answer or is full.
        """
        with self._keeping:
            heard, lines = self._heard, list(self._lines.copy())
            if heard == self._kept:
                return
            oldest = max(0, (heard - 1) // PIECE_LINES - MOST_PIECES + 1)
            for piece, group in groupby(lines, key=lambda each: each[0] // PIECE_LINES):
                if piece >= oldest and (piece + 1) * PIECE_LINES > self._kept:
                    job.storage.put_note(job.key, self._note(job, piece), [line for _, line in group])
            for piece in range(self._oldest, oldest):
                job.storage.discard_note(job.key, self._note(job, piece))
            self._kept, self._oldest = heard, oldest

    def _note(self, job: Job, piece: int) -> str:
        return f"{reported(job.attempt)}/{self._process}-{piece:09d}"


_current = Curve()


def hear(line: str) -> None:
    """Remember a line of progress, where the log may be lost."""
    if KEEP_VARIABLE in os.environ:
        _current.hear(line)


def keep(job: Job) -> None:
    """Put what this process has reported into storage; only rank 0's progress counts. Idempotent.

    Raises:
        ServiceUnavailable: storage does not answer or is full.
    """
    if KEEP_VARIABLE in os.environ and job.rank == 0:
        _current.keep(job)


def _after_fork() -> None:
    """What a forked child reports is its own."""
    global _current  # noqa: PLW0603 - a process has one
    _current = Curve()


os.register_at_fork(after_in_child=_after_fork)
