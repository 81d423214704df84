"""Jobs made of a script's text, in a storage of their own."""

import uuid
from pathlib import Path

import pandas as pd
import pytest

from mltemporal.code.capturing import capture
from mltemporal.code.script import Script
from mltemporal.dataset.checking import inspect
from mltemporal.specs.request import JobSpec
from mltemporal.storage.content import Storage


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path / "storage"))


@pytest.fixture
def store_script(storage: Storage, tmp_path: Path):
    """Store a job that runs the script's text, and return its spec."""

    def store(text: str, **fields: object) -> JobSpec:
        path = tmp_path / f"{uuid.uuid4().hex[:8]}.py"
        path.write_text(text)
        table = pd.DataFrame({"a": [1, 2, 3], "b": [1.0, 2.0, 3.0]})
        spec = JobSpec(
            key=f"training-{uuid.uuid4().hex[:12]}",
            name="a script",
            dataset=inspect(table).store(storage),
            trainer=capture(Script(path)).store(storage),
            **fields,
        )
        storage.put_note(spec.key, "spec", spec)
        return spec

    return store
