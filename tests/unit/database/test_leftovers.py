"""What the monitor asks about jobs that something may be left of."""

import sqlalchemy as sa

from mltemporal.database.engine import Database
from mltemporal.database.jobs import Event
from mltemporal.specs.running import JobStatus


def test_live_jobs_are_those_that_have_not_ended(database: Database, make_job) -> None:
    first, second = make_job(), make_job()
    assert [first.id, second.id] == [job.id for job in database.leftovers.live()]
    database.jobs.finish(first.id, JobStatus.FAILED)
    assert [second.id] == [job.id for job in database.leftovers.live()]


def test_a_job_is_found_by_its_key(database: Database, make_job) -> None:
    job = make_job()
    assert job.id == database.leftovers.of_key(job.key).id
    assert database.leftovers.of_key("training-ffffffffffff") is None


def test_jobs_are_found_by_their_keys_in_one_statement(database: Database, make_job) -> None:
    jobs = [make_job() for _ in range(3)]
    statements: list[str] = []
    sa.event.listen(database.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    found = database.leftovers.of_keys([*(job.key for job in jobs), "training-ffffffffffff"])
    assert {job.key: job for job in jobs} == found
    assert jobs == database.leftovers.live()
    assert 2 == sum("FROM jobs" in statement for statement in statements), (
        "for the keys, and for the live ones"
    )
    assert {} == database.leftovers.of_keys([])


def test_the_last_event_says_when_something_happened(database: Database, make_job) -> None:
    job = make_job()
    later = job.created_at + 5
    database.jobs.add_event(job.id, Event(time=later, kind="note"))
    assert later == database.leftovers.last_event(job.id)


def test_what_was_seen_to_is_not_looked_at_again(database: Database, make_job) -> None:
    jobs = [database.jobs.finish(make_job().id, JobStatus.SUCCEEDED) for _ in range(3)]
    ends = [job.finished_at for job in jobs]
    assert [jobs[0].id, jobs[1].id] == [job.id for job in database.leftovers.ended_before(ends[2])]
    database.leftovers.mark(ends[0])
    assert [jobs[1].id] == [job.id for job in database.leftovers.ended_before(ends[2])]
    database.leftovers.mark(0.0)
    assert [jobs[1].id] == [job.id for job in database.leftovers.ended_before(ends[2])]
