"""From every schema that was ever released to the newest, with rows in every table; whole or not at all."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory

from mltemporal.database.connecting import make_engine
from mltemporal.database.engine import HEAD, Database
from mltemporal.database.migrations import config
from mltemporal.errors import VersionMismatch
from mltemporal.specs.data import Column, DatasetFacts, DatasetRef, ObjectRef
from mltemporal.specs.encoding import encode
from mltemporal.specs.request import JobSpec, TrainerRef
from mltemporal.specs.results import TrainingResult
from mltemporal.specs.running import JobStatus

REVISIONS = sorted(script.revision for script in ScriptDirectory.from_config(config()).walk_revisions())
ROWS = (1, 2)
Rows = dict[str, list[dict[str, Any]]]


def _ref(row: int) -> DatasetRef:
    return DatasetRef(
        fingerprint=f"f{row}", rows=3, columns=(Column(name="a", type="int64"),), name=f"name-{row}"
    )


_JSON: dict[str, Callable[[int], object]] = {
    "ref_json": _ref,
    "facts_json": lambda _: DatasetFacts(),
    "spec_json": lambda row: JobSpec(
        key=f"key-{row}", name="n", dataset=_ref(row), trainer=TrainerRef(kind="script", label="s")
    ),
    "result_json": lambda row: TrainingResult(job_id=row, metrics={"r2": 0.5}),
    "tags_json": lambda row: [f"tag-{row}"],
    "metrics_json": lambda row: {"loss": 1.0 / row},
    "object_json": lambda row: ObjectRef(sha256="ab" * 32, size_bytes=row),
    "log_json": lambda row: ObjectRef(sha256="cd" * 32, size_bytes=row),
}
_WORDS = {"kind": "training", "status": JobStatus.SUCCEEDED.value, "phase": "succeeded"}


def _value(column: sa.Column[Any], row: int) -> Any:
    """Make up what the column may hold, by its name and type: a column of a later schema is filled too."""
    if column.name in _JSON:
        return encode(_JSON[column.name](row))
    if column.name.endswith("_json"):
        return "[]"
    if isinstance(column.type, sa.Integer | sa.Float):
        return row
    if isinstance(column.type, sa.Boolean):
        return True
    assert isinstance(column.type, sa.String), f"{column} is of a type that this test knows nothing of"
    return _WORDS.get(column.name, f"{column.name}-{row}")[: column.type.length]


def tables_of(connection: sa.Connection) -> list[sa.Table]:
    found = sa.MetaData()
    found.reflect(connection)
    return [table for table in found.sorted_tables if table.name != "alembic_version"]


def contents(database: Database) -> Rows:
    with database.reading() as connection:
        return {
            table.name: [
                dict(row)
                for row in connection.execute(
                    sa.select(table).order_by(*table.primary_key.columns)
                ).mappings()
            ]
            for table in tables_of(connection)
        }


def fill(url: str, revision: str) -> Rows:
    """Make a database of that schema with rows in every table, and return what it holds."""
    database = Database(make_engine(url, connections=1))
    settings = config()
    with database.writing() as connection:
        settings.attributes["connection"] = connection
        command.upgrade(settings, revision)
    with database.writing() as connection:
        for table in tables_of(connection):
            for row in ROWS:
                connection.execute(
                    sa.insert(table).values({column.name: _value(column, row) for column in table.columns})
                )
    held = contents(database)
    assert all(held.values()), "a table without rows proves nothing"
    database.close()
    return held


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_row_of_every_released_schema_is_kept(url: str, revision: str) -> None:
    before = fill(url, revision)

    Database.prepare(url)

    database = Database.open(url)
    after = contents(database)
    for name, rows in before.items():
        assert len(rows) == len(after[name]), name
        for old, new in zip(rows, after[name], strict=True):
            assert {key: old[key] for key in old if key in new} == {
                key: new[key] for key in new if key in old
            }
    assert ["key-1", "key-2"] == sorted(job.key for job in database.jobs.find(limit=10))
    assert [1, 2] == sorted(point.step or 0 for job in (1, 2) for _, point in database.progress.points(job))
    assert ["name-1", "name-2"] == sorted(each.ref.name or "" for each in database.datasets.all())
    database.close()


def test_the_newest_released_schema_is_the_one_that_the_code_needs() -> None:
    assert REVISIONS[-1] == HEAD


KILLED = """
import os, signal, sys
import sqlalchemy as sa
from mltemporal.database.engine import Database
from mltemporal.database.migrations import upgrade
from mltemporal.database.connecting import make_engine

url, at = sys.argv[1], sys.argv[2]
database = Database(make_engine(url, connections=1))
seen = 0

def count(*_):
    global seen
    seen += 1
    if at != "commit" and seen == int(at):
        os.kill(os.getpid(), signal.SIGKILL)

def commit(*_):
    if at == "commit":
        os.kill(os.getpid(), signal.SIGKILL)

sa.event.listen(database.engine, "before_cursor_execute", count)
sa.event.listen(database.engine, "commit", commit)
upgrade(database)
print(seen)
"""


@pytest.mark.parametrize("at", ["12", "commit"])
def test_a_migration_that_is_killed_leaves_the_schema_before_it(url: str, at: str) -> None:
    before = fill(url, REVISIONS[0])

    script = [sys.executable, "-c", KILLED, url, at]
    done = subprocess.run(script, check=False, capture_output=True, text=True, env=os.environ)

    assert -signal.SIGKILL == done.returncode, done.stderr
    database = Database(make_engine(url, connections=1))
    assert REVISIONS[0] == database.revision()
    assert before == contents(database)
    database.close()
    Database.prepare(url)
    Database.open(url).close()


@pytest.mark.parametrize("call", [Database.open, Database.prepare])
def test_a_schema_of_a_later_version_is_refused_and_left_alone(
    url: str, call: Callable[[str], object]
) -> None:
    held = fill(url, HEAD)
    database = Database(make_engine(url, connections=1))
    with database.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(VersionMismatch, match="9999 is newer") as refused:
        call(url)

    assert "pip install -U mltemporal" in refused.value.next_step
    assert held == contents(database)
    database.close()
