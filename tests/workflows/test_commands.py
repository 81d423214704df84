"""Commands to a running job: carried out once, answered, recorded with who gave them; or refused with why."""

import asyncio
import sqlite3
import uuid
from dataclasses import replace

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError

from mltemporal.specs.encoding import encode
from mltemporal.specs.orders import Extended
from mltemporal.specs.running import Carried, JobStatus

LOOP = """
import time, mltemporal
from mltemporal import checkpoint
state = checkpoint.load() or {"steps": []}
checkpoint.on_stop(lambda: state)
for step in mltemporal.track(range(400)):
    state["steps"].append(step)
    mltemporal.report(lr=float(mltemporal.params["lr"]))
    time.sleep(0.05)
print("steps", len(state["steps"]), state["steps"] == list(range(len(state["steps"]))), flush=True)
"""


async def until(condition, within_s=60):
    async with asyncio.timeout(within_s):
        while not (found := condition()):
            await asyncio.sleep(0.02)
    return found


def refused(world, answer):
    """Expect a command to be refused with these words."""
    return pytest.raises(Exception, match=answer)


def log_of(world, row) -> str:
    return "".join(text for _, _, text in world.database.progress.log(row.id))


def rates(world, row) -> list[float]:
    points = [point for _, point in world.database.progress.points(row.id)]
    return [point.metrics["lr"] for point in points if "lr" in point.metrics]


async def running(world, text=LOOP, **fields):
    row, handle = await world.submit(text, **{"params": {"lr": 0.1}, **fields})
    await until(lambda: len(world.points(row)) > 3)
    return row, handle


async def test_values_that_are_set_are_seen_at_the_next_step_and_by_the_next_attempt(world):
    async with world.worker():
        row, handle = await running(world)
        answer = await world.tell(handle, row, "set", params_json=encode({"lr": 0.5}))
        assert "the training has lr=0.5 since step" in answer
        await until(lambda: rates(world, row)[-1] == 0.5)
        with refused(world, "has no parameter 'lrr'"):
            await world.tell(handle, row, "set", params_json=encode({"lrr": 1}))
        process = world.process(row)
        process.kill()
        await until(lambda: any(attempt == 2 and step for attempt, step in world.points(row)))
        assert rates(world, row)[-1] == 0.5
        notes = [(e.attempt, e.message) for e in world.database.jobs.events(row.id) if e.kind == "note"]
        assert (2, "it begins with lr=0.5, as set before") in notes
        await world.tell(handle, row, "stop_early")
        await handle.result()
        await world.keep(handle, "set")
    assert [
        ("set lr=0.5", "me@here, test, process 7"),
        ("set lrr=1 refused: the training has no parameter 'lrr'", "me@here, test, process 7"),
        ("stop_early", "me@here, test, process 7"),
    ] == world.commands(row)


async def test_a_paused_training_whose_process_is_lost_is_paused_again(world):
    async with world.worker():
        row, handle = await running(world)
        await world.tell(handle, row, "pause")
        world.process(row).kill()
        await until(lambda: (job := world.database.jobs.get(row.id)).attempt == 2 and job.status == "paused")
        notes = [e.message for e in world.database.jobs.events(row.id) if e.kind == "note"]
        assert any(note.startswith("it was paused when its process was lost") for note in notes)
    async with world.worker():  # another worker leaves it so
        await until(lambda: world.database.jobs.get(row.id).status == "paused")
        assert "it goes on" == await world.tell(handle, row, "resume")
        await until(lambda: any(attempt == 2 and step for attempt, step in world.points(row)))
        await world.tell(handle, row, "stop_early")
        await handle.result()
    assert (JobStatus.SUCCEEDED, 2) == ((job := world.database.jobs.get(row.id)).status, job.attempt)


async def test_stopped_early_a_training_succeeds_with_what_it_has(world):
    async with world.worker():
        row, handle = await running(world)
        assert "asked: it ends at the next item" in await world.tell(handle, row, "stop_early")
        await handle.result()
        await world.keep(handle, "stop-early")
    assert world.database.jobs.get(row.id).status is JobStatus.SUCCEEDED
    notes = [event.message for event in world.database.jobs.events(row.id) if event.kind == "note"]
    assert any(note.startswith("it ended early at step") and "me@here" in note for note in notes)
    steps = max(step for _, step in world.points(row))
    assert 3 < steps < 400
    assert f"steps {steps} True" in log_of(world, row)


async def test_a_checkpoint_is_saved_when_it_is_asked_for_and_before_a_pause(world):
    async with world.worker():
        row, handle = await running(world)
        answer = await world.tell(handle, row, "checkpoint_now")
        assert answer.startswith("a checkpoint was saved at step")
        assert "paused; a checkpoint was saved at step" in await world.tell(handle, row, "pause")
        assert "it is paused, and hears of it when it goes on" in await world.tell(
            handle, row, "set", params_json=encode({"lr": 2})
        )
        await until(lambda: world.database.jobs.get(row.id).status is JobStatus.PAUSED)
        assert "it goes on" == await world.tell(handle, row, "resume")
        await until(lambda: rates(world, row)[-1] == 2)
        await world.tell(handle, row, "stop_early")
        await handle.result()
        await world.keep(handle, "checkpoint-now")
    assert world.database.jobs.get(row.id).attempt == 1


