"""Each migration, run over rows that the schema before it held."""

import pytest
import sqlalchemy as sa
from alembic import command

from mltemporal.database.connecting import make_engine
from mltemporal.database.engine import Database
from mltemporal.database.migrations import config
from mltemporal.database.progress import Batch, Place
from mltemporal.specs.data import DatasetFacts, DatasetRef

JOB = (
    "INSERT INTO jobs (id, key, kind, name, status, stage, fingerprint, spec_json, tags_json,"
    " attempt, created_by, created_at, error)"
    " VALUES (1, 'k', 'training', 'n', 'running', '', 'f', '{}', '[]', 2, '', 1, '')"
)
ATTEMPT = (
    "INSERT INTO attempts (job_id, number, position, started_at, phase, reason) VALUES (1, {}, {}, 1, '', '')"
)
DATASET = (
    "INSERT INTO datasets (name, fingerprint, ref_json, created_at) VALUES ('penguins', 'f',"
    """ '{"fingerprint"\\:"f","rows"\\:3,"columns"\\:[],"name"\\:"penguins"}', 1)"""
)
CHUNK = "INSERT INTO log_chunks (job_id, attempt, position, text) VALUES (1, {}, {}, '{}')"


@pytest.fixture
def filled(url: str) -> str:
    """A database of the first schema in which a job has said something in two of three attempts."""
    database = Database(make_engine(url, connections=1))
    settings = config()
    with database.writing() as connection:
        settings.attributes["connection"] = connection
        command.upgrade(settings, "0001")
        said = [ATTEMPT.format(1, 5 << 30), ATTEMPT.format(2, 4), ATTEMPT.format(3, 0)]
        log = [CHUNK.format(1, 0, "one"), CHUNK.format(1, 5 << 20, "two"), CHUNK.format(2, 0, "three")]
        for statement in (JOB, DATASET, *said, *log):
            connection.execute(sa.text(statement))
    database.close()
    return url


def test_0002_keeps_each_attempt_s_position_and_log(filled: str) -> None:
    Database.prepare(filled)
    database = Database.open(filled)
    record = database.progress
    assert [Place(5 << 30), Place(4), Place()] == [record.place(1, number) for number in (1, 2, 3)]
    assert [(1, "one"), (1, "two"), (2, "three")] == [(n, text) for _, n, text in record.log(1)]
    assert [0] == record.ranks(1)
    assert [1, 2, 3] == [attempt["number"] for attempt in database.jobs.attempts(1)]
    assert "position" not in database.jobs.attempts(1)[0]
    database.close()


def test_what_0002_made_goes_on_where_it_stood(filled: str) -> None:
    Database.prepare(filled)
    database = Database.open(filled)
    assert not database.progress.append(1, 2, Batch(start=0, end=4, log="again"))
    assert database.progress.append(1, 2, Batch(start=4, end=8, log="four", cursor="here"))
    assert database.progress.append(1, 2, Batch(start=0, end=8, log="rank 1"), rank=1)
    assert Place(8, "here") == database.progress.place(1, 2)
    assert ["one", "two", "three", "four"] == [text for _, _, text in database.progress.log(1)]
    database.close()


def test_0003_keeps_the_datasets_and_lets_several_bear_a_name(filled: str) -> None:
    Database.prepare(filled)
    database = Database.open(filled)
    [kept] = database.datasets.all()
    assert ("penguins", 3, DatasetFacts()) == (kept.ref.name, kept.ref.rows, kept.facts)
    newer = database.datasets.add(DatasetRef(fingerprint="g", rows=4, columns=(), name="penguins"))
    found = database.datasets.named("penguins")
    assert found is not None
    assert newer == found.id
    database.close()
