"""Every worker sees to it that the status a person reads is the truth, though nobody called ``monitor``."""

import asyncio
from contextlib import asynccontextmanager, suppress

import sqlalchemy as sa
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError

from mltemporal.database import tables
from mltemporal.launchers.local import LocalLauncher
from mltemporal.monitoring.surroundings import WorkersSession
from mltemporal.monitoring.tending import GRACE_S, tend
from mltemporal.specs.running import JobStatus
from mltemporal.watching import Pulse


async def until(condition, within_s=60):
    async with asyncio.timeout(within_s):
        while not (found := condition()):
            await asyncio.sleep(0.02)
    return found


def session(world) -> WorkersSession:
    launcher = LocalLauncher(world.settings.home, world.settings.storage_url, 2, world.database.id)
    return WorkersSession(world.settings, world.client, world.database, {"local": launcher})


SAYS_GOODBYE = """
import signal, time
def end(*_):
    print("goodbye", flush=True)
    raise SystemExit(1)
signal.signal(signal.SIGTERM, end)
print("up", flush=True)
time.sleep(600)
"""


@asynccontextmanager
async def tending(world):
    """What a worker sees to beside its work."""
    task = asyncio.create_task(tend(session(world), world.storage, every_s=0.2))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def tended(world):
    """A worker, and what it sees to beside its work."""
    async with world.worker(), tending(world):
        yield


async def stopped(world) -> None:
    """Stop what is left, where a test is not about that."""
    async with tending(world):
        await until(lambda: not list(world.settings.home.glob("jobs/*/order.json")))


def age(world, row, by_s: float = GRACE_S) -> None:
    """Have everything that happened to the job have happened before the grace."""
    with world.database.writing() as connection:
        for table, column, of in (
            (tables.jobs, "created_at", tables.jobs.c.id),
            (tables.events, "time", tables.events.c.job_id),
        ):
            older = {column: table.c[column] - by_s}
            connection.execute(sa.update(table).where(of == row.id).values(older))


async def test_a_launch_that_was_cut_off_after_the_row_is_completed(world):
    row = world.record("print('hello')")
    age(world, row)
    async with tended(world):
        await until(lambda: world.database.jobs.get(row.id).status is JobStatus.SUCCEEDED)
    notes = [event.message for event in world.database.jobs.events(row.id) if event.kind == "note"]
    assert ["a worker: its workflow had not been started, and was started now"] == notes


async def test_a_retry_that_was_cut_off_after_the_row_is_completed(world):
    async with world.worker():
        row, handle = await world.submit("raise ValueError('no')")
        with suppress(WorkflowFailureError):
            await handle.result()
    launcher = LocalLauncher(world.settings.home, world.settings.storage_url, 2)
    launcher.prepare(row.key)
    assert world.database.jobs.reopen(row.id, by="me")
    async with tended(world):  # what is younger than the grace may be in the middle of it
        await until(lambda: world.database.jobs.get(row.id).attempt == 2)
        await until(lambda: world.database.jobs.get(row.id).status is JobStatus.FAILED)


async def test_a_job_whose_workflow_was_terminated_is_said_to_have_failed(world):
    async with tended(world):
        row, handle = await world.submit("print('up', flush=True)\nimport time\ntime.sleep(600)")
        await until(lambda: world.database.progress.log(row.id))
        await handle.terminate("by an administrator")
        await until(lambda: world.database.jobs.get(row.id).status is JobStatus.FAILED)
    assert "was terminated in Temporal" in world.database.jobs.get(row.id).error
    await stopped(world)


async def test_the_process_of_a_job_whose_workflow_was_terminated_is_stopped_and_its_last_words_are_kept(
    world,
):
    async with tended(world), tending(world):  # two workers at once do no harm
        row, handle = await world.submit(SAYS_GOODBYE)
        await until(lambda: world.database.progress.log(row.id))
        await handle.terminate("by an administrator")
        await until(lambda: world.database.jobs.get(row.id).status is JobStatus.FAILED)
        await until(lambda: not world.process(row).exists)
    said = "".join(text for _, _, text in world.database.progress.log(row.id))
    assert said.startswith("up\ngoodbye\n")
    (attempt,) = world.database.jobs.attempts(row.id)
    assert attempt["finished_at"] is not None
    assert "was terminated in Temporal" in attempt["reason"]


async def test_what_starts_for_a_job_that_is_live_again_is_not_stopped(world):
    async with tended(world):
        row, handle = await world.submit("raise ValueError('no')", retries=0)
        with suppress(WorkflowFailureError):
            await handle.result()
        age(world, row)
        launcher = LocalLauncher(world.settings.home, world.settings.storage_url, 2, world.database.id)
        launcher.prepare(row.key)
        assert world.database.jobs.reopen(row.id, by="me", told="retry")
        await until(lambda: world.database.jobs.get(row.id).status is JobStatus.FAILED)
    assert 2 == world.database.jobs.get(row.id).attempt
    assert "ValueError: no" in world.database.jobs.get(row.id).error


async def test_a_workflow_whose_job_has_ended_ends_with_its_process(world):
    async with tended(world):
        row, handle = await world.submit("print('up', flush=True)\nimport time\ntime.sleep(600)")
        await until(lambda: world.database.progress.log(row.id))
        world.database.jobs.finish(row.id, JobStatus.FAILED, error="the first word")
        with suppress(WorkflowFailureError):
            await handle.result()
        assert WorkflowExecutionStatus.RUNNING != (await handle.describe()).status
    assert "the first word" == world.database.jobs.get(row.id).error
    assert not world.process(row).exists


async def test_whoever_waits_for_a_job_whose_launch_was_cut_off_starts_it(world, monkeypatch):
    monkeypatch.setattr("mltemporal.watching._OWNER_CHECK_S", 0.0)
    row = world.record("print('hello')")
    pulse = Pulse(session(world), row.id)
    async with world.worker(), asyncio.timeout(60):
        while not world.database.jobs.get(row.id).status.final:
            await pulse.beat()
    assert world.database.jobs.get(row.id).status is JobStatus.SUCCEEDED
