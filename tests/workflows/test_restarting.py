"""Ended jobs start again under the same identity: as they were, or from a recorded stage; in races, once."""

import asyncio
from contextlib import suppress

import pytest
from temporalio.client import WorkflowFailureError

from mltemporal import restarting
from mltemporal.errors import InvalidRequest
from mltemporal.launchers.local import LocalLauncher
from mltemporal.monitoring.surroundings import WorkersSession
from mltemporal.rewinding import holding, rewinds_of
from mltemporal.specs.running import JobStatus

LOOP = """
import mltemporal
from mltemporal import checkpoint
state = checkpoint.load() or {"steps": []}
print("began with", len(state["steps"]), flush=True)
for step in mltemporal.track(range(10)):
    mltemporal.report(loss=1.0)
    state["steps"].append(step)
    checkpoint.save(state)
print("ended with", state["steps"], flush=True)
"""
FAILS = LOOP.replace("    mltemporal.report(loss=1.0)", "    mltemporal.report(loss=1 / (5 - step))")


def session(world) -> WorkersSession:
    launcher = LocalLauncher(world.settings.home, world.settings.storage_url, 2, world.database.id)
    return WorkersSession(world.settings, world.client, world.database, {"local": launcher})


def log_of(world, row, attempt) -> str:
    return "".join(text for _, number, text in world.database.progress.log(row.id) if number == attempt)


async def ended(world, row) -> JobStatus:
    with suppress(WorkflowFailureError):  # how it ended, the record says
        await world.client.get_workflow_handle(row.workflow_id).result()
    return world.database.jobs.get(row.id).status


def steps(world, row) -> list[tuple[int, int | None]]:
    points = [point for _, point in world.database.progress.points(row.id)]
    held = holding(points, rewinds_of(world.database.jobs.events(row.id)))
    return [(point.attempt, point.step) for point in held if "loss" in point.metrics]


async def test_a_retry_goes_on_after_the_step_of_the_last_checkpoint(world):
    async with world.worker():
        row, _ = await world.submit(FAILS)
        assert await ended(world, row) is JobStatus.FAILED
        await restarting.start_again(session(world), row.id)
        assert await ended(world, row) is JobStatus.FAILED
    assert "began with 5" in log_of(world, row, 2)
    assert [(1, step) for step in range(5)] == steps(world, row)
    assert [("retry")] == [what for what, _ in world.commands(row)]


async def test_a_rewind_to_the_validation_trains_anew_and_keeps_what_came_before(world):
    async with world.worker():
        row, _ = await world.submit(LOOP)
        assert await ended(world, row) is JobStatus.SUCCEEDED
        await restarting.start_again(session(world), row.id, "validated")
        assert await ended(world, row) is JobStatus.SUCCEEDED
        await world.keep(world.client.get_workflow_handle(row.workflow_id), "rewind")
    assert "began with 0" in log_of(world, row, 2)
    assert "ended with [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]" in log_of(world, row, 2)
    assert "ended with" in log_of(world, row, 1), "the first attempt's log stays"
    assert [(2, step) for step in range(10)] == steps(world, row)
    stages = [event.message for event in world.database.jobs.events(row.id) if event.kind == "stage"]
    assert 1 == stages.count("validating"), "the validation stands"


async def test_a_rewind_to_a_checkpoint_goes_on_there_and_the_curve_joins(world):
    async with world.worker():
        row, _ = await world.submit(LOOP, checkpoints_kept=4)
        assert await ended(world, row) is JobStatus.SUCCEEDED
        with pytest.raises(InvalidRequest) as caught:
            await restarting.start_again(session(world), row.id, 3)
        assert "has no stage 3 to go back to" in caught.value.what
        assert "there are: 'validated', 7, 8, 9, 10" == caught.value.next_step
        with pytest.raises(InvalidRequest, match="did you mean 8\\? there are: 'validated', 7"):
            await restarting.start_again(session(world), row.id, "8")
        await restarting.start_again(session(world), row.id, 8)
        assert [(1, step) for step in range(9)] == steps(world, row)[:9], "what came after is undone at once"
        assert await ended(world, row) is JobStatus.SUCCEEDED
    assert "began with 8" in log_of(world, row, 2)
    assert "ended with [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]" in log_of(world, row, 2)
    assert [(1, step) for step in range(8)] + [(2, 8), (2, 9)] == steps(world, row)
    refusals = [what for what, _ in world.commands(row)]
    assert [
        f"rewind to step 3 refused: job {row.id} has no stage 3 to go back to",
        f"rewind to '8' refused: job {row.id} has no stage '8' to go back to",
        "rewind to step 8",
    ] == refusals


async def test_a_live_job_is_not_rewound_and_a_succeeded_one_not_retried(world):
    async with world.worker():
        row, handle = await world.submit("import time; time.sleep(600)")
        with pytest.raises(InvalidRequest, match="cancel it first"):
            await restarting.start_again(session(world), row.id, "validated")
        await handle.cancel()
        await ended(world, row)
        done, _ = await world.submit("print('done')")
        await ended(world, done)
        with pytest.raises(InvalidRequest, match="cannot retry a job that is succeeded"):
            await restarting.start_again(session(world), done.id)


async def test_of_two_retries_at_once_one_starts_the_job(world):
    async with world.worker():
        row, _ = await world.submit(FAILS)
        await ended(world, row)
        tries = await asyncio.gather(
            *(restarting.start_again(session(world), row.id) for _ in range(4)), return_exceptions=True
        )
        await ended(world, row)
    assert 1 == tries.count(None)
    assert all(isinstance(each, InvalidRequest) for each in tries if each is not None)
    assert 2 == world.database.jobs.get(row.id).attempt
    assert 1 == [what for what, _ in world.commands(row)].count("retry")


async def test_where_the_workflow_cannot_be_started_the_job_is_as_it_was(world, monkeypatch):
    async with world.worker():
        row, _ = await world.submit(LOOP)
        await ended(world, row)
    before = world.database.jobs.get(row.id)
    curve = steps(world, row)

    async def broken(*_, **__):
        raise InvalidRequest("no")

    monkeypatch.setattr(restarting, "start", broken)
    with pytest.raises(InvalidRequest, match="no"):
        await restarting.start_again(session(world), row.id, "validated")
    now = world.database.jobs.get(row.id)
    assert (before.status, before.result) == (now.status, now.result)
    assert curve == steps(world, row), "the rewind has come to nothing"
