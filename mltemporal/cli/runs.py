"""``mltemporal runs``: the latest runs as a table."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mltemporal.settings import process_settings
from mltemporal.words import one_line

if TYPE_CHECKING:
    from mltemporal.database.jobs import JobRow

_HEAD = ("ID", "NAME", "STATUS", "ATTEMPT", "TIME", "METRICS")
_METRICS_SHOWN = 4


def runs(limit: int) -> int:
    """Show the latest ``limit`` runs, newest first."""
    from mltemporal.database.engine import Database

    database = Database.open(process_settings().database_url)
    try:
        found = database.jobs.find(limit=limit)
    finally:
        database.close()
    if not found:
        print("no runs yet; `mltemporal demo` makes one")
        return 0
    for line in table([_HEAD, *(describe(job, time.time()) for job in found)]):
        print(line)
    return 0


def describe(job: JobRow, now: float) -> tuple[str, ...]:
    """Return one row of the table."""
    duration = ""
    if job.started_at is not None:
        duration = _duration((job.finished_at or now) - job.started_at)
    metrics = job.result.metrics if job.result else {}
    shown = [f"{one_line(name)}={value:.4g}" for name, value in list(metrics.items())[:_METRICS_SHOWN]]
    return (
        str(job.id),
        one_line(job.name),
        job.status.value,
        str(job.attempt or ""),
        duration,
        " ".join(shown),
    )


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the rows as aligned lines."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{seconds:.1f} s"
