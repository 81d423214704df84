"""What do two trainings at once cost each other, and what would they without our thread settings?

``python benchmarks/threads.py [--repeat 3] [--json FILE]``

A boosting fit (HistGradientBoosting, 200,000 rows × 20 columns) runs alone and beside a second one:
as local jobs, and as bare processes with OpenMP's own defaults. Only the fit is timed: both make
their data first, and start at one moment. Two at once should cost no more than one after the other.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
from own_stack import own_stack
from table import Answer, Line, machine, write_json

import mltemporal

TABLE = pd.DataFrame({"nothing": [0.0]})
PREPARATION_S = 10.0
"""Longer than it takes to start two processes and make their data."""


def fit(_table: pd.DataFrame | None, begin_at: float) -> float:
    """Return how many seconds a boosting fit takes that starts at ``begin_at``."""
    import numpy as np
    from sklearn.ensemble import HistGradientBoostingRegressor

    random = np.random.default_rng(0)
    features = random.normal(size=(200_000, 20))
    target = features[:, 0] * features[:, 1] + np.sin(features[:, 2])
    model = HistGradientBoostingRegressor(max_iter=40, early_stopping=False, random_state=0)
    if time.time() > begin_at:
        raise RuntimeError("the machine is too busy: the data was not ready in time")
    time.sleep(begin_at - time.time())
    began = time.perf_counter()
    model.fit(features, target)
    return time.perf_counter() - began


def jobs(count: int, **settings: object) -> float:
    """Return the seconds of the slowest of so many local jobs at once."""
    params = {"begin_at": time.time() + PREPARATION_S}
    launched = [mltemporal.train(TABLE, fit, params=params, force=True, **settings) for _ in range(count)]
    return max(job.result().value for job in launched)


def bare_processes(count: int) -> float:
    """Return the seconds of the slowest of so many processes at once, with OpenMP's own defaults."""
    command = [sys.executable, __file__, "--fit-at", str(time.time() + PREPARATION_S)]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}

    def run(_number: int) -> float:
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        return float(done.stdout)

    with ThreadPoolExecutor(count) as pool:
        return max(pool.map(run, range(count)))


def fits_alone_and_together(repeat: int) -> Answer:
    ways = {
        "job alone": lambda: jobs(1),
        "jobs": lambda: jobs(2),
        "one-core jobs": lambda: jobs(2, resources={"cpu": 1}),
        "bare alone": lambda: bare_processes(1),
        "bare": lambda: bare_processes(2),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeat):  # in turns, so that a busy minute of the machine hurts all alike
        for name, run in ways.items():
            seconds[name].append(run())

    def line(what: str, ours: str, beside: str, theirs: str, target: float | None = None) -> Line:
        return Line(
            what=what, seconds=seconds[ours], beside=beside, their_seconds=seconds[theirs], target=target
        )

    return Answer(
        question="Two boosting fits at once",
        lines=[
            line("two bare processes at once", "bare", "one bare process", "bare alone"),
            line("two jobs at once", "jobs", "one job", "job alone", target=2.0),
            line("two jobs of one core at once", "one-core jobs", "one job", "job alone"),
            line("two jobs at once", "jobs", "two bare processes at once", "bare", target=1.0),
            line("one job", "job alone", "one bare process", "bare alone", target=1.2),
        ],
        notes=[
            "2.00 is what running them one after the other costs",
            "OpenMP's own defaults let threads spin while they wait: two programs then wait for each other",
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=3, help="repetitions of each (default: 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every repetition there too")
    parser.add_argument("--fit-at", type=float, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.fit_at is not None:
        print(fit(None, chosen.fit_at))
        return
    print(machine())
    with own_stack():
        answer = fits_alone_and_together(chosen.repeat)
    answer.show()
    if chosen.json:
        write_json(chosen.json, [answer])


if __name__ == "__main__":
    main()
