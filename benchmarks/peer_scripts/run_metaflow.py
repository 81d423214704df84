"""Time ``Runner(flow).run()``: ``run_metaflow.py FLOW.py REPETITIONS`` prints a JSON list of seconds."""

import json
import sys
import time

from metaflow import Runner


def one_run(flow: str) -> float:
    began = time.perf_counter()
    with Runner(flow, show_output=False).run() as running:
        if running.status != "successful":
            raise SystemExit(f"the flow {running.status}: {running.stderr}")
    return time.perf_counter() - began


print(json.dumps([one_run(sys.argv[1]) for _ in range(int(sys.argv[2]))]))
