"""Killed: the same process goes on, in attempt 1, and every point is recorded once."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

import mltemporal
from mltemporal import stack


def killed_during(world: Any, job: Any, kill: Callable[[], None], until: Callable[..., Any]) -> float:
    """Kill something while the job runs; returns after how many seconds it was followed again."""
    training = world.training(job)
    until(lambda: len(world.steps(job)) > 5)
    kill()
    killed_at = time.monotonic()
    seen = len(world.steps(job))
    until(lambda: len(world.steps(job)) > seen + 5)
    followed_after_s = time.monotonic() - killed_at
    assert training == world.training(job)
    assert training.alive
    return followed_after_s


def assert_whole(world: Any, job: Any, steps: int) -> None:
    result = job.result(60)
    assert (1, {"rows": 400.0}) == (result.attempts, result.metrics)
    assert [(1, step) for step in range(1, steps + 1)] == world.steps(job)
    assert list(range(1, steps + 1)) == list(job.metrics()["step"])


def test_a_killed_worker_s_job_is_followed_again_within_30_seconds(
    world: Any,
    count: Any,
    table: pd.DataFrame,
    until: Callable[..., Any],
    record_property: Callable[..., None],
) -> None:
    job = mltemporal.train(table, count, params={"steps": 130, "pause_s": 0.1})

    def kill() -> None:
        before = stack.state(world.settings).worker_pid
        os.kill(before, signal.SIGKILL)
        until(lambda: stack.state(world.settings).worker_pid not in (None, before))

    followed_after_s = killed_during(world, job, kill, until)
    record_property("followed_again_after_s", followed_after_s)
    print(f"followed again {followed_after_s:.1f} s after the worker was killed")
    assert followed_after_s < 30
    assert_whole(world, job, 130)
    assert "follow" in set(job.history()["kind"])


def test_a_killed_server_costs_nothing(
    world: Any, count: Any, table: pd.DataFrame, until: Callable[..., Any]
) -> None:
    job = mltemporal.train(table, count, params={"steps": 50, "pause_s": 0.1})

    def kill() -> None:
        server = stack.state(world.settings).services["temporal"]
        server.process.send(signal.SIGKILL)
        until(lambda: stack.state(world.settings).services["temporal"].restarts > server.restarts)

    followed_after_s = killed_during(world, job, kill, until)
    print(f"followed again {followed_after_s:.1f} s after the server was killed")
    assert_whole(world, job, 50)


def test_a_killed_kernel_costs_nothing_and_another_one_finds_the_job(
    world: Any, until: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text(
        "import time, mltemporal\n"
        "for step in range(1, 61):\n"
        "    mltemporal.report(step=step, total=60)\n"
        "    time.sleep(0.05)\n"
    )
    program = (
        "import sys, time, pandas as pd, mltemporal\n"
        "table = pd.DataFrame({'x': [1.0, 2.0], 'y': [0, 1]})\n"
        "job = mltemporal.train(table, mltemporal.Script(sys.argv[1]))\n"
        "print(job.id, flush=True)\n"
        "job.watch(lambda view: None)\n"
        "job.result()\n"
    )
    kernel = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "train.py")],
        env=world.environ,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert kernel.stdout is not None
    with kernel.stdout as said:
        job = mltemporal.job(int(said.readline()))
    training = world.training(job)
    until(lambda: len(world.steps(job)) > 3)
    kernel.kill()
    kernel.wait()
    assert training == world.training(job)
    assert 1 == job.result(60).attempts
    assert [(1, step) for step in range(1, 61)] == world.steps(job)
    assert list(range(1, 61)) == list(job.metrics()["step"])
