"""How much of the machine a job's processes use."""

from __future__ import annotations

import os

from mltemporal.runtime.context import Job

THREADS_VARIABLE = "MLTEMPORAL_SHARD_THREADS"
_LIBRARIES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "POLARS_MAX_THREADS",
)


def cores(job: Job) -> int:
    """Return how many cores the job may use: what it asked for, else all that this process may."""
    if job.spec.resources.cpu is not None:
        return max(1, round(job.spec.resources.cpu))
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def thread_variables(threads: int) -> dict[str, str]:
    """Return the environment of a process that is to use so many threads, in whichever library."""
    return dict.fromkeys((*_LIBRARIES, THREADS_VARIABLE), str(threads))
