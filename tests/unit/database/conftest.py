"""Jobs in a database, of either kind."""

import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from services.postgres import PostgresServer

from mltemporal.database.engine import Database
from mltemporal.database.jobs import JobRow
from mltemporal.specs.data import Column, DatasetRef
from mltemporal.specs.request import JobSpec, TrainerRef

MakeJob = Callable[..., JobRow]


@pytest.fixture(scope="session")
def prepared_postgres(postgres: PostgresServer) -> str:
    """The name of a PostgreSQL database at the newest schema, to be copied."""
    name = postgres.create()
    Database.prepare(postgres.url(name))
    return name


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where the test's database is; a PostgreSQL one is there, and prepared for who asks for `database`."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'jobs.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    wanted = "database" in request.fixturenames
    name = server.create(like=request.getfixturevalue("prepared_postgres") if wanted else None)
    yield server.url(name)
    server.drop(name)


@pytest.fixture
def database(url: str, prepared: Path) -> Iterator[Database]:
    if url.startswith("sqlite"):
        shutil.copyfile(prepared, url.removeprefix("sqlite:///"))
    opened = Database.open(url)
    yield opened
    opened.close()


@pytest.fixture
def dataset() -> DatasetRef:
    return DatasetRef(fingerprint="cd" * 32, rows=3, columns=(Column(name="a", type="int64"),))


@pytest.fixture
def make_spec(dataset: DatasetRef) -> Callable[[], JobSpec]:
    def make() -> JobSpec:
        return JobSpec(
            key=f"training-{uuid.uuid4().hex[:12]}",
            name="a job",
            dataset=dataset,
            trainer=TrainerRef(kind="baseline", label="baseline"),
        )

    return make


@pytest.fixture
def make_job(database: Database, make_spec: Callable[[], JobSpec]) -> MakeJob:
    """Record a job; of a kind of its own unless ``fingerprint`` is given."""

    def make(**fields: Any) -> JobRow:
        spec = make_spec()
        fields = {"fingerprint": uuid.uuid4().hex, **fields}
        row, _ = database.jobs.add(spec, dataset_id=database.datasets.add(spec.dataset), **fields)
        return row

    return make
