"""A connection that is lost, before, in or after any statement, costs nothing and doubles nothing."""

import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from services.postgres import PostgresServer

from mltemporal.database import retrying
from mltemporal.database.engine import Database
from mltemporal.database.jobs import Event, JobRow
from mltemporal.database.progress import Batch
from mltemporal.database.tables import metadata
from mltemporal.database.workers import WorkerInfo
from mltemporal.errors import ServiceUnavailable
from mltemporal.specs.data import Artifact, DatasetRef, ObjectRef
from mltemporal.specs.request import JobSpec
from mltemporal.specs.results import TrainingResult
from mltemporal.specs.running import JobStatus
from mltemporal.views import Point

pytestmark = pytest.mark.parametrize("url", ["postgres"], indirect=True)

Write = Callable[[Database, JobRow], object]

OBJECT = ObjectRef(sha256="a" * 64, size_bytes=1)
WORKER = WorkerInfo(
    id="w", host="h", pid=1, version="1", python="p", task_queue="q", started_at=1.0, seen_at=1.0
)
BATCH = Batch(
    start=0,
    end=10,
    cursor="here",
    points=((0, Point(attempt=1, time=1.0, step=1)),),
    log="one\n",
    notes=((5, "chosen"),),
    artifacts=(Artifact(name="a", object=OBJECT),),
)


def another(job: JobRow) -> JobSpec:
    return replace(job.spec, key="another")