async def test_a_job_that_is_asked_to_end_saves_the_state_of_whole_steps_first(world):
    async with world.worker():
        row, handle = await running(world)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    (saved,) = world.storage.get_note(row.key, "checkpoints", list[dict])
    assert saved["done"] == max(step for _, step in world.points(row))


async def test_a_job_is_given_more_time_and_less_than_was_used_is_refused(world):
    async with world.worker():
        row, handle = await running(world, LOOP.replace("400", "300"), timeout_s=10.0)
        with refused(world, "1 s is less than the"):
            await until(lambda: len(world.points(row)) > 25)
            await world.tell(handle, row, "extend", timeout_s=1.0)
        with refused(world, "is more than the 365 d 0 h that it may take at most"):
            await world.tell(handle, row, "extend", timeout_s=1e9)
        assert "it may take 1 min 0 s in all" == await world.tell(handle, row, "extend", timeout_s=60.0)
        await handle.result()
        await world.keep(handle, "extend")
    assert world.database.jobs.get(row.id).status is JobStatus.SUCCEEDED
    assert [("extend to 1 min 0 s", "me@here, test, process 7")] == world.commands(row)


async def test_time_holds_from_the_moment_in_which_it_is_given(world):
    async with world.worker():
        row, handle = await running(world, timeout_s=10.0)
        over = asyncio.create_task(asyncio.sleep(10.0))
        held = sqlite3.connect(world.settings.home / "mltemporal.db", isolation_level=None)
        held.execute("BEGIN IMMEDIATE")  # so that the command is carried out, and cannot be recorded yet
        given = asyncio.create_task(world.tell(handle, row, "extend", timeout_s=60.0))
        await until(lambda: world.storage.get_note(row.key, "extended", Extended))
        await over
        held.execute("ROLLBACK")
        held.close()
        assert "it may take 1 min 0 s in all" == await given
        await world.tell(handle, row, "stop_early")
        await handle.result()
    assert ["extend to 1 min 0 s", "stop_early"] == [what for what, _ in world.commands(row)]


async def test_a_job_whose_time_is_over_is_given_no_more(world):
    text = f"""
import os, time, mltemporal
mltemporal.report(step=1)
try:
    time.sleep(600)
finally:
    open({str(world.folder / "asked-to-end")!r}, "w").close()
    while not os.path.exists({str(world.folder / "go")!r}):
        time.sleep(0.05)
"""
    async with world.worker():
        row, handle = await world.submit(text, timeout_s=3.0, grace_s=60.0)
        await until((world.folder / "asked-to-end").exists)
        with refused(world, "cannot extend a job whose time is over"):
            await world.tell(handle, row, "extend", timeout_s=60.0)
        (world.folder / "go").touch()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    assert "the job's time was over" == world.database.jobs.get(row.id).error.splitlines()[0]


async def test_time_that_is_taken_away_ends_the_job(world):
    async with world.worker():
        row, handle = await running(world)
        used = len(world.points(row))
        await world.tell(handle, row, "extend", timeout_s=5.0)
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        await world.keep(handle, "shortened")
    job = world.database.jobs.get(row.id)
    assert (job.status, job.error.splitlines()[0]) == (JobStatus.FAILED, "the job's time was over")
    assert used < len(world.points(row))
    (attempt,) = world.database.jobs.attempts(row.id)
    assert (attempt["phase"], attempt["reason"]) == ("failed", "the job's time was over")


async def test_a_command_is_carried_out_once_and_only_for_the_workflows_own_job(world):
    async with world.worker():
        row, handle = await running(world)
        known = uuid.uuid4().hex
        await world.tell(handle, row, "pause", id=known)
        with refused(world, "was given before, and is carried out once"):
            await world.tell(handle, row, "pause", id=known)
        with refused(world, f"is for job 4711, and this is job {row.id}"):
            await world.tell(handle, row, "pause", job_id=4711)
        with refused(world, "there is no command 'explode'"):
            await world.tell(handle, row, "explode")
        await world.tell(handle, row, "resume")
        await world.tell(handle, row, "stop_early")
        await handle.result()
    assert ["pause", "resume", "stop_early"] == [what for what, _ in world.commands(row)]


async def test_commands_that_are_given_at_once_are_carried_out_one_after_the_other(world):
    async with world.worker():
        row, handle = await running(world)
        answers = await asyncio.gather(
            *(world.tell(handle, row, "set", params_json=encode({"lr": lr})) for lr in range(5))
        )
        assert 5 == len(answers)
        last = world.storage.get_note(row.key, "orders", dict)["params"]["lr"]
        await until(lambda: rates(world, row)[-1] == last)
        await world.tell(handle, row, "stop_early")
        await handle.result()
    assert 6 == len(world.commands(row))


