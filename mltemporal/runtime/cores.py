"""How much of the machine a job's processes use."""

from __future__ import annotations

import os

from mltemporal.runtime import context
from mltemporal.runtime.context import Job

THREADS_VARIABLE = "MLTEMPORAL_SHARD_THREADS"
"""Environment variable that tells a shard's process how many threads it may use."""
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "POLARS_MAX_THREADS",
)
"""Environment variables by which numerical libraries are told."""


def cores(job: Job) -> int:
    """Return how many cores the job may use: what it asked for, else all that this process may."""
    if job.spec.resources.cpu is not None:
        return max(1, round(job.spec.resources.cpu))
    return _here()


def threads() -> int:
    """Return how many threads the work of a shard may use."""
    if text := os.environ.get(THREADS_VARIABLE):
        return int(text)
    job = context.current()
    return _here() if job is None else cores(job)


def thread_variables(threads: int) -> dict[str, str]:
    """Return the environment of a process that is to use so many threads, in whichever library."""
    return dict.fromkeys((*THREAD_VARIABLES, THREADS_VARIABLE), str(threads))


def _here() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1
