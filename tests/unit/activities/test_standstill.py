"""What is done about a training that stands still: a flag, a restart where asked for, or nothing."""

import asyncio
import time
import uuid
from types import SimpleNamespace
from typing import Any

import pytest

from mltemporal.database.engine import Database
from mltemporal.database.jobs import JobRow
from mltemporal.database.progress import Batch
from mltemporal.errors import ServiceUnavailable
from mltemporal.launchers.base import Phase, Sighting
from mltemporal.specs.data import DatasetRef
from mltemporal.specs.request import JobSpec, TrainerRef
from mltemporal.specs.running import Attempt
from mltemporal.views import Point
from mltemporal.workflows.activities import standstill
from mltemporal.workflows.activities.standstill import Standstill


class Launcher:
    """Stops what it is told to."""

    def __init__(self) -> None:
        self.stopped: list[str] = []

    async def stop(self, name: str, grace_s: float) -> None:
        self.stopped.append(name)


def started(database: Database, **spec: Any) -> JobRow:
    """A job whose first attempt reported step 3, ten minutes ago."""
    ref = DatasetRef(fingerprint="f", rows=3, columns=())
    job, _ = database.jobs.add(
        JobSpec(
            key=f"training-{uuid.uuid4().hex[:12]}",
            name="a job",
            dataset=ref,
            trainer=TrainerRef(kind="function", label="fit"),
            stall_after_s=60.0,
            **spec,
        ),
        fingerprint="f",
        dataset_id=database.datasets.add(ref),
    )
    database.jobs.start_attempt(job.id, 1)
    point = Point(attempt=1, time=time.time(), step=3)
    database.progress.append(job.id, 1, Batch(start=0, end=9, points=((0, point),)))
    return job


class Follower:
    stage = "training"
    latest = None


async def seen(watch: Standstill, clock: list[float], at: float) -> str:
    clock[0] = at
    return await watch.look(Sighting(phase=Phase.RUNNING), Follower())


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    now = [1000.0]
    real = time.time
    monkeypatch.setattr(standstill, "time", SimpleNamespace(monotonic=lambda: now[0], time=real))
    return now


def told(database: Database, job: JobRow) -> list[str]:
    return [event.message for event in database.jobs.events(job.id) if event.kind == "stall"]


@pytest.mark.parametrize(("asked", "stopped"), [("flag", False), ("restart", True)])
async def test_a_standstill_is_told_once_and_ended_where_that_was_asked_for(
    database, clock, asked: str, stopped: bool
) -> None:
    job, launcher, ended = started(database, stall=asked), Launcher(), Sighting(phase=Phase.FAILED)
    for _ in range(2):  # the next worker goes on from the record
        watch = await Standstill.begin(database, launcher, job, Attempt(job_id=job.id, number=1))
        assert "" == await seen(watch, clock, 1000.0)
        assert "" == await seen(watch, clock, 1059.0)
        words = await seen(watch, clock, 1061.0)
        assert words.startswith("stands still: no new step since step 3 for more than 60 s")
        await asyncio.sleep(0)
        end = await watch.ended(ended)
        assert (Phase.INTERRUPTED if stopped else Phase.FAILED) is end.phase
    assert [f"{job.key}-1"] * (2 * stopped) == launcher.stopped
    assert [f"it {words}"] == told(database, job)


async def test_a_training_that_wants_no_judgement_gets_none(database, clock) -> None:
    job = started(database, stall=None)
    watch = await Standstill.begin(database, Launcher(), job, Attempt(job_id=job.id, number=1))
    assert "" == await seen(watch, clock, 1000.0)
    assert "" == await seen(watch, clock, 9000.0)
    assert [] == told(database, job)


async def test_a_stop_that_failed_is_tried_again(database, clock) -> None:
    class Busy(Launcher):
        async def stop(self, name: str, grace_s: float) -> None:
            await super().stop(name, grace_s)
            if len(self.stopped) == 1:
                raise ServiceUnavailable("the cluster is busy or ill", "it is tried again")

    job, launcher = started(database, stall="restart"), Busy()
    watch = await Standstill.begin(database, launcher, job, Attempt(job_id=job.id, number=1))
    await seen(watch, clock, 1000.0)
    for at in (1061.0, 1062.0, 1063.0):
        assert "it is stopped" in await seen(watch, clock, at)
        await asyncio.sleep(0)
    assert [f"{job.key}-1"] * 2 == launcher.stopped
    end = await watch.ended(Sighting(phase=Phase.FAILED))
    assert Phase.INTERRUPTED is end.phase
    assert 1 == len(told(database, job))
