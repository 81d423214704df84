"""Each thing that a crash may leave, made to happen, seen and mended; nothing else is touched."""

import asyncio
import os
import time
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from services.kubernetes import IMAGE, standin  # noqa: F401
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError

from mltemporal.database import tables
from mltemporal.launchers.kubernetes.launcher import KubernetesLauncher
from mltemporal.launchers.local import KernelContext, LocalLauncher
from mltemporal.monitoring.deeds import Deeds
from mltemporal.monitoring.mending import START_WITHIN_S, Mender
from mltemporal.monitoring.ownerless import asked_again, gone
from mltemporal.monitoring.surroundings import WorkersSession
from mltemporal.runtime.checkpoint import Checkpoint
from mltemporal.settings import ClusterSettings
from mltemporal.specs.data import DatasetRef
from mltemporal.specs.request import JobSpec, PodOptions, TrainerRef
from mltemporal.specs.running import JobStatus

HANG = "import time\nprint('up', flush=True)\ntime.sleep(600)"


async def until(condition, within_s=60):
    async with asyncio.timeout(within_s):
        while not (found := condition()):
            await asyncio.sleep(0.02)
    return found


def local(world, owner=None) -> LocalLauncher:
    return LocalLauncher(world.settings.home, world.settings.storage_url, 2, owner or world.database.id)


def mender(world, grace_s=0.0, **launchers) -> Mender:
    session = WorkersSession(
        world.settings, world.client, world.database, {"local": local(world), **launchers}
    )
    return Mender(session, world.storage, grace_s=grace_s)


def mended(deeds: Deeds) -> list[str]:
    assert [] == deeds.failed
    return deeds.done


def change(world, row, **values) -> None:
    """Change a job's row behind the record's back."""
    with world.database.writing() as connection:
        connection.execute(sa.update(tables.jobs).where(tables.jobs.c.id == row.id).values(values))


async def runs_until_terminated(world, row) -> None:
    """See that the job's workflow runs, and put away what the job would have put away."""
    handle = world.client.get_workflow_handle(row.workflow_id)
    assert WorkflowExecutionStatus.RUNNING == (await handle.describe()).status
    await handle.terminate()
    await local(world).forget(row.key)


def age(world, row, seconds: float) -> None:
    """Have everything that happened to the job have happened so long ago."""
    with world.database.writing() as connection:
        connection.execute(
            sa.update(tables.jobs)
            .where(tables.jobs.c.id == row.id)
            .values(created_at=tables.jobs.c.created_at - seconds)
        )
        connection.execute(
            sa.update(tables.events)
            .where(tables.events.c.job_id == row.id)
            .values(time=tables.events.c.time - seconds)
        )


async def test_a_job_whose_kernel_died_before_its_workflow_began_is_started(world):
    row = world.record("print('hello')")
    assert [] == mended(await mender(world, grace_s=60.0).mend()), "it is just being launched"
    assert [f"job {row.id}: its workflow had not been started, and was started now"] == (
        mended(await mender(world).mend())
    )
    assert [] == mended(await mender(world).mend())
    await runs_until_terminated(world, row)


async def test_a_job_that_was_asked_for_long_ago_is_ended_rather_than_started(world):
    row = world.record("print('hello')")
    age(world, row, START_WITHIN_S + 10)
    assert [f"job {row.id}: its workflow was never started, so the job was recorded as failed"] == (
        mended(await mender(world).mend())
    )
    job = world.database.jobs.get(row.id)
    assert (JobStatus.FAILED, "its workflow was never started") == (job.status, job.error.splitlines()[0])


async def test_a_job_that_only_seems_old_since_a_clock_was_set_is_watched_before_it_is_ended(world):
    row = world.record("print('hello')")
    age(world, row, START_WITHIN_S + 10)
    parts = WorkersSession(world.settings, world.client, world.database, {"local": local(world)})
    mender = Mender(parts, world.storage, grace_s=0.0, watched_s=0.5)
    assert [] == mended(await mender.mend()), "its kernel may be just about to start it"
    assert JobStatus.QUEUED == world.database.jobs.get(row.id).status
    await asyncio.sleep(0.5)
    assert [f"job {row.id}: its workflow was never started, so the job was recorded as failed"] == (
        mended(await mender.mend())
    )


async def test_a_local_job_of_another_home_is_left_to_that_home(world):
    row = world.record("print('hello')")
    await local(world).forget(row.key)  # what the other home's kernel kept is not here
    assert [] == mended(await mender(world).mend())
    assert world.database.jobs.get(row.id).status is JobStatus.QUEUED


