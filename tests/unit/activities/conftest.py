"""What most activities need: a storage, and a job that runs."""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mltemporal.database.engine import Database
from mltemporal.database.jobs import JobRow
from mltemporal.specs.data import DatasetRef
from mltemporal.specs.request import JobSpec, TrainerRef
from mltemporal.storage.content import Storage


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path / "storage"))


@pytest.fixture
def begun(database: Database) -> Callable[..., JobRow]:
    """Make a job whose first attempt has begun."""

    def make(**fields: Any) -> JobRow:
        ref = DatasetRef(fingerprint="f", rows=3, columns=())
        spec = JobSpec(
            key=f"training-{uuid.uuid4().hex[:12]}",
            name="a job",
            dataset=ref,
            trainer=TrainerRef(kind="function", label="fit"),
            **fields,
        )
        row, _ = database.jobs.add(spec, fingerprint=spec.key, dataset_id=database.datasets.add(ref))
        database.jobs.start_attempt(row.id, 1)
        return database.jobs.get(row.id)

    return make
