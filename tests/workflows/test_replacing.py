"""A workflow that is replaced by one of other code: the job goes on, and what was said to it holds."""

import asyncio

from temporalio.client import WorkflowHistory

from mltemporal import restarting
from mltemporal.deployments import moving
from mltemporal.deployments.replaying import Replayed
from mltemporal.launchers.local import LocalLauncher
from mltemporal.monitoring.surroundings import WorkersSession
from mltemporal.specs.encoding import decode
from mltemporal.specs.running import JobPlan, JobStatus

LOOP = """
import time, mltemporal
for step in mltemporal.track(range(400)):
    mltemporal.report(loss=1.0)
    time.sleep(0.05)
print("ended after", step, flush=True)
"""


def session(world) -> WorkersSession:
    launcher = LocalLauncher(world.settings.home, world.settings.storage_url, 2, world.database.id)
    return WorkersSession(world.settings, world.client, world.database, {"local": launcher})


async def until(condition, within_s=60):
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.02)


async def replaced(world, handle) -> None:
    """Replace the job's workflow, and wait until the new one follows the attempt that runs."""
    described = await handle.describe()
    found = Replayed(
        workflow_id=handle.id, run_id=described.run_id, kind="TrainingWorkflow", open=True, reason="a test"
    )
    await moving._replace(session(world), found)
    async with asyncio.timeout(60):
        while (await newest(world, handle).query("status"))["stage"] != "running":
            await asyncio.sleep(0.05)


def newest(world, handle):
    """The job's workflow, whichever run it is in."""
    return world.client.get_workflow_handle(handle.id)


def plan_of(history: WorkflowHistory) -> JobPlan:
    """What the validation told the workflow."""
    done = [event.activity_task_completed_event_attributes for event in history.events]
    return decode(next(each.result.payloads[0].data for each in done if each.result.payloads), JobPlan)


async def test_a_rewind_after_it_trains_anew(world):
    async with world.worker():
        row, handle = await world.submit(LOOP.replace("400", "60"))
        await until(lambda: len(world.points(row)) > 3)
        await replaced(world, handle)
        await newest(world, handle).result()
        assert [1] == [each["number"] for each in world.database.jobs.attempts(row.id)], "it was adopted"
        await restarting.start_again(session(world), row.id, "validated")
        await newest(world, handle).result()
    assert [1, 2] == [each["number"] for each in world.database.jobs.attempts(row.id)]
    assert world.database.jobs.get(row.id).status is JobStatus.SUCCEEDED


async def test_an_order_that_was_not_heeded_yet_is_heeded_after_it(world):
    async with world.worker():
        row, handle = await world.submit(LOOP)
        await until(lambda: len(world.points(row)) > 3)
        await world.tell(handle, row, "pause")
        assert "hears of it when it goes on" in await world.tell(handle, row, "stop_early")
        await replaced(world, handle)
        await world.tell(newest(world, handle), row, "resume")
        await newest(world, handle).result()
    log = "".join(text for _, _, text in world.database.progress.log(row.id))
    assert "ended after" in log
    assert "ended after 399" not in log
    assert [1] == [each["number"] for each in world.database.jobs.attempts(row.id)]


async def test_the_time_that_extend_gave_holds_after_it_but_not_after_a_retry(world):
    async with world.worker():
        row, handle = await world.submit(LOOP, timeout_s=3_600.0)
        await until(lambda: len(world.points(row)) > 3)
        await world.tell(handle, row, "extend", timeout_s=7_200.5)
        await replaced(world, handle)
        assert 7_200.5 == plan_of(await newest(world, handle).fetch_history()).timeout_s
        await newest(world, handle).cancel()
        await until(lambda: world.database.jobs.get(row.id).status.final)
        await restarting.start_again(session(world), row.id)
        await until(lambda: world.database.jobs.get(row.id).attempt == 2)
        assert 3_600.0 == plan_of(await newest(world, handle).fetch_history()).timeout_s
        await newest(world, handle).cancel()
        await until(lambda: world.database.jobs.get(row.id).status.final)
