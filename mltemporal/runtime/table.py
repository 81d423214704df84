"""The job's table, as the trainers want it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mltemporal.dataset.loading import load
from mltemporal.runtime import reporting
from mltemporal.runtime.context import Job

if TYPE_CHECKING:
    import pandas


def load_table(job: Job) -> pandas.DataFrame:
    """Return the whole dataset.

    Raises:
        InvalidDataset: the table cannot be read any more.
        ServiceUnavailable: storage does not answer.
    """
    reporting.stage("loading the dataset")
    frame: pandas.DataFrame = load(job.spec.dataset, job.storage)
    return frame


def with_target(frame: pandas.DataFrame, target: str) -> pandas.DataFrame:
    """Return the rows that have a target; says how many have none."""
    present = frame[target].notna()
    missing = int((~present).sum())
    if missing == 0:
        return frame
    reporting.note(f"{missing:,} of {len(frame):,} rows have no {target!r} and are left out")
    return frame[present]
