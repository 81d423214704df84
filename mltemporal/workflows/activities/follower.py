"""From a stream of output to the record: splits lines, reads progress, writes batches."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from mltemporal.database import Batch, Database
from mltemporal.progress import Line, match_patterns, parse_line
from mltemporal.specs import Artifact
from mltemporal.views import Point

_LONGEST_LINE_BYTES = 64 << 10


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

    @property
    def read_to(self) -> int:
        """Up to which byte the output was fed."""
        return self.position + len(self._pending)

    def feed(self, output: bytes, cursor: str = "", *, last: bool = False) -> bool:
        """Record the whole lines in ``output``, which follows what was fed before; all of it when ``last``.

        ``cursor`` is where the launcher goes on after ``output``; kept where all of that is recorded.
        Returns False where another follower has recorded it meanwhile: start again with a new one.
        """
        self._pending += output
        end = self._pending.rfind(b"\n") + 1
        if last or (not end and len(self._pending) > _LONGEST_LINE_BYTES):
            end = len(self._pending)
        if not end:
            return True
        whole, self._pending = self._pending[:end], self._pending[end:]
        batch = self._read(whole, "" if self._pending else cursor)
        if not self.database.progress.append(self.job_id, self.attempt, batch, rank=self.rank):
            return False
        self.position = batch.end
        return True

    def _read(self, whole: bytes, cursor: str) -> Batch:
        points: list[tuple[int, Point]] = []
        log: list[str] = []
        notes: list[tuple[int, str]] = []
        artifacts: list[Artifact] = []
        at = self.position
        for raw in _lines(whole):
            text = raw.decode("utf-8", errors="replace").rstrip("\r\n")
            line = parse_line(text)
            if line is None:
                log.append(text)
                line = match_patterns(text, self.patterns)
            if line is not None:
                if line.event == "report":
                    points.append((at, self._point(line)))
                elif line.event == "stage":
                    self.stage = line.text
                elif line.event == "note":
                    notes.append((at, line.text))
                elif line.event == "artifact" and line.object is not None:
                    artifacts.append(Artifact(name=line.name, object=line.object))
            at += len(raw)
        if points:
            self.latest = points[-1][1]
        return Batch(
            start=self.position,
            end=self.position + len(whole),
            cursor=cursor,
            points=tuple(points),
            log="".join(f"{text.rpartition(chr(13))[2]}\n" for text in log),
            notes=tuple(notes),
            artifacts=tuple(artifacts),
        )

    def _point(self, line: Line) -> Point:
        metrics = {name: math.nan if value is None else value for name, value in line.metrics.items()}
        return Point(
            attempt=self.attempt,
            time=line.time if line.time is not None else time.time(),
            step=line.step,
            total=line.total,
            metrics=metrics,
        )


def _lines(whole: bytes) -> list[bytes]:
    """Split at newlines only: a carriage return redraws a line, as progress bars do."""
    parts = whole.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])
