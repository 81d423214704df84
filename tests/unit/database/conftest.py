"""Jobs in a database."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from mltemporal.database import Database, JobRow
from mltemporal.specs import Column, DatasetRef, JobSpec, TrainerRef

MakeJob = Callable[..., JobRow]


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
