"""Whatever text or number a job comes up with, both databases keep the same of it."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from mltemporal.database.engine import Database
from mltemporal.database.jobs import Event, JobRow
from mltemporal.database.progress import Batch
from mltemporal.database.workers import WorkerInfo
from mltemporal.errors import NotFound
from mltemporal.progress import parse_line
from mltemporal.specs.data import Artifact, DatasetRef, ObjectRef
from mltemporal.specs.request import JobSpec
from mltemporal.specs.running import JobStatus
from mltemporal.views import Point

MakeJob = Callable[..., JobRow]

ODD = "a\0b\ud800c"
KEPT = "a\ufffdb?c"
OBJECT = ObjectRef(sha256="a" * 64, size_bytes=1)


def test_a_nul_or_half_a_character_is_replaced_everywhere(
    database: Database, make_spec: Callable[[], JobSpec], make_job: MakeJob
) -> None:
    job = make_job(by=ODD, note=ODD)
    database.jobs.set_status(job.id, JobStatus.RUNNING, ODD)
    database.jobs.start_attempt(job.id, 1)
    event = Event(time=1.0, kind="command", message=ODD, created_by=ODD)
    database.jobs.add_event(job.id, event, key=ODD)
    database.jobs.add_event(job.id, event, key=ODD)
    batch = Batch(
        start=0,
        end=4,
        points=((0, Point(attempt=1, time=1.0, metrics={"a\0b": 1.0})),),
        log=ODD,
        notes=((0, ODD),),
        artifacts=(Artifact(name=ODD, object=OBJECT),),
    )
    assert database.progress.append(job.id, 1, batch)
    database.jobs.end_attempt(job.id, 1, phase="failed", reason=ODD)
    assert (KEPT, KEPT) == ((now := database.jobs.get(job.id)).created_by, now.stage)
    assert KEPT == database.jobs.finish(job.id, JobStatus.FAILED, error=ODD).error
    told = [(event.kind, event.message) for event in database.jobs.events(job.id)]
    assert [("note", KEPT), ("note", KEPT)] == [each for each in told if each[0] == "note"]
    assert [("command", KEPT)] == [each for each in told if each[0] == "command"]
    assert [KEPT] == [text for _, _, text in database.progress.log(job.id)]
    assert [KEPT] == [artifact.name for artifact in database.progress.artifacts(job.id)]
    assert {"a\0b": 1.0} == database.progress.points(job.id)[0][1].metrics
    assert KEPT == database.jobs.attempts(job.id)[0]["reason"]


def test_a_name_with_a_nul_is_found_by_it(
    database: Database, make_spec: Callable[[], JobSpec], dataset: DatasetRef
) -> None:
    spec = replace(make_spec(), name="a\0b")
    row, _ = database.jobs.add(
        spec, fingerprint="f", dataset_id=database.datasets.add(dataset), tags=["a\0b"]
    )
    assert "a\ufffdb" == row.name
    assert row == database.jobs.named("a\0b")
    assert [row] == database.jobs.find(name="a\0b", tag="a\0b")


def test_what_is_longer_than_its_column_is_cut(
    database: Database, make_spec: Callable[[], JobSpec], dataset: DatasetRef
) -> None:
    long = "ü" * 5000
    spec = replace(make_spec(), name=long)
    row, _ = database.jobs.add(
        spec, fingerprint="f", dataset_id=database.datasets.add(dataset), by=long, note=long
    )
    assert ("ü" * 255, "ü" * 255) == (row.name, row.created_by)
    assert row == database.jobs.named(long)
    database.jobs.add_event(row.id, Event(time=1.0, kind=long, message=long), key=long)
    assert {long} == {event.message for event in database.jobs.events(row.id)} - {""}
    database.jobs.start_attempt(row.id, 1)
    database.progress.append(
        row.id, 1, Batch(start=0, end=1, artifacts=(Artifact(name=long, object=OBJECT),))
    )
    assert ["ü" * 255] == [artifact.name for artifact in database.progress.artifacts(row.id)]
    info = WorkerInfo(
        id="one", host=long, pid=1, version=long, python=long, task_queue=long, started_at=1.0, seen_at=1.0
    )
    database.workers.seen(info)
    assert [32, 255, 255] == [
        len(text) for w in database.workers.alive() for text in (w.version, w.python, w.host)
    ]


def test_a_dataset_s_long_name_is_cut_and_found(database: Database, dataset: DatasetRef) -> None:
    named = replace(dataset, name="n" * 300)
    database.datasets.add(named)
    found = database.datasets.named("n" * 300)
    assert found is not None
    assert named == found.ref


def test_a_cursor_that_is_too_long_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="has more than 64 characters"):
        Batch(start=0, end=1, cursor="c" * 65)


def test_numbers_at_the_edge_are_kept(database: Database, make_job: MakeJob) -> None:
    job = make_job()
    database.jobs.start_attempt(job.id, 1)
    metrics = {"nan": math.nan, "inf": math.inf, "tiny": 5e-324, "huge": 1.7e308}
    point = Point(attempt=1, time=4e9, step=2**53, total=-(2**53), metrics=metrics)
    assert database.progress.append(job.id, 1, Batch(start=0, end=2**60, points=((2**60, point),)))
    seen = database.progress.points(job.id)[0][1]
    assert (4e9, 2**53, -(2**53)) == (seen.time, seen.step, seen.total)
    assert (5e-324, 1.7e308) == (seen.metrics["tiny"], seen.metrics["huge"])
    assert math.isnan(seen.metrics["nan"])
    assert math.isnan(seen.metrics["inf"])


@pytest.mark.parametrize("number", ["9007199254740993", "1e30", "1e400", "NaN"])
def test_a_step_that_no_database_holds_is_no_progress(number: str, database: Database) -> None:
    assert parse_line(f'::mltemporal::{{"step": {number}}}') is None


@pytest.mark.parametrize("number", [0, -1, 2**31, 2**70])
def test_a_number_that_no_job_has_is_not_found(number: int, database: Database) -> None:
    with pytest.raises(NotFound, match=f"there is no job {number}"):
        database.jobs.get(number)
