"""Workers and kernels of one PostgreSQL database, each a process: ``crowd.py URL WORKERS KERNELS JOBS``.

The kernels launch the jobs, half of them together and half each its own, and watch them; the workers
follow all jobs, each batch in a race with the other workers. Prints what the kernels saw, as JSON.
"""

import json
import multiprocessing
import sys
import time
from typing import Any

from mltemporal.database.engine import Database
from mltemporal.database.progress import Batch
from mltemporal.database.workers import WorkerInfo
from mltemporal.specs.data import Column, DatasetRef
from mltemporal.specs.request import JobSpec, TrainerRef
from mltemporal.specs.running import JobStatus
from mltemporal.views import Point

POINTS = 20
DATASET = DatasetRef(fingerprint="cd" * 32, rows=3, columns=(Column(name="a", type="int64"),))
TRAINER = TrainerRef(kind="baseline", label="baseline")


def worker(url: str, number: int, jobs: int) -> None:
    """Follow every job to its end, as if each other worker were taken for dead."""
    database = Database.open(url, connections=2)
    info = WorkerInfo(
        id=f"w{number}", host="h", pid=1, version="1", python="p", task_queue="q", started_at=1, seen_at=1
    )
    ended: set[int] = set()
    while len(ended) < jobs:
        time.sleep(0.05)
        database.workers.seen(info)
        for job in database.jobs.find():
            if not job.status.final:
                database.jobs.start_attempt(job.id, 1)
                database.jobs.set_status(job.id, JobStatus.RUNNING, "training")
                follow(database, job.id)
                database.jobs.end_attempt(job.id, 1, phase="succeeded")
                database.jobs.finish(job.id, JobStatus.SUCCEEDED)
            ended.add(job.id)
    database.close()


def follow(database: Database, job_id: int) -> None:
    while (start := database.progress.place(job_id, 1).position) < POINTS:
        points = tuple((at, Point(attempt=1, time=1.0, step=at)) for at in range(start, start + 4))
        log = "".join(f"line {at}\n" for at in range(start, start + 4))
        database.progress.append(job_id, 1, Batch(start=start, end=start + 4, points=points, log=log))


def kernel(url: str, number: int, jobs: int, seen: Any) -> None:
    """Launch the jobs; watch them as a panel does, reading on after the newest row."""
    database = Database.open(url, connections=1)
    dataset_id = database.datasets.add(DATASET)
    launched = {}
    for job in range(jobs):
        # Half of the jobs are one for all kernels, half are this kernel's own.
        fingerprint = f"shared-{job}" if job % 2 else f"own-{number}-{job}"
        spec = JobSpec(key=f"training-{number}-{job}", name=fingerprint, dataset=DATASET, trainer=TRAINER)
        row, new = database.jobs.add(
            spec, fingerprint=fingerprint, dataset_id=dataset_id, by=f"kernel {number}"
        )
        launched[row.id] = new
    watched = {}
    for job_id in launched:
        after, steps = 0, []
        ended = False
        while not ended:
            time.sleep(0.1)
            ended = database.jobs.get(job_id).status.final
            for row_id, point in database.progress.points(job_id, after=after):
                after = row_id
                steps.append(point.step)
        watched[job_id] = steps
    seen.put((launched, watched))
    database.close()


def main(url: str, workers: int, kernels: int, jobs: int) -> None:
    # Forked from a process that holds no connection yet: what they share is only the database.
    fork = multiprocessing.get_context("fork")
    seen = fork.Queue()
    watching = [fork.Process(target=kernel, args=(url, number, jobs, seen)) for number in range(kernels)]
    distinct = kernels * ((jobs + 1) // 2) + jobs // 2
    working = [fork.Process(target=worker, args=(url, number, distinct)) for number in range(workers)]
    for process in (*watching, *working):
        process.start()
    answers = [seen.get(timeout=60) for _ in watching]
    for process in (*watching, *working):
        process.join(60)
        assert process.exitcode == 0
    print(json.dumps(answers))


if __name__ == "__main__":
    main(sys.argv[1], *(int(argument) for argument in sys.argv[2:]))