async def test_a_job_whose_workflow_was_terminated_is_ended(world):
    row, handle = await world.submit(HANG)
    await handle.terminate("by an administrator")
    assert [] == mended(await mender(world, grace_s=60.0).mend())
    deeds = await mender(world).mend()
    assert [row.id] == deeds.ended
    assert world.database.jobs.get(row.id).status is JobStatus.FAILED
    assert "was terminated in Temporal" in world.database.jobs.get(row.id).error
    assert any("the monitor: its workflow was termi" in e.message for e in world.database.jobs.events(row.id))


async def test_a_retry_whose_kernel_died_is_started(world):
    row, handle = await world.submit("print('hello')")
    await handle.terminate("by an administrator")
    world.database.jobs.finish(row.id, JobStatus.FAILED)
    assert world.database.jobs.reopen(row.id, by="me")
    assert [f"job {row.id}: its workflow had not been started, and was started now"] == (
        mended(await mender(world).mend())
    )
    await runs_until_terminated(world, row)


async def test_the_jobs_of_others_in_a_shared_database_are_left_to_their_temporal(world):
    row = world.record("print('hello')")
    shared = replace(world.settings, database_url="postgresql://somewhere/jobs")
    parts = WorkersSession(shared, world.client, world.database, {"local": local(world)})
    assert [] == mended(await Mender(parts, world.storage, grace_s=0.0).mend_jobs())
    assert world.database.jobs.get(row.id).status is JobStatus.QUEUED
    change(world, row, created_by=parts.user)
    assert [f"job {row.id}: its workflow had not been started, and was started now"] == (
        mended(await Mender(parts, world.storage, grace_s=0.0).mend_jobs())
    )
    await runs_until_terminated(world, row)


async def test_a_retry_is_told_by_the_order_of_events_and_not_by_two_clocks(world):
    row, handle = await world.submit("print('hello')")
    await handle.terminate("by an administrator")
    world.database.jobs.finish(row.id, JobStatus.FAILED)
    assert world.database.jobs.reopen(row.id, by="somebody whose clock is slow")
    age(world, row, 600.0)
    assert [f"job {row.id}: its workflow had not been started, and was started now"] == (
        mended(await mender(world).mend())
    )
    await runs_until_terminated(world, row)
    world.database.jobs.start_attempt(row.id, 1)
    age(world, row, -1200.0)  # a clock that is fast does not make it a retry: an attempt has begun since
    found = await gone(world.client, world.database.jobs.get(row.id))
    assert not asked_again(mender(world)._here, row, found)


async def test_a_job_that_ends_by_itself_in_the_moment_of_mending_is_not_said_to_have_failed(world):
    row, handle = await world.submit(HANG)
    await handle.terminate("by an administrator")
    found = await gone(world.client, row)
    world.database.jobs.finish(row.id, JobStatus.SUCCEEDED)
    deeds = Deeds()
    await mender(world)._end(row, found, deeds)
    assert ([], []) == (deeds.ended, deeds.done)
    assert "note" not in [event.kind for event in world.database.jobs.events(row.id)]


async def test_a_job_that_this_temporal_does_not_know_is_ended_only_when_its_process_is_gone(world):
    row = world.record(HANG)
    world.database.jobs.start_attempt(row.id, 1)
    launcher = local(world)
    await launcher.start(row.spec, 1)
    assert [] == mended(await mender(world).mend())
    await launcher.stop(f"{row.key}-1", 1.0)
    done = mended(await mender(world).mend())
    assert f"job {row.id}: its workflow is not known to Temporal, so the job was recorded as failed" in done
    assert [f"removed the process '{row.key}-1' of job {row.id}, which has ended"] == done[1:]


async def test_a_workflow_whose_job_has_ended_is_cancelled_and_anothers_is_not_touched(world):
    row, handle = await world.submit(HANG)
    world.database.jobs.finish(row.id, JobStatus.FAILED, error="the first word")
    stranger = await world.client.start_workflow(
        "TrainingWorkflow", 1, id=f"training-{uuid.uuid4().hex[:12]}", task_queue="mltemporal-of-others"
    )
    unknown = await world.client.start_workflow(
        "TrainingWorkflow",
        4711,
        id=f"training-{uuid.uuid4().hex[:12]}",
        task_queue=f"mltemporal-{world.database.id}",
    )
    query = f"TaskQueue = 'mltemporal-{world.database.id}'"
    async with asyncio.timeout(20):
        while (await world.client.count_workflows(query)).count < 2:
            await asyncio.sleep(0.05)
    assert [] == mended(await mender(world, grace_s=60.0).mend())
    done = mended(await mender(world).mend())
    assert f"cancelled the workflow '{row.key}': job {row.id} has ended as failed" in done
    assert f"cancelled the workflow '{unknown.id}': this database has no such job" in done
    assert not [did for did in mended(await mender(world).mend()) if did.startswith("cancelled")]
    async with world.worker():
        for each in (handle, unknown):
            with pytest.raises(WorkflowFailureError):
                await each.result()
    assert "the first word" == world.database.jobs.get(row.id).error
    assert WorkflowExecutionStatus.RUNNING == (await stranger.describe()).status
    await stranger.terminate()


