"""How an attempt ended, from the end of its processes and what they left in storage."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from mltemporal.database.engine import Database
from mltemporal.database.jobs import JobRow
from mltemporal.errors import TrainingInterrupted
from mltemporal.launchers.base import Phase, Sighting
from mltemporal.progress import Piece, format_line, reported
from mltemporal.specs.orders import NEWEST
from mltemporal.specs.request import PodOptions
from mltemporal.specs.results import RunOutput, TrainingResult
from mltemporal.specs.running import Attempt
from mltemporal.storage.content import Storage
from mltemporal.workflows.activities.kubernetes import JobActivities

LOST = Sighting(phase=Phase.INTERRUPTED, reason="its pod is gone")


class Launcher:
    """Knows of processes that have all ended."""

    def __init__(self, end: Sighting) -> None:
        self._end = end

    async def follow(self, *_: object) -> AsyncIterator[Sighting]:
        yield self._end


async def concluded(database: Database, storage: Storage, job: JobRow, end: Sighting) -> TrainingResult:
    launchers: Any = {job.spec.backend: Launcher(end)}
    activities = JobActivities(database, storage, launchers)
    return await ActivityEnvironment().run(activities.monitor_training, Attempt(job_id=job.id, number=1))


async def test_an_attempt_that_is_given_up_leaves_no_result_later_and_its_points_are_kept(
    database: Database, storage: Storage, begun: Callable[..., JobRow]
) -> None:
    job = begun(backend="kubernetes")
    line = format_line(time=1.0, step=1, metrics={"loss": 0.5}).decode()
    storage.put_note(job.key, f"{reported(1)}/000001-000000000", Piece(first=1, lines=(line,)))
    with pytest.raises(TrainingInterrupted, match="its pod is gone"):
        await concluded(database, storage, job, LOST)
    assert 2 == storage.get_note(job.key, NEWEST, int)
    assert [1] == [point.step for _, point in database.progress.points(job.id)]


async def test_a_result_that_was_left_before_the_process_was_lost_counts(
    database: Database, storage: Storage, begun: Callable[..., JobRow]
) -> None:
    job = begun()
    storage.put_note(job.key, "1/output", RunOutput(metrics={"loss": 0.5}))
    assert {"loss": 0.5} == (await concluded(database, storage, job, LOST)).metrics


async def test_of_several_ranks_that_train_together_all_must_have_ended_well(
    database: Database, storage: Storage, begun: Callable[..., JobRow]
) -> None:
    job = begun(pod=PodOptions(nodes=2))
    storage.put_note(job.key, "1/output", RunOutput())
    with pytest.raises(TrainingInterrupted):
        await concluded(database, storage, job, LOST)


async def test_an_output_that_the_first_rank_completed_counts_though_another_was_lost(
    database: Database, storage: Storage, begun: Callable[..., JobRow]
) -> None:
    job = begun(kind="inference", pod=PodOptions(nodes=2))
    storage.put_note(job.key, "1/output", RunOutput(metrics={"rows": 3.0}))
    assert {"rows": 3.0} == (await concluded(database, storage, job, LOST)).metrics
