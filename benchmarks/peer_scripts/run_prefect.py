"""Time a Prefect flow of one task: ``python run_prefect.py REPETITIONS`` prints a JSON list of seconds."""

import json
import sys
import time

from prefect import flow, task


@task
def train() -> float:
    return 1.0


@flow
def job() -> float:
    return train()


def one_run() -> float:
    began = time.perf_counter()
    job()
    return time.perf_counter() - began


print(json.dumps([one_run() for _ in range(int(sys.argv[1]))]))
