"""What an attempt has reported, kept in storage beside its checkpoints.

A pod's log goes with its pod, at times before a worker has read it. The points before a checkpoint are
never trained again, so they are put beside it first, and beside the result: the worker fills the end of
the curve from there. A local process prints into a file that outlives it, and keeps nothing here.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from itertools import groupby
from typing import TYPE_CHECKING

from mltemporal.progress import KEEP_VARIABLE, MOST_PIECES, PIECE_LINES, Piece, reported

if TYPE_CHECKING:
    from mltemporal.runtime.context import Job

_MOST_BYTES = 16 << 20
"""Of what is remembered between two checkpoints; of more, the oldest is forgotten."""


class Curve:
    """The newest reports of this process, and how many of them storage has. Safe from several threads."""

    def __init__(self) -> None:
        self._lines: deque[tuple[int, bytes]] = deque()
        """Numbered; from the first of the piece on that is not full in storage."""
        self._bytes = 0
        self._heard = 0
        self._first: int | None = None
        """The first step."""
        self._kept = 0
        self._stored = range(0)
        """The pieces that storage has."""
        self._name = ""
        self._hearing = threading.RLock()  # a garbage collection inside may run code that reports
        self._keeping = threading.Lock()

    @property
    def has_news(self) -> bool:
        """Whether something was heard that storage does not have."""
        return self._heard != self._kept

    def hear(self, step: int | None, line: bytes) -> None:
        """Remember a report."""
        with self._hearing:
            self._lines.append((self._heard, line))
            self._heard += 1
            self._bytes += len(line)
            if self._first is None:
                self._first = step
            while self._bytes > _MOST_BYTES or len(self._lines) > PIECE_LINES * MOST_PIECES:
                self._bytes -= len(self._lines.popleft()[1])

    def keep(self, job: Job) -> None:
        """Put what is new into storage. Idempotent.

        Raises:
            ServiceUnavailable: storage does not answer or is full.
        """
        with self._keeping:
            with self._hearing:
                heard, lines, first = self._heard, list(self._lines), self._first
            if heard == self._kept:
                return
            newest = lines[-1][0] // PIECE_LINES
            oldest = max(0, newest - MOST_PIECES + 1)
            for number, group in groupby(lines, key=lambda each: each[0] // PIECE_LINES):
                if number >= oldest:
                    piece = Piece(first=first, lines=tuple(line.decode() for _, line in group))
                    job.storage.put_note(job.key, self._note(job, number), piece)
            for number in range(self._stored.start, min(oldest, self._stored.stop)):
                job.storage.discard_note(job.key, self._note(job, number))
            self._kept, self._stored = heard, range(oldest, newest + 1)
            with self._hearing:
                while self._lines and self._lines[0][0] < heard // PIECE_LINES * PIECE_LINES:
                    self._bytes -= len(self._lines.popleft()[1])

    def _note(self, job: Job, piece: int) -> str:
        folder = reported(job.attempt)
        if not self._name:
            before = [name.partition(f"{folder}/")[2] for name in job.storage.note_names(job.key, folder)]
            count = max((int(name[:6]) for name in before if name[:6].isdecimal()), default=0) + 1
            self._name = f"{count:06d}-{time.time_ns():020d}"  # clocks differ: the count gives the order
        return f"{folder}/{self._name}-{piece:09d}"


_current: Curve | None = None


def begin() -> None:
    """Remember from now on what this process reports, where its log can be lost."""
    global _current  # noqa: PLW0603 - a process has one
    _current = Curve() if KEEP_VARIABLE in os.environ else None


def begun() -> bool:
    """Whether this process keeps what it reports: children of it do not."""
    return _current is not None


def hear(step: int | None, line: bytes) -> None:
    """Remember a report: its step, and the line that tells it."""
    if _current is not None:
        _current.hear(step, line)


def keep(job: Job) -> None:
    """Put what this process has reported into storage; only rank 0's progress counts. Idempotent.

    Raises:
        ServiceUnavailable: storage does not answer or is full.
    """
    if _current is not None and _current.has_news and job.rank == 0:
        _current.keep(job)


def _after_fork() -> None:
    global _current  # noqa: PLW0603
    _current = None


os.register_at_fork(after_in_child=_after_fork)
