"""What a benchmark found, as a person reads it and as JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Line:
    """Ours beside a floor or a peer, both measured in this run."""

    what: str
    seconds: Sequence[float]
    beside: str
    their_seconds: Sequence[float]
    target: float | None = None
    """The ratio to reach or stay below; None where none was set."""

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def their_median(self) -> float:
        return statistics.median(self.their_seconds)

    @property
    def ratio(self) -> float:
        return self.median / self.their_median

    @property
    def verdict(self) -> str:
        if self.target is None:
            return "no target"
        return f"target {self.target:.2f}, {'met' if self.ratio <= self.target else 'missed'}"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The lines of one question."""

    question: str
    lines: Sequence[Line]
    notes: Sequence[str] = field(default=())

    def show(self) -> None:
        rows = [
            (line.what, shown(line.median), line.beside, shown(line.their_median), f"{line.ratio:.2f}")
            for line in self.lines
        ]
        header = ("median of", "", "beside", "", "ratio")
        widths = [max(len(row[i]) for row in [header, *rows]) for i in range(5)]
        print(f"\n{self.question}")
        for row, verdict in zip([header, *rows], ["", *(line.verdict for line in self.lines)], strict=True):
            print("  " + "  ".join(_cell(text, widths[i], i) for i, text in enumerate(row)), f" {verdict}")
        for note in self.notes:
            print(f"  * {note}")


def _cell(text: str, width: int, column: int) -> str:
    return text.ljust(width) if column in (0, 2) else text.rjust(width)


def shown(seconds: float) -> str:
    """Return a duration in the unit that reads best."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.1f} µs"
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def machine() -> str:
    """Return in one line where the figures come from, and how busy it is."""
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, load average {os.getloadavg()[0]:.1f}"
    )


def write_json(path: Path, answers: Sequence[Answer]) -> None:
    """Write every figure with all its repetitions, in seconds."""
    found = [
        {
            "question": answer.question,
            "notes": list(answer.notes),
            "lines": [
                {
                    **vars(line),
                    "median": line.median,
                    "their_median": line.their_median,
                    "ratio": line.ratio,
                }
                for line in answer.lines
            ],
        }
        for answer in answers
    ]
    path.write_text(json.dumps({"machine": machine(), "answers": found}, indent=2) + "\n")
