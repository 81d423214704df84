"""A worker dies (-9, a real process) before, during and after each activity: nothing is lost or done twice.

The table in ARCHITECTURE.md ("What if the process dies right here?") names these.
"""

import asyncio
import os
import signal
import sys
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from workflows.test_batch import preparing, scoring, start, table_of
from workflows.test_tending import age

from mltemporal import steps
from mltemporal.monitoring import schedule
from mltemporal.monitoring.mending import GRACE_S
from mltemporal.specs.health import Notice
from mltemporal.specs.running import JobStatus

PROGRAM = Path(__file__).with_name("dying_worker.py")
MOMENTS = (
    pytest.param(
        "before", marks=pytest.mark.long
    ),  # each costs the ten seconds after which a worker counts as lost
    "during",
    pytest.param("after", marks=pytest.mark.long),
)
COUNT = """
import time, mltemporal
for step in range(1, 31):
    mltemporal.report(step=step, total=30)
    time.sleep(0.05)
"""
LONG = """
import time, mltemporal
for step in mltemporal.track(range(1200)):
    mltemporal.report(loss=1.0)
    time.sleep(0.05)
"""

pytestmark = pytest.mark.timeout(240)


async def worker_that_dies(world, activity: str, moment: str) -> None:
    """Run a worker until it was killed in the activity."""
    address = world.client.service_client.config.target_host
    worker = await asyncio.create_subprocess_exec(
        sys.executable,
        str(PROGRAM),
        address,
        activity,
        moment,
        env={**os.environ, **world.settings.environ()},
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await worker.communicate()
    assert -signal.SIGKILL == worker.returncode, said.decode()


async def until(condition, within_s=60):
    async with asyncio.timeout(within_s):
        while not (found := condition()):
            await asyncio.sleep(0.02)
    return found


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(
    "activity",
    [
        pytest.param("validate_dataset", marks=pytest.mark.long),
        "create_training_job",
        "monitor_training",
        pytest.param("cleanup_resources", marks=pytest.mark.long),
    ],
)
async def test_a_training_whose_worker_dies_in_an_activity_runs_once(world, activity, moment):
    row, handle = await world.submit(COUNT)
    await worker_that_dies(world, activity, moment)
    async with world.worker():
        await handle.result()
    job = world.database.jobs.get(row.id)
    assert (JobStatus.SUCCEEDED, 1) == (job.status, job.result.attempts)
    assert [(1, step) for step in range(1, 31)] == world.points(row)
    kinds = [event.kind for event in world.database.jobs.events(row.id)]
    assert (1, 1) == (kinds.count("attempt"), kinds.count("finished"))


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_command_whose_worker_dies_is_carried_out_once(world, moment):
    row, handle = await world.submit(LONG)
    dying = asyncio.create_task(worker_that_dies(world, "command_training_job", moment))
    await until(lambda: len(world.points(row)) > 3)
    asked = asyncio.create_task(world.tell(handle, row, "pause"))
    await dying
    async with world.worker():
        assert "paused" == await asked
        assert "it goes on" == await world.tell(handle, row, "resume")
        await world.tell(handle, row, "stop_early")
        await handle.result()
    assert ["pause", "resume", "stop_early"] == [what for what, _ in world.commands(row)]
    steps = list(dict.fromkeys(world.points(row)))
    assert [(1, step) for step in range(len(steps))] == steps


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_preprocessing_whose_worker_dies_registers_its_dataset_once(world, moment):
    dataset = table_of(world, 50)
    fields = preparing(world, dataset, steps.filter("a < 40"))
    row, handle = await start(world, "preprocessing", dataset, **fields)
    await worker_that_dies(world, "register_datasets", moment)
    async with world.worker():
        await handle.result()
    job = world.database.jobs.get(row.id)
    assert (JobStatus.SUCCEEDED, {"rows_in": 50.0, "rows_out": 40.0}) == (job.status, job.result.metrics)
    made = [each for each in world.database.datasets.all() if each.facts.made_by == row.id]
    assert 1 == len(made)


@pytest.mark.parametrize("moment", MOMENTS)
async def test_an_inference_whose_worker_dies_scores_each_row_once(world, moment):
    row, handle = await start(world, "inference", table_of(world, 50), **scoring(world))
    await worker_that_dies(world, "register_predictions", moment)
    async with world.worker():
        await handle.result()
    job = world.database.jobs.get(row.id)
    assert (JobStatus.SUCCEEDED, 50, 1) == (job.status, job.result.rows, job.result.attempts)


async def test_a_job_that_is_cancelled_while_its_worker_is_dead_closes_as_cancelled(world):
    row, handle = await world.submit(LONG)
    await worker_that_dies(world, "monitor_training", "during")
    await handle.cancel()
    async with world.worker():
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    assert WorkflowExecutionStatus.CANCELED == (await handle.describe()).status
    assert JobStatus.CANCELLED == world.database.jobs.get(row.id).status


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("activity", ["check_health", "mend"])
async def test_a_round_whose_worker_dies_is_recorded_once_and_starts_a_lost_job_once(world, activity, moment):
    row = world.record(COUNT)
    age(world, row, by_s=2 * GRACE_S)
    queue = f"mltemporal-{world.database.id}"
    monitor = schedule.monitor_id(world.settings, world.database, queue)
    handle = await world.client.start_workflow(
        "MonitoringWorkflow", monitor, id=f"round-{uuid.uuid4().hex}", task_queue=queue
    )
    await worker_that_dies(world, activity, moment)
    async with world.worker():
        await handle.result()
        await until(lambda: world.database.jobs.get(row.id).status.final)
        await world.client.get_workflow_handle(row.workflow_id).result()
    job = world.database.jobs.get(row.id)
    assert (JobStatus.SUCCEEDED, 1) == (job.status, job.result.attempts)
    assert [(1, step) for step in range(1, 31)] == world.points(row)
    notes = [
        each.message for each in world.database.jobs.events(row.id) if "had not been started" in each.message
    ]
    assert len(notes) <= 1, "a mend that died between start and note finds a job that runs"
    (only,) = world.database.health.since(monitor, 0.0)
    parts = [check.part for check in only.checks]
    assert len(parts) == len(set(parts))
    assert {"database", "storage", "mending"} <= set(parts)


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_notice_whose_worker_dies_is_told_at_least_once(world, moment):
    told, program = world.folder / "told", world.folder / "tell.py"
    program.write_text(
        f"import sys\ntext = sys.stdin.read()\nif text: print(text, file=open({str(told)!r}, 'a'))\n"
    )
    world.settings = replace(world.settings, notify_command=f"{sys.executable} '{program}'")
    handle = await world.client.start_workflow(
        "NotificationWorkflow",
        Notice(text="the database has a problem"),
        id=f"notice-{uuid.uuid4().hex}",
        task_queue=f"mltemporal-{world.database.id}",
    )
    await worker_that_dies(world, "deliver_notice", moment)
    async with world.worker():
        await handle.result()
    lines = told.read_text().splitlines()
    assert {'{"text": "the database has a problem"}'} == set(lines)
    assert len(lines) <= {"before": 1, "during": 2, "after": 2}[moment]
