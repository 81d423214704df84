"""Jobs: one live one of a kind, each end and each event once."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from mltemporal.database.engine import Database
from mltemporal.database.jobs import Event, JobRow
from mltemporal.errors import NotFound
from mltemporal.specs.data import DatasetRef
from mltemporal.specs.encoding import encode
from mltemporal.specs.request import JobSpec
from mltemporal.specs.results import TrainingResult
from mltemporal.specs.running import JobStatus

MakeJob = Callable[..., JobRow]

RACER = """
import json, sys, time
from mltemporal.database.engine import Database
from mltemporal.specs.encoding import decode
from mltemporal.specs.request import JobSpec
url, spec, start = sys.argv[1:]
database = Database.open(url)
time.sleep(max(0.0, float(start) - time.time()))
row, new = database.jobs.add(decode(spec, JobSpec), fingerprint="same", dataset_id=1)
print(json.dumps([row.id, new]))
"""


def test_a_new_job_is_queued_and_told(make_job: MakeJob, database: Database) -> None:
    job = make_job(tags=["nightly"], by="me@here", note="predicting 'y'")
    assert (JobStatus.QUEUED, 0, ("nightly",), "me@here") == (
        job.status,
        job.attempt,
        job.tags,
        job.created_by,
    )
    assert job == database.jobs.get(job.id)
    assert [("submitted", "me@here", ""), ("note", "", "predicting 'y'")] == [
        (event.kind, event.created_by, event.message) for event in database.jobs.events(job.id)
    ]


def test_of_racing_threads_one_gets_a_new_job_and_all_get_the_same(
    database: Database, make_spec: Callable[[], JobSpec], dataset: DatasetRef
) -> None:
    dataset_id = database.datasets.add(dataset)
    start = threading.Barrier(8)
    answers: list[tuple[int, bool]] = []

    def add() -> None:
        spec = make_spec()
        start.wait()
        row, new = database.jobs.add(spec, fingerprint="same", dataset_id=dataset_id)
        answers.append((row.id, new))

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [False] * 7 + [True] == sorted(new for _, new in answers)
    assert {(1, True), (1, False)} == set(answers)
    assert 1 == len(database.jobs.find())


def test_of_racing_processes_one_gets_a_new_job(
    url: str, database: Database, make_spec: Callable[[], JobSpec], dataset: DatasetRef
) -> None:
    assert 1 == database.datasets.add(dataset)
    start = str(time.time() + 1.5)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, url, encode(make_spec()), start], stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    answers = [json.loads(process.communicate(timeout=60)[0]) for process in processes]
    assert [[1, False], [1, True]] == sorted(answers)
    assert 1 == len(database.jobs.find())


def test_force_records_another_job_beside_the_live_one(make_job: MakeJob) -> None:
    first = make_job(fingerprint="same")
    second = make_job(fingerprint="same", force=True)
    assert first.id != second.id
    assert first.id == make_job(fingerprint="same").id


def test_after_the_end_the_same_request_is_a_new_job(make_job: MakeJob, database: Database) -> None:
    first = make_job(fingerprint="same")
    database.jobs.finish(first.id, JobStatus.SUCCEEDED)
    assert first.id != make_job(fingerprint="same").id


def test_a_withdrawn_job_leaves_nothing_and_its_id_is_never_used_again(
    make_job: MakeJob, database: Database
) -> None:
    first = make_job(fingerprint="same", note="a note")
    database.jobs.withdraw(first.id)
    database.jobs.withdraw(first.id)
    assert [] == database.jobs.find()
    assert [] == database.jobs.events(first.id)
    assert make_job(fingerprint="same").id > first.id


def test_a_job_that_another_kernel_has_attached_to_is_not_withdrawn(
    make_job: MakeJob, database: Database
) -> None:
    first = make_job(fingerprint="same")
    assert first.id == make_job(fingerprint="same", by="another@there").id
    assert not database.jobs.withdraw(first.id)
    assert ["another@there"] == [
        event.created_by for event in database.jobs.events(first.id) if event.kind == "attached"
    ]


def test_a_job_that_a_worker_has_begun_meanwhile_is_not_withdrawn(
    make_job: MakeJob, database: Database
) -> None:
    job = make_job(note="a note")
    database.jobs.start_attempt(job.id, 1)
    assert not database.jobs.withdraw(job.id)
    assert 1 == database.jobs.get(job.id).attempt


def test_the_first_end_stands(make_job: MakeJob, database: Database) -> None:
    job = make_job()
    result = TrainingResult(job_id=job.id, metrics={"r2": 0.5})
    first = database.jobs.finish(job.id, JobStatus.SUCCEEDED, result=result)
    second = database.jobs.finish(job.id, JobStatus.FAILED, error="too late")
    assert first == second
    assert (JobStatus.SUCCEEDED, result, "") == (second.status, second.result, second.error)
    assert 1 == [event.kind for event in database.jobs.events(job.id)].count("finished")


def test_what_ends_fewer_attempts_does_not_end_a_job_that_was_started_again(
    make_job: MakeJob, database: Database
) -> None:
    job = make_job()
    database.jobs.start_attempt(job.id, 1)
    assert database.jobs.finish(job.id, JobStatus.FAILED, attempts=1).status is JobStatus.FAILED
    database.jobs.reopen(job.id)
    assert database.jobs.finish(job.id, JobStatus.FAILED, attempts=1).status is JobStatus.QUEUED
    database.jobs.start_attempt(job.id, 2)
    assert database.jobs.finish(job.id, JobStatus.FAILED, attempts=1).status is JobStatus.QUEUED
    assert database.jobs.finish(job.id, JobStatus.FAILED, attempts=2).status is JobStatus.FAILED


def test_an_ended_job_s_status_does_not_change(make_job: MakeJob, database: Database) -> None:
    job = make_job()
    database.jobs.finish(job.id, JobStatus.CANCELLED)
    database.jobs.set_status(job.id, JobStatus.RUNNING, "training")
    assert (JobStatus.CANCELLED, "") == ((now := database.jobs.get(job.id)).status, now.stage)


def test_only_a_change_of_status_is_an_event(make_job: MakeJob, database: Database) -> None:
    job = make_job()
    for stage in ("loading", "training", "training"):
        database.jobs.set_status(job.id, JobStatus.RUNNING, stage)
    stages = [event.message for event in database.jobs.events(job.id) if event.kind == "stage"]
    assert (["running"], "training") == (stages, database.jobs.get(job.id).stage)


def test_an_attempt_begins_and_ends_once(make_job: MakeJob, database: Database) -> None:
    job = make_job()
    for _ in range(2):
        database.jobs.start_attempt(job.id, 1)
    started_at = database.jobs.get(job.id).started_at
    database.jobs.end_attempt(job.id, 1, phase="interrupted", reason="killed by SIGKILL")
    database.jobs.end_attempt(job.id, 1, phase="succeeded")
    database.jobs.start_attempt(job.id, 2)
    first, second = database.jobs.attempts(job.id)
    assert ("interrupted", "killed by SIGKILL") == (first["phase"], first["reason"])
    assert (2, None) == (second["number"], second["finished_at"])
    assert (2, started_at) == ((now := database.jobs.get(job.id)).attempt, now.started_at)
    assert 2 == [event.kind for event in database.jobs.events(job.id)].count("attempt")


def test_an_event_with_a_key_is_recorded_once(make_job: MakeJob, database: Database) -> None:
    job = make_job()
    for second in range(3):
        event = Event(time=float(second), kind="command", message="pause", created_by="me@here")
        database.jobs.add_event(job.id, event, key="command-1")
    assert [0.0] == [event.time for event in database.jobs.events(job.id) if event.kind == "command"]


def test_a_reopened_job_is_live_again(make_job: MakeJob, database: Database) -> None:
    job = make_job(fingerprint="same")
    assert not database.jobs.reopen(job.id)
    database.jobs.finish(job.id, JobStatus.FAILED, error="it broke")
    assert database.jobs.reopen(job.id)
    now = database.jobs.get(job.id)
    assert (JobStatus.QUEUED, "", None) == (now.status, now.error, now.finished_at)
    assert job.id == make_job(fingerprint="same").id


def test_a_job_is_not_reopened_beside_a_live_one_of_its_kind(make_job: MakeJob, database: Database) -> None:
    old = make_job(fingerprint="same")
    database.jobs.finish(old.id, JobStatus.FAILED, error="it broke")
    make_job(fingerprint="same")
    assert not database.jobs.reopen(old.id)
    assert (JobStatus.FAILED, "it broke") == ((now := database.jobs.get(old.id)).status, now.error)


def test_jobs_are_found_by_status_name_and_tag_newest_first(make_job: MakeJob, database: Database) -> None:
    first = make_job(tags=["nightly", 'odd "tag", %_\\'])
    second = make_job(tags=["night"])
    database.jobs.finish(first.id, JobStatus.SUCCEEDED)

    def ids(**conditions: object) -> list[int]:
        return [row.id for row in database.jobs.find(**conditions)]  # type: ignore[arg-type]

    assert [second.id, first.id] == ids() == ids(name="a job")
    assert [second.id] == ids(limit=1) == ids(status=["queued", "running"]) == ids(tag="night")
    assert [first.id] == ids(status=["succeeded"]) == ids(tag="nightly") == ids(tag='odd "tag", %_\\')
    assert [] == ids(tag="Nightly") == ids(tag="n%") == ids(tag="tag") == ids(name="another")


def test_a_job_that_is_not_there_is_named(make_job: MakeJob, database: Database) -> None:
    make_job()
    second = make_job()
    assert second == database.jobs.named("a job")
    with pytest.raises(NotFound) as caught:
        database.jobs.get(99)
    assert "there is no job 99\nNext step: mltemporal.jobs() lists the jobs" == str(caught.value)
    with pytest.raises(NotFound) as caught:
        database.jobs.named("churn")
    assert "there is no job named 'churn'\nNext step: mltemporal.jobs() lists the jobs" == str(caught.value)