async def test_processes_and_environments_of_ended_jobs_are_removed_and_others_are_not(world):
    ended, live = world.record(HANG), world.record(HANG)
    launcher, foreign = local(world), local(world, owner="another")
    theirs = replace(ended.spec, key=f"training-{uuid.uuid4().hex[:12]}")
    foreign.prepare(theirs.key, KernelContext.here())
    world.storage.put_note(theirs.key, "spec", theirs)
    for each, spec in ((launcher, ended.spec), (foreign, theirs)):
        await each.start(spec, 1)
    world.database.jobs.finish(ended.id, JobStatus.CANCELLED)
    assert not await processes_done(world, grace_s=60.0)
    assert [
        f"stopped and removed the process '{ended.key}-1' of job {ended.id}, which has ended",
        f"removed the environment '{ended.key}' that was kept for job {ended.id}, which has ended",
    ] == await processes_done(world)
    assert [] == await launcher.names()
    assert not (await foreign.find(f"{theirs.key}-1")).phase.final
    assert {live.key, theirs.key} == set(await launcher.kept())
    await foreign.stop(f"{theirs.key}-1", 0.5)
    await foreign.delete(f"{theirs.key}-1")
    for key in (theirs.key, live.key):
        await launcher.forget(key)


async def processes_done(world, grace_s=0.0) -> list[str]:
    from mltemporal.monitoring import processes

    deeds = Deeds()
    session = WorkersSession(world.settings, world.client, world.database, {"local": local(world)})
    await processes.remove(session, grace_s, deeds)
    return mended(deeds)


async def test_a_process_of_a_job_that_nobody_knows_is_ended(world):
    row = world.record(HANG)
    await local(world).start(row.spec, 1)
    world.database.jobs.withdraw(row.id)
    done = mended(await mender(world).mend())
    assert f"stopped and removed the process '{row.key}-1' of an unknown job" in done
    assert {row.key} == set(await local(world).kept()), "younger than a week: it may be another database's"
    kept = world.settings.home / "launch" / f"{row.key}.json"
    os.utime(kept, (0, 0))
    assert [f"removed the environment '{row.key}' that was kept for an unknown job"] == (
        mended(await mender(world).mend())
    )


async def test_a_process_whose_attempt_the_record_does_not_know_is_ended_unheard(world):
    """As after a database was set back: there is no place where its words could be recorded."""
    row = world.record(HANG)
    launcher = local(world)
    await launcher.start(row.spec, 1)
    world.database.jobs.finish(row.id, JobStatus.FAILED)
    async with asyncio.timeout(30):
        async for seen in launcher.follow(f"{row.key}-1", 0):
            if b"up" in seen.output:
                break
        done = mended(await mender(world).mend())
    assert [f"stopped and removed the process '{row.key}-1' of job {row.id}, which has ended"] == done[:1]
    assert [] == await launcher.names()
    assert [] == world.database.progress.log(row.id)


