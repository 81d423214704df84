"""A cell that is run in several kernels at once, or whose kernel is killed in the middle, leaves one job."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

import mltemporal
from mltemporal import background, session
from mltemporal.database.jobs import Jobs
from mltemporal.specs.running import JobStatus

KERNEL = """
import os, signal, sys, time
import pandas as pd, mltemporal
from mltemporal import owner, launching
start, name, dies = float(sys.argv[1]), sys.argv[2], sys.argv[3] == "dies"

def fit(data):
    import time, mltemporal
    for step in mltemporal.track(range(40)):
        time.sleep(0.05)
    return {"rows": len(data)}

if dies:
    async def die(*_, **__):
        print("row", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    owner.start = die
table = pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": [0.0, 1.0, 0.0]})
mltemporal.jobs()  # connected, before the race
time.sleep(max(0.0, start - time.time()))
print(mltemporal.train(table, fit, name=name).id, flush=True)
"""


def kernel(world: Any, name: str, start: float, *, dies: bool = False) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", KERNEL, str(start), name, "dies" if dies else "lives"],
        env=world.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_same_cell_in_four_kernels_at_once_leaves_one_job(world: Any) -> None:
    start = time.time() + 12
    kernels = [kernel(world, "race", start) for _ in range(4)]
    answers = [process.communicate(timeout=100) for process in kernels]
    assert [0] * 4 == [process.returncode for process in kernels], answers
    (job_id,) = {int(said.split()[-1]) for said, _ in answers}
    assert [job_id] == [row.id for row in world.database.jobs.find(name="race")]
    assert {"rows": 3.0} == mltemporal.job(job_id).result(60).metrics
    assert 1 == world.database.jobs.get(job_id).attempt
    kinds = [event.kind for event in world.database.jobs.events(job_id)]
    assert (1, 3) == (kinds.count("submitted"), kinds.count("attached"))


def test_a_kernel_that_is_killed_between_row_and_workflow_leaves_a_job_that_runs(
    world: Any, until: Callable[..., Any]
) -> None:
    process = kernel(world, "cut off", 0, dies=True)
    said, _ = process.communicate(timeout=100)
    assert (-signal.SIGKILL, "row") == (process.returncode, said.strip())
    (row,) = world.database.jobs.find(name="cut off")
    until(lambda: world.database.jobs.get(row.id).status is not JobStatus.QUEUED)  # nobody asks for it
    assert {"rows": 3.0} == mltemporal.job(row.id).result(60).metrics


@pytest.mark.long
def test_the_same_cell_again_starts_the_job_whose_kernel_was_killed(world: Any) -> None:
    process = kernel(world, "again", 0, dies=True)
    process.communicate(timeout=100)
    second = kernel(world, "again", 0)
    said, failed = second.communicate(timeout=100)
    assert 0 == second.returncode, failed
    (row,) = world.database.jobs.find(name="again")
    assert row.id == int(said.split()[-1])
    assert 1 == mltemporal.job(row.id).result(60).attempts


def test_a_job_that_is_cancelled_while_it_is_launched_ends_as_cancelled(world: Any, table: Any) -> None:
    from mltemporal import launching, owner

    cancelled = []
    start = owner.start

    async def cancel_first(here: Any, row: Any, **options: Any) -> None:
        cancelled.append(await owner.cancel(here, row.id))
        await start(here, row, **options)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(launching.owner, "start", cancel_first)
        job = mltemporal.train(table, lambda data: {"rows": len(data)}, name="cancelled at once")
    assert [True] == cancelled
    with pytest.raises(mltemporal.JobCancelled):
        job.result(60)
    assert 0 == world.database.jobs.get(job.id).attempt
    assert os.listdir(world.settings.home / "launch") == []


def test_a_job_that_ends_while_its_cell_is_run_again_is_not_started_once_more(
    world: Any, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel found the job live, and came to its workflow when that had closed."""

    def fit(data: pd.DataFrame) -> dict[str, float]:
        import time

        time.sleep(3)
        return {"rows": float(len(data))}

    first = mltemporal.train(table, fit, name="ends meanwhile")
    add, attached = Jobs.add, []

    def add_and_sleep(self: Jobs, *args: Any, **record: Any) -> Any:
        found = add(self, *args, **record)
        attached.append(not found[1])
        assert first.wait(60)
        return found

    monkeypatch.setattr(Jobs, "add", add_and_sleep)
    assert first.id == mltemporal.train(table, fit, name="ends meanwhile").id
    assert [True] == attached
    assert 1 == background.run(runs_of(world.database.jobs.get(first.id).workflow_id))


async def runs_of(workflow_id: str) -> int:
    client = await session.current().client()
    for _ in range(20):  # Temporal's list is a little late
        await asyncio.sleep(0.1)
        found = [each async for each in client.list_workflows(f"WorkflowId = '{workflow_id}'")]
    return len(found)
