"""TrainingWorkflow on a real server, with real processes."""

import asyncio
import json
import os
import signal

import pytest
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError

from mltemporal.launchers.keeper import start_mark
from mltemporal.specs.orders import NEWEST
from mltemporal.specs.results import RunOutput, TrainingResult
from mltemporal.specs.running import Command, JobStatus, WorkflowState
from mltemporal.storage.content import Storage
from mltemporal.workflows.activities.follower import Follower

COUNT = """
import time, mltemporal
for step in range(1, {steps} + 1):
    mltemporal.report(step=step, total={steps}, loss=1 / step)
    time.sleep({pause})
"""


async def until(condition, within_s=60):
    """Wait until ``condition()`` is true, and return what it gave."""
    async with asyncio.timeout(within_s):
        while not (found := condition()):
            await asyncio.sleep(0.02)
    return found


async def test_a_training_runs_and_each_report_is_recorded_once(world):
    async with world.worker():
        row, handle = await world.submit(COUNT.format(steps=50, pause=0))
        await handle.result()
        await world.keep(handle, "success")
    job = world.database.jobs.get(row.id)
    assert job.status is JobStatus.SUCCEEDED
    assert isinstance(job.result, TrainingResult)
    assert (job.result.attempts, job.attempt) == (1, 1)
    assert world.points(row) == [(1, step) for step in range(1, 51)]


async def test_a_failing_script_fails_at_once_with_its_own_traceback_first(world):
    async with world.worker():
        row, handle = await world.submit("def boom():\n    raise ValueError('the data is odd')\nboom()")
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        await world.keep(handle, "failure")
    job = world.database.jobs.get(row.id)
    assert (job.status, job.attempt) == (JobStatus.FAILED, 1)
    lines = job.error.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert "mltemporal" not in job.error.replace(str(world.folder), "")
    assert "ValueError: the data is odd" in lines


async def test_the_users_traceback_stays_out_of_the_workflow_history(world):
    async with world.worker():
        _, handle = await world.submit("raise ValueError('the password is swordfish')")
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        history = (await handle.fetch_history()).to_json()
    assert "swordfish" not in history


