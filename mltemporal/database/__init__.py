"""The record of everything: jobs, attempts, points, logs, artifacts, datasets, workers.

`Database.open` gives one object with a part for each concern; rows leave as frozen dataclasses.
"""

from mltemporal.database.datasets import DatasetRow
from mltemporal.database.engine import Database
from mltemporal.database.jobs import Event, JobRow
from mltemporal.database.progress import LOG_KEPT_BYTES, Batch, Place, Said
from mltemporal.database.workers import WorkerInfo

__all__ = [
    "LOG_KEPT_BYTES",
    "Batch",
    "Database",
    "DatasetRow",
    "Event",
    "JobRow",
    "Place",
    "Said",
    "WorkerInfo",
]
