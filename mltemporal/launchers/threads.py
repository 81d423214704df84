"""How many threads numerical libraries use in a job, and how they wait."""

from __future__ import annotations

from mltemporal.runtime.cores import THREAD_VARIABLES


def thread_settings(cpu: float | None) -> dict[str, str]:
    """Return the environment variables by which jobs side by side share the cores.

    Threads that spin while they wait made two boosting fits at once 13 times slower, so they
    sleep instead (scikit-learn #30662), but not before a few microseconds: a job alone would be
    2.4 times slower for it (``benchmarks/threads.py``). A job that asks for ``cpu`` cores gets as
    many threads. What the user's environment says itself should win over these.
    """
    threads = {} if cpu is None else dict.fromkeys(THREAD_VARIABLES, str(max(1, round(cpu))))
    return {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "2000", **threads}