async def test_a_long_life_goes_on_in_another_run_with_its_deadline_and_its_commands(world):
    text = LOOP.replace("400", "40")
    async with world.worker():
        row, handle = await running(world, text, carried=Carried(most_attempts=1), retries=3)
        known = uuid.uuid4().hex
        await world.tell(handle, row, "extend", timeout_s=3000.0, id=known)
        first = (await handle.describe()).run_id
        world.process(row).kill()
        await until(lambda: any(attempt == 2 and step for attempt, step in world.points(row)))
        now = world.client.get_workflow_handle(row.workflow_id)
        second = (await now.describe()).run_id
        assert first != second
        with refused(world, "was given before"):
            await world.tell(now, row, "extend", timeout_s=3000.0, id=known)
        await now.result()
        await world.keep(world.client.get_workflow_handle(row.workflow_id, run_id=first), "continue-as-new")
        await world.keep(world.client.get_workflow_handle(row.workflow_id, run_id=second), "continued")
    job = world.database.jobs.get(row.id)
    assert (job.status, job.attempt) == (JobStatus.SUCCEEDED, 2)
    assert "validating" == next(e.message for e in world.database.jobs.events(row.id) if e.kind == "stage")
    carried = await _carried(world, row, second)
    assert (carried.attempt, carried.deadline - carried.began) == (2, 3000.0)


async def _carried(world, row, run_id) -> Carried:
    events = (await world.client.get_workflow_handle(row.workflow_id, run_id=run_id).fetch_history()).events
    arguments = events[0].workflow_execution_started_event_attributes.input.payloads
    values = await world.client.data_converter.decode(arguments, [int, Carried])
    return values[1]


async def test_what_a_history_cannot_take_is_refused_in_words_and_cancelling_still_works(world):
    async with world.worker():
        row, handle = await running(world, carried=Carried(most_commands=2))
        for _ in range(2):
            await world.tell(handle, row, "checkpoint_now")
        with refused(world, "as much as this attempt can take; cancel still works"):
            await world.tell(handle, row, "checkpoint_now")
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    assert world.database.jobs.get(row.id).status is JobStatus.CANCELLED


async def test_a_repeated_workflow_of_an_ended_job_does_nothing(world):
    async with world.worker():
        row, handle = await world.submit("print('hello')")
        await handle.result()
        ended, events = world.database.jobs.get(row.id), world.database.jobs.events(row.id)
        again = await world.client.start_workflow(
            "TrainingWorkflow", row.id, id=row.workflow_id, task_queue=f"mltemporal-{world.database.id}"
        )
        with pytest.raises(WorkflowFailureError) as caught:
            await again.result()
        assert "has ended as succeeded" in str(caught.value.cause.cause)
        assert (ended, events) == (world.database.jobs.get(row.id), world.database.jobs.events(row.id))
        kinds = [event.event_type for event in (await again.fetch_history()).events]
        assert 1 == kinds.count(10), "one activity was scheduled, and it refused"
        await world.keep(again, "disowned")


async def test_a_workflow_that_is_not_the_jobs_own_does_nothing_to_it(world):
    async with world.worker():
        row, handle = await running(world)
        forged = await world.client.start_workflow(
            "TrainingWorkflow",
            row.id,
            id=f"forged-{uuid.uuid4().hex[:8]}",
            task_queue=f"mltemporal-{world.database.id}",
        )
        with pytest.raises(WorkflowFailureError) as caught:
            await forged.result()
        assert f"job {row.id} is not the job of workflow" in str(caught.value.cause.cause)
        seen = len(world.points(row))
        await until(lambda: len(world.points(row)) > seen)
        assert WorkflowExecutionStatus.RUNNING == (await handle.describe()).status
        await world.tell(handle, row, "stop_early")
        await handle.result()


async def test_an_estimator_hears_of_nothing_that_its_fit_could_not_do(world):
    from sklearn.dummy import DummyClassifier

    from mltemporal.code.capturing import capture

    class Slow(DummyClassifier):
        def fit(self, X, y):  # noqa: N803
            import time

            time.sleep(600)

    row = world.record("")
    spec = replace(row.spec, trainer=capture(Slow()).store(world.storage), target="a")
    world.storage.put_note(row.key, "spec", spec)
    async with world.worker():
        handle = await world.client.start_workflow(
            "TrainingWorkflow", row.id, id=row.workflow_id, task_queue=f"mltemporal-{world.database.id}"
        )
        await until(lambda: world.database.jobs.get(row.id).stage == "training")
        with refused(world, "cannot set a training by"):
            await world.tell(handle, row, "set", params_json=encode({"lr": 1}))
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