async def test_a_kubernetes_job_of_an_ended_job_is_removed_and_anothers_is_not(world, standin, monkeypatch):  # noqa: F811
    monkeypatch.setenv("KUBECONFIG", standin.kubeconfig)
    namespace = f"mending-{uuid.uuid4().hex[:8]}"
    standin.create_namespace(namespace)
    world.settings = replace(world.settings, cluster=ClusterSettings(namespace=namespace))
    spec = JobSpec(
        key=f"training-{uuid.uuid4().hex[:12]}",
        name="a pod",
        dataset=DatasetRef(fingerprint="f", rows=3, columns=(), uri="s3://bucket/data.parquet"),
        trainer=TrainerRef(kind="container", label="sleep", command=("sleep", "600")),
        backend="kubernetes",
        pod=PodOptions(image=IMAGE),
        grace_s=1.0,
    )
    row, _ = world.database.jobs.add(
        spec, fingerprint="f", dataset_id=world.database.datasets.add(spec.dataset)
    )
    ours, theirs = (
        KubernetesLauncher(world.settings.cluster, storage_url="s3://bucket/prefix", owner=owner)
        for owner in (world.database.id, "another")
    )
    foreign = replace(spec, key=f"training-{uuid.uuid4().hex[:12]}")
    await ours.start(spec, 1)
    await theirs.start(foreign, 1)
    world.database.jobs.finish(row.id, JobStatus.FAILED)
    done = mended(await mender(world, kubernetes=ours).mend())
    assert [f"stopped and removed the Kubernetes Job '{row.key}-1' of job {row.id}, which has ended"] == done
    assert await ours.find(f"{row.key}-1") is None
    assert [f"{foreign.key}-1"] == await theirs.names()
    await ours.close()
    await theirs.close()


async def test_what_was_half_written_is_removed_after_its_grace(world):
    incoming = Path(world.settings.storage_url) / "incoming"
    incoming.mkdir(parents=True)
    for name in ("tmpabcd1234", "tmpnew12345"[:11]):
        (incoming / name).write_text("half")
    os.utime(incoming / "tmpabcd1234", (0, 0))
    assert ["removed 1 half-written objects from storage: incoming/tmpabcd1234"] == (
        mended(await mender(world).mend())
    )
    assert ["tmpnew12345"] == [path.name for path in incoming.iterdir()]


async def test_checkpoints_are_removed_a_week_after_a_jobs_end_and_its_notes_stay(world):
    old, recent = world.record(""), world.record("")
    for row in (old, recent):
        saved = world.storage.put_bytes(row.key.encode())
        entry = Checkpoint(object=saved, attempt=1, time=time.time())
        world.storage.put_note(row.key, "checkpoints", [entry])
        world.database.jobs.finish(row.id, JobStatus.FAILED)
        await local(world).forget(row.key)
    change(world, old, finished_at=time.time() - 8 * 86_400)
    assert [f"job {old.id}: its 1 checkpoints were removed, 7 days after its end"] == (
        mended(await mender(world).mend())
    )
    assert [] == mended(await mender(world).mend())
    assert [] == world.storage.get_note(old.key, "checkpoints", list[Checkpoint])
    assert world.storage.get_note(old.key, "spec", JobSpec) is not None
    (kept,) = world.storage.get_note(recent.key, "checkpoints", list[Checkpoint])
    assert world.storage.has(kept.object)


async def test_two_monitors_at_once_do_no_harm(world):
    never, terminated, ended = world.record("print('hello')"), *[world.record(HANG) for _ in range(2)]
    launcher = local(world)
    await launcher.start(ended.spec, 1)
    world.database.jobs.finish(ended.id, JobStatus.CANCELLED)
    handle = await world.client.start_workflow(
        "TrainingWorkflow", terminated.id, id=terminated.key, task_queue=f"mltemporal-{world.database.id}"
    )
    await handle.terminate()
    rounds = await asyncio.gather(*(mender(world).mend() for _ in range(3)))
    assert [] == [trouble for deeds in rounds for trouble in deeds.failed]
    async with world.worker():
        await world.client.get_workflow_handle(never.workflow_id).result()
    assert JobStatus.SUCCEEDED == world.database.jobs.get(never.id).status
    assert JobStatus.FAILED == world.database.jobs.get(terminated.id).status
    assert [] == await launcher.names()
    told = [e.message for e in world.database.jobs.events(never.id) if e.message.startswith("the monitor")]
    assert ["the monitor: its workflow had not been started, and was started now"] == told


async def test_what_cannot_be_mended_does_not_stop_the_rest(world, monkeypatch):
    from mltemporal.storage import leftovers

    def broken(url, **_):
        raise PermissionError("not yours")

    monkeypatch.setattr(leftovers, "sweep", broken)
    row = world.record("")
    await local(world).forget(row.key)
    world.database.jobs.finish(row.id, JobStatus.FAILED)
    world.storage.put_note(
        row.key,
        "checkpoints",
        [Checkpoint(object=world.storage.put_bytes(b"x"), attempt=1, time=0.0)],
    )
    change(world, row, finished_at=1.0)
    deeds = await mender(world).mend()
    assert ["half-written objects cannot be looked for: PermissionError: not yours"] == deeds.failed
    assert [f"job {row.id}: its 1 checkpoints were removed, 7 days after its end"] == deeds.done
