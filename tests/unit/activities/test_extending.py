"""The place where a job runs is told of the time that `extend` gave: it might end the job otherwise."""

import uuid
from dataclasses import replace
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from mltemporal.database.engine import Database
from mltemporal.database.jobs import JobRow
from mltemporal.specs.data import DatasetRef
from mltemporal.specs.request import JobSpec, TrainerRef
from mltemporal.specs.running import Attempt, Command
from mltemporal.storage.content import Storage
from mltemporal.workflows.activities.commanding import CommandActivities
from mltemporal.workflows.activities.kubernetes import JobActivities


class Launcher:
    """Knows how much time it was told to allow."""

    def __init__(self) -> None:
        self.allowed: list[tuple[str, float]] = []

    async def start(self, spec: JobSpec, attempt: int) -> None:
        assert not self.allowed, "what has not begun has no deadline"

    async def allow(self, name: str, time_s: float) -> None:
        self.allowed.append((name, time_s))


@pytest.fixture
def job(database: Database) -> JobRow:
    """A job that may take an hour."""
    ref = DatasetRef(fingerprint="f", rows=3, columns=())
    spec = JobSpec(
        key=f"training-{uuid.uuid4().hex[:12]}",
        name="a job",
        dataset=ref,
        trainer=TrainerRef(kind="function", label="fit"),
        timeout_s=3600.0,
        grace_s=30.0,
    )
    row, _ = database.jobs.add(spec, fingerprint=spec.key, dataset_id=database.datasets.add(ref))
    return row


async def extended(database: Database, storage: Storage, job: JobRow, timeout_s: float) -> Launcher:
    """Give time to the first attempt; returns the launcher that was told."""
    launcher = Launcher()
    launchers: Any = {"local": launcher}
    activities = CommandActivities(database, storage, launchers)
    command = Command(job_id=job.id, verb="extend", by="me@here", id=f"c{timeout_s}", timeout_s=timeout_s)
    attempt = Attempt(job_id=job.id, number=1)
    await ActivityEnvironment().run(activities.command_training_job, attempt, command)
    return launcher


async def started(database: Database, storage: Storage, job: JobRow, number: int) -> Launcher:
    """Start an attempt; returns the launcher that did it."""
    launcher = Launcher()
    launchers: Any = {"local": launcher}
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, workflow_id=job.workflow_id)
    activities = JobActivities(database, storage, launchers)
    await environment.run(activities.create_training_job, Attempt(job_id=job.id, number=number))
    return launcher


async def test_the_place_is_told_at_once(database: Database, storage: Storage, job: JobRow) -> None:
    launcher = await extended(database, storage, job, 7200.0)
    assert [(f"{job.key}-1", 7230.0)] == launcher.allowed


async def test_an_attempt_that_starts_later_has_the_time_that_was_given(
    database: Database, storage: Storage, job: JobRow
) -> None:
    assert [] == (await started(database, storage, job, 1)).allowed
    await extended(database, storage, job, 7200.0)
    assert [(f"{job.key}-1", 7230.0)] == (await started(database, storage, job, 1)).allowed


async def test_time_that_is_taken_away_is_the_workflows_to_keep(
    database: Database, storage: Storage, job: JobRow
) -> None:
    launcher = await extended(database, storage, job, 60.0)
    assert [(f"{job.key}-1", 3630.0)] == launcher.allowed, "a retry has its whole time again"
