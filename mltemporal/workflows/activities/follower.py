"""From a stream of output to the record: splits lines, reads progress, writes batches."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from mltemporal.database.engine import Database
from mltemporal.database.gaps import ANOTHER_PROCESS
from mltemporal.database.progress import Batch
from mltemporal.patterns import match_patterns
from mltemporal.progress import Line, is_file_name, parse_line
from mltemporal.specs.data import Artifact
from mltemporal.views import Point
from mltemporal.words import clean, one_line, shortened
from mltemporal.workflows.activities.allowance import Allowance

_LONGEST_LINE_BYTES = 64 << 10
"""A longer line is recorded in pieces of this length, wherever it was cut on its way here."""
_LONGEST_TEXT = 600
"""Of a note or a stage, in characters."""


@dataclass
class Follower:
    """Reads one attempt's output, from where the record stands, and records what it says.

    The position moves in the same transaction as the points before it. So whoever goes on after
    a crash, at `position`, neither loses nor repeats one.
    """

    database: Database
    job_id: int
    attempt: int
    patterns: dict[str, str]
    rank: int = 0
    """Whose output it is; only rank 0's progress is recorded."""
    position: int = 0
    """Up to which byte the output is recorded."""
    stage: str = ""
    """What the job said last that it does."""
    latest: Point | None = None
    _pending: bytes = field(default=b"", repr=False)
    _allowance: Allowance | None = field(default=None, repr=False)
    _held: tuple[int, Point] | None = field(default=None, repr=False)
    """The newest of the points that come too fast: it is recorded when there is room, or at the end."""
    _anew: bool = field(default=False, repr=False)
    """Whether a process has begun, the first of the attempt or another one, and has told no step yet."""

    @property
    def read_to(self) -> int:
        """Up to which byte the output was fed."""
        return self.position + len(self._pending)

    @property
    def can_catch_up(self) -> bool:
        """Whether a point was held back, and there is room for it now."""
        return self._held is not None and self._allowance is not None and self._allowance.has_room

    def feed(self, output: bytes, cursor: str = "", *, last: bool = False) -> bool:
        """Record the whole lines in ``output``, which follows what was fed before; all of it when ``last``.

        ``cursor`` is where the launcher goes on after ``output``; kept where all of that is recorded.
        Returns False where another follower has recorded it meanwhile: start again with a new one.
        """
        self._pending += output
        end = self._pending.rfind(b"\n") + 1
        end += (len(self._pending) - end) // _LONGEST_LINE_BYTES * _LONGEST_LINE_BYTES
        end = len(self._pending) if last else end
        if not end and not (last and self._held) and not self.can_catch_up:
            return True
        whole, self._pending = self._pending[:end], self._pending[end:]
        batch = self._read(whole, "" if self._pending else cursor, last=last)
        if not self.database.progress.append(self.job_id, self.attempt, batch, rank=self.rank):
            return False
        self.position = batch.end
        return True

    def _read(self, whole: bytes, cursor: str, *, last: bool) -> Batch:
        if self._allowance is None:
            said = self.database.progress.said(self.job_id, self.attempt)
            self._allowance, self._anew = Allowance(said), not said.stepped
        read = _Reading(self.position)
        for raw in _lines(whole):
            text = raw.decode("utf-8", errors="replace").rstrip("\r\n")
            line = parse_line(text)
            if line is None or not self._take(read, line, len(raw), self._allowance):
                read.log.append((read.at, text))
            read.at += len(raw)
        if self.patterns:
            found = match_patterns([text for _, text in read.log], self.patterns)
            for (at, text), line in zip(read.log, found, strict=True):
                if line is not None:
                    self._take_point(read, at, point_of(line, self.attempt), len(text), self._allowance)
        if self._held and (last or self._allowance.point(0)):
            read.points.append(self._held)
            self._held = None
        # Keys of their own beside the job's notes, which have the positions of lines.
        left_out = [(-1 - self.position - i, words) for i, words in enumerate(self._allowance.untold())]
        return Batch(
            start=self.position,
            end=self.position + len(whole),
            cursor=cursor,
            points=tuple(sorted(read.points, key=lambda each: each[0])),
            log="".join(f"{text.rpartition(chr(13))[2]}\n" for _, text in read.log),
            notes=(*read.notes, *left_out),
            artifacts=tuple(read.artifacts),
            again_from=read.again_from,
        )

    def _take(self, read: _Reading, line: Line, size: int, allowance: Allowance) -> bool:
        """Take what a progress line says; False where it is a line of the log like others."""
        if line.event == "report":
            self._take_point(read, read.at, point_of(line, self.attempt), size, allowance)
        elif line.event == "stage":
            self.stage = shortened(one_line(line.text), _LONGEST_TEXT)
            if line.begins and not self._anew:
                self._anew = True
                read.notes.append((read.at, ANOTHER_PROCESS))
        elif line.event == "note":
            if not allowance.note():
                return False
            read.notes.append((read.at, shortened(clean(line.text), _LONGEST_TEXT)))
        elif line.event == "artifact" and line.object is not None:
            if not is_file_name(line.name) or not allowance.artifact():
                return False
            read.artifacts.append(Artifact(name=line.name, object=line.object))
        return True

    def _take_point(self, read: _Reading, at: int, point: Point, size: int, allowance: Allowance) -> None:
        if self._anew and point.step is not None:
            self._begin_again(read, point.step)
        point = replace(point, metrics=allowance.metrics(point.metrics))
        self.latest = point
        if allowance.point(size):
            read.points.append((at, point))
            self._held = None
        else:
            self._held = (at, point)

    def _begin_again(self, read: _Reading, step: int) -> None:
        """Leave out what an earlier process of the attempt reported from that step on."""
        self._anew = False
        read.again_from = step if read.again_from is None else min(step, read.again_from)
        read.points = [each for each in read.points if each[1].step is None or each[1].step < step]
        if self._held and (self._held[1].step or 0) >= step:
            self._held = None


def point_of(line: Line, attempt: int) -> Point:
    """Return what a line of an attempt reports; of a program that tells no time, as of now."""
    metrics = {one_line(name): math.nan if value is None else value for name, value in line.metrics.items()}
    return Point(
        attempt=attempt,
        time=line.time if line.time is not None else time.time(),
        step=line.step,
        total=line.total,
        metrics=metrics,
    )


@dataclass
class _Reading:
    """What was read of a batch so far."""

    at: int
    """The position of the line."""
    points: list[tuple[int, Point]] = field(default_factory=list)
    log: list[tuple[int, str]] = field(default_factory=list)
    notes: list[tuple[int, str]] = field(default_factory=list)
    artifacts: list[Artifact] = field(default_factory=list)
    again_from: int | None = None


def _lines(whole: bytes) -> Iterator[bytes]:
    """Split at newlines only: a carriage return redraws a line, as progress bars do."""
    start = 0
    while start < len(whole):
        end = whole.find(b"\n", start) + 1 or len(whole)
        for piece in range(start, end, _LONGEST_LINE_BYTES):
            yield whole[piece : min(end, piece + _LONGEST_LINE_BYTES)]
        start = end