def follow(database: Database, job: JobRow, until: int = 30) -> None:
    """Record ten bytes at a time, from where the record stands, as a follower does."""
    while (start := database.progress.place(job.id, 1).position) < until:
        points = ((start, Point(attempt=1, time=1.0, step=start // 10)),)
        database.progress.append(
            job.id, 1, replace(BATCH, start=start, end=start + 10, points=points, notes=())
        )


WRITES: dict[str, Write] = {
    "add": lambda db, job: db.jobs.add(another(job), fingerprint="g", dataset_id=1, by="me", note="why"),
    "add by force": lambda db, job: db.jobs.add(another(job), fingerprint="f", dataset_id=1, force=True),
    "withdraw": lambda db, job: db.jobs.withdraw(
        db.jobs.add(another(job), fingerprint="g", dataset_id=1)[0].id
    ),
    "set_status": lambda db, job: db.jobs.set_status(job.id, JobStatus.RUNNING, "training"),
    "start_attempt": lambda db, job: db.jobs.start_attempt(job.id, 2),
    "end_attempt": lambda db, job: db.jobs.end_attempt(job.id, 1, phase="failed", reason="it broke"),
    "finish": lambda db, job: db.jobs.finish(
        job.id, JobStatus.SUCCEEDED, result=TrainingResult(job_id=1, metrics={"r2": 1.0})
    ),
    "add_event": lambda db, job: db.jobs.add_event(job.id, Event(time=1.0, kind="command", message="cancel")),
    "append": lambda db, job: db.progress.append(job.id, 1, BATCH),
    "follow": follow,
    "dataset": lambda db, job: db.datasets.add(replace(job.spec.dataset, fingerprint="ee" * 32)),
    "worker": lambda db, job: db.workers.seen(WORKER),
}


@contextmanager
def losing(database: Database, postgres: PostgresServer, *, committed: bool) -> Iterator[None]:
    """Lose the connection in the next commit: before the server carries it out, or before its answer."""
    dialect = database.engine.dialect
    commit = dialect.do_commit

    def lose(connection: Any) -> None:
        dialect.do_commit = commit  # type: ignore[method-assign]
        if committed:
            commit(connection)
            connection.driver_connection.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        postgres.execute("SELECT pg_terminate_backend(%s)", connection.driver_connection.info.backend_pid)
        commit(connection)

    dialect.do_commit = lose  # type: ignore[method-assign]
    yield
    assert commit == dialect.do_commit, "nothing was committed"


@pytest.fixture
def calm(postgres: PostgresServer, prepared_postgres: str) -> Iterator[Database]:
    """A second database, in which nothing is lost."""
    name = postgres.create(like=prepared_postgres)
    opened = Database.open(postgres.url(name))
    yield opened
    opened.close()
    postgres.drop(name)


def running(database: Database, spec: JobSpec) -> JobRow:
    row, _ = database.jobs.add(spec, fingerprint="f", dataset_id=database.datasets.add(spec.dataset))
    database.jobs.start_attempt(row.id, 1)
    return row


def content(database: Database) -> dict[str, list[str]]:
    """Every row, without times and generated ids."""
    untold = {"id", "job_id"}
    found = {}
    with database.reading() as connection:
        for table in metadata.sorted_tables:
            columns = [column for column in table.c if column.name not in untold]
            rows = [repr(tuple(row)) for row in connection.execute(sa.select(*columns))]
            found[table.name] = sorted(re.sub(r"\b1[0-9]{9}\.[0-9]+", "now", row) for row in rows)
    return found


@pytest.mark.parametrize("committed", [False, True], ids=["rolled back", "committed"])
@pytest.mark.parametrize("name", WRITES)
def test_a_write_whose_commit_went_unanswered_is_made_once(
    *,
    name: str,
    committed: bool,
    database: Database,
    calm: Database,
    postgres: PostgresServer,
    make_spec: Callable[[], JobSpec],
) -> None:
    spec = make_spec()
    job, undisturbed = running(database, spec), running(calm, spec)
    expected = WRITES[name](calm, undisturbed)
    with losing(database, postgres, committed=committed):
        told = WRITES[name](database, job)
    assert content(calm) == content(database)
    if name == "add":
        assert isinstance(expected, tuple)
        assert isinstance(told, tuple)
        assert (True, True) == (expected[1], told[1]), "who recorded it starts it"


@pytest.mark.parametrize("committed", [False, True], ids=["rolled back", "committed"])
def test_a_job_is_reopened_once(
    committed: bool, database: Database, postgres: PostgresServer, make_spec: Callable[[], JobSpec]
) -> None:
    job = running(database, make_spec())
    database.jobs.finish(job.id, JobStatus.FAILED, error="it broke")
    with losing(database, postgres, committed=committed):
        assert database.jobs.reopen(job.id, by="me")
    assert not database.jobs.reopen(job.id, by="me")
    told = [event for event in database.jobs.events(job.id) if event.kind == "command"]
    assert [("retry", "me")] == [(event.message, event.created_by) for event in told]


def test_connections_that_were_ended_while_idle_are_replaced(
    database: Database, url: str, postgres: PostgresServer
) -> None:
    assert [] == database.jobs.find()
    assert postgres.disconnect(url.rpartition("/")[2]) >= 1
    assert [] == database.jobs.find()


def test_followers_whose_connections_are_ended_again_and_again_lose_and_double_nothing(
    database: Database, url: str, postgres: PostgresServer, make_spec: Callable[[], JobSpec]
) -> None:
    job = running(database, make_spec())
    followers = [threading.Thread(target=follow, args=(database, job, 1000)) for _ in range(2)]
    for follower in followers:
        follower.start()
    name, ended, at = url.rpartition("/")[2], 0, 0
    while any(follower.is_alive() for follower in followers):
        ((now,),) = postgres.execute("SELECT coalesce(max(position), 0) FROM streams", database=name)
        if now > at:  # at whatever they are just doing, but not so often that they never get through
            ended, at = ended + postgres.disconnect(name), now
    assert ended > 5
    assert list(range(100)) == [point.step for _, point in database.progress.points(job.id)]
    assert 100 == len(database.progress.log(job.id))


def test_a_server_that_is_killed_and_started_again_is_waited_for(
    database: Database, postgres: PostgresServer, make_spec: Callable[[], JobSpec]
) -> None:
    job = running(database, make_spec())
    failures: list[BaseException] = []

    def work() -> None:
        try:
            follow(database, job, 2000)
        except ServiceUnavailable as error:
            failures.append(error)

    follower = threading.Thread(target=work)
    follower.start()
    while database.progress.place(job.id, 1).position < 200:
        assert follower.is_alive(), failures
    postgres.stop(signal.SIGKILL)
    postgres.start()
    follower.join()
    assert [] == failures
    assert list(range(200)) == [point.step for _, point in database.progress.points(job.id)]
    assert 200 == len(database.progress.log(job.id))


def test_patience_has_an_end(
    database: Database, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "PATIENCE_S", 0.3)
    postgres.stop()
    try:
        with pytest.raises(ServiceUnavailable, match="cannot be reached"):
            database.jobs.find()
    finally:
        postgres.start()
    assert [] == database.jobs.find()


def test_what_does_not_pass_is_not_tried_again(
    database: Database, monkeypatch: pytest.MonkeyPatch, dataset: DatasetRef
) -> None:
    monkeypatch.setattr(retrying.time, "sleep", pytest.fail)
    with database.writing() as connection:
        connection.execute(sa.text("DROP TABLE workers"))
    with pytest.raises(ServiceUnavailable, match="does not answer: relation"):
        database.workers.alive()