async def test_a_killed_training_starts_again_and_both_attempts_are_recorded(world):
    text = (
        "import json, os, signal, mltemporal\n"
        "attempt = json.loads(os.environ['MLTEMPORAL_JOB'])['attempt']\n"
        "mltemporal.report(step=attempt)\n"
        "if attempt == 1:\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    async with world.worker():
        row, handle = await world.submit(text)
        await handle.result()
        await world.keep(handle, "retry")
    job = world.database.jobs.get(row.id)
    assert job.status is JobStatus.SUCCEEDED
    assert job.result.attempts == 2
    assert world.points(row) == [(1, 1), (2, 2)]
    first, second = world.database.jobs.attempts(row.id)
    assert "SIGKILL" in first["reason"]
    assert (first["phase"], second["phase"]) == ("interrupted", "succeeded")


async def test_a_training_that_is_always_killed_fails_after_its_retries(world):
    async with world.worker():
        row, handle = await world.submit("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", retries=1)
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        await world.keep(handle, "retries-used-up")
    job = world.database.jobs.get(row.id)
    assert (job.status, job.attempt) == (JobStatus.FAILED, 2)
    assert "SIGKILL" in job.error


async def test_cancelling_lets_the_training_finish_its_words_and_leaves_a_record(world):
    text = (
        "import time, mltemporal\n"
        "try:\n    mltemporal.report(step=1)\n    time.sleep(600)\n"
        "finally:\n    mltemporal.report(step=2)\n    print('tidied', flush=True)\n"
    )
    async with world.worker():
        row, handle = await world.submit(text)
        await until(lambda: world.points(row))
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        await world.keep(handle, "cancel")
    job = world.database.jobs.get(row.id)
    assert job.status is JobStatus.CANCELLED
    assert world.points(row) == [(1, 1), (1, 2)]
    assert "tidied" in "".join(text for _, _, text in world.database.progress.log(row.id))


async def test_a_cancellation_outlives_the_worker_that_carried_it_out(world):
    text = (
        "import time, mltemporal\n"
        "try:\n    mltemporal.report(step=1)\n    time.sleep(600)\n"
        "finally:\n    time.sleep(2)\n    mltemporal.report(step=2)\n    print('tidied', flush=True)\n"
    )
    async with world.worker():
        row, handle = await world.submit(text)
        await until(lambda: world.points(row))
        await handle.cancel()
        await until(lambda: world.database.jobs.get(row.id).stage == "stopping")
    async with world.worker():
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    job = world.database.jobs.get(row.id)
    assert (job.status, job.attempt) == (JobStatus.CANCELLED, 1)
    assert world.points(row) == [(1, 1), (1, 2)]
    assert "tidied" in "".join(text for _, _, text in world.database.progress.log(row.id))


async def test_a_job_that_waits_in_the_queue_can_be_cancelled_and_not_paused(world):
    async with world.worker():
        busy = [await world.submit(COUNT.format(steps=100_000, pause=0.05)) for _ in range(2)]
        for row, _ in busy:
            await until(lambda row=row: world.points(row))
        row, handle = await world.submit("print('never')")
        await until(lambda: world.database.jobs.get(row.id).stage.startswith("waiting for a free slot"))
        assert world.database.jobs.get(row.id).status is JobStatus.QUEUED
        with pytest.raises(WorkflowUpdateFailedError) as caught:
            await handle.execute_update("command", Command(job_id=row.id, verb="pause", by="me@here"))
        assert "cannot pause a job that is queued" in str(caught.value.cause.cause)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        assert world.database.jobs.get(row.id).status is JobStatus.CANCELLED
        for _, other in busy:
            await other.cancel()
        await asyncio.gather(*(other.result() for _, other in busy), return_exceptions=True)


async def test_a_job_whose_time_is_over_is_stopped_and_says_so(world):
    async with world.worker():
        row, handle = await world.submit(COUNT.format(steps=100_000, pause=0.05), timeout_s=3.0)
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        await world.keep(handle, "timeout")
    job = world.database.jobs.get(row.id)
    assert job.status is JobStatus.FAILED
    assert "the job's time was over" in job.error
    assert "timeout=" in job.error


async def test_a_paused_training_stands_still_until_it_is_resumed(world):
    async with world.worker():
        row, handle = await world.submit(COUNT.format(steps=250, pause=0.02))
        await until(lambda: len(world.points(row)) > 5)
        await handle.execute_update("command", Command(job_id=row.id, verb="pause", by="me@here"))
        await until(lambda: world.database.jobs.get(row.id).status is JobStatus.PAUSED)
        await handle.execute_update("command", Command(job_id=row.id, verb="resume", by="me@here"))
        await handle.result()
        await world.keep(handle, "pause")
    assert world.points(row) == [(1, step) for step in range(1, 251)]
    commands = [(e.message, e.created_by) for e in world.database.jobs.events(row.id) if e.kind == "command"]
    assert commands == [("pause", "me@here"), ("resume", "me@here")]


async def test_a_command_to_a_job_that_does_not_run_is_refused(world):
    row, handle = await world.submit("print('hello')")
    async with world.worker():
        await handle.result()
        with pytest.raises(Exception, match="completed|not found|closed"):
            await handle.execute_update("command", Command(job_id=row.id, verb="pause", by="me"))


async def test_the_status_query_says_stage_and_attempt(world):
    async with world.worker():
        row, handle = await world.submit(COUNT.format(steps=100_000, pause=0.05))
        await until(lambda: world.points(row))
        state = await handle.query("status", result_type=WorkflowState)
        assert state == WorkflowState(stage="running", attempt=1)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()


async def test_the_next_worker_goes_on_following_the_same_process(world):
    async with world.worker():
        row, handle = await world.submit(COUNT.format(steps=60, pause=0.05))
        await until(lambda: len(world.points(row)) > 5)
    folder = next((world.settings.home / "jobs").glob("*/process.json"))
    before = folder.read_text()
    await asyncio.sleep(0.3)  # the training goes on with nobody following
    assert folder.read_text() == before
    async with world.worker():
        await handle.result()
    assert world.database.jobs.get(row.id).result.attempts == 1
    assert world.points(row) == [(1, step) for step in range(1, 61)]


async def test_a_vanished_dataset_fails_before_a_process_starts(world):
    row, handle = await world.submit("print('never')")
    for stored in (world.folder / "home/storage/objects").glob("*/*"):
        stored.unlink()
    async with world.worker():
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        await world.keep(handle, "invalid")
    job = world.database.jobs.get(row.id)
    assert (job.status, job.attempt) == (JobStatus.FAILED, 0)
    assert "is not in storage" in job.error or "dataset" in job.error


async def test_the_history_does_not_grow_with_the_length_of_the_training(world):
    async with world.worker():
        _, short = await world.submit(COUNT.format(steps=5, pause=0))
        _, long = await world.submit(COUNT.format(steps=1000, pause=0.005))
        await asyncio.gather(short.result(), long.result())
        lengths = [len((await handle.fetch_history()).events) for handle in (short, long)]
    assert lengths[0] == lengths[1]


async def test_metrics_of_a_program_that_cannot_be_changed_are_found_by_patterns(world):
    async with world.worker():
        row, handle = await world.submit(
            "for i in (3, 2, 1):\n    print(f'epoch loss={i / 2} done')",
            script={"metrics": {"loss": r"loss=(\S+)"}},
        )
        await handle.result()
    losses = [point.metrics["loss"] for _, point in world.database.progress.points(row.id)]
    assert losses == [1.5, 1.0, 0.5]


async def test_cancelling_during_the_clean_up_does_not_cut_it_short(world):
    text = (
        "import time\ntry:\n    print('up', flush=True)\n    time.sleep(600)\nfinally:\n    time.sleep(1)\n"
    )
    async with world.worker():
        row, handle = await world.submit(text)
        await until(lambda: world.database.progress.log(row.id))
        process = next((world.settings.home / "jobs").glob("*/process.json"))
        await handle.cancel()
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        await world.keep(handle, "cancel-twice")
    assert not process.exists()
    assert world.database.jobs.get(row.id).status is JobStatus.CANCELLED


async def test_killing_keeper_and_training_together_is_an_interruption(world):
    async with world.worker():
        row, handle = await world.submit(COUNT.format(steps=100_000, pause=0.05), retries=0)
        await until(lambda: world.points(row))
        process = json.loads(next((world.settings.home / "jobs").glob("*/process.json")).read_text())
        for role in ("keeper", "training"):
            os.kill(process[role][0], signal.SIGKILL)
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    assert start_mark(process["training"][0]) is None
    assert "its process is gone" in world.database.jobs.get(row.id).error


async def test_an_artifact_is_there_though_the_output_that_tells_of_it_was_lost(world, monkeypatch):
    """As where a pod is deleted right after the job's end: the note of its result tells of it too."""
    monkeypatch.setattr(Follower, "_take", lambda *_: True)
    async with world.worker():
        row, handle = await world.submit(
            "from mltemporal import log_artifact\nlog_artifact('kept', name='a.txt')"
        )
        await handle.result()
    (kept,) = world.database.progress.artifacts(row.id)
    assert ("a.txt", b"kept") == (kept.name, world.storage.get_bytes(kept.object))


async def test_a_result_that_comes_while_its_attempt_is_given_up_is_the_jobs_only_one(world, monkeypatch):
    """As of a pod on a node that was taken for lost: it ends well in that very moment."""
    put = Storage.put_note

    def put_note(self, key, name, value):
        if name == NEWEST:
            put(self, key, "1/output", RunOutput(metrics={"late": 1.0}))
        put(self, key, name, value)

    monkeypatch.setattr(Storage, "put_note", put_note)
    async with world.worker():
        row, handle = await world.submit(COUNT.format(steps=10_000, pause=0.05))
        await until(lambda: world.points(row))
        world.process(row).kill()
        await handle.result()
    job = world.database.jobs.get(row.id)
    assert (JobStatus.SUCCEEDED, 1, {"late": 1.0}) == (job.status, job.attempt, job.result.metrics)
    assert 2 == world.storage.get_note(row.key, NEWEST, int)
