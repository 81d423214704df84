"""Time submitit's local jobs: ``python run_submitit.py REPETITIONS`` prints a JSON list of seconds."""

import json
import sys
import time

import submitit


def train() -> float:
    return 1.0


def one_run(executor: submitit.LocalExecutor) -> float:
    began = time.perf_counter()
    executor.submit(train).result()
    return time.perf_counter() - began


executor = submitit.LocalExecutor(folder="submitit")
executor.update_parameters(timeout_min=5)
print(json.dumps([one_run(executor) for _ in range(int(sys.argv[1]))]))
