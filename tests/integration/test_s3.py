"""Everything in a bucket: trainings whose data, code, checkpoints and models are on a real S3 server."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from services.s3 import S3Server

import mltemporal
from mltemporal import session, stack
from mltemporal.errors import InvalidDataset
from mltemporal.launchers.folder import ProcessFolder
from mltemporal.settings import Settings, load_settings


class Bucket:
    """The storage of the stack, seen from outside."""

    def __init__(self, server: S3Server, prefix: str) -> None:
        self.server = server
        self.prefix = prefix
        self.client = server.client()

    def names(self, below: str) -> list[str]:
        prefix = f"{self.prefix}/{below}"
        found = self.client.list_objects_v2(Bucket=self.server.bucket, Prefix=prefix)
        return [entry["Key"].removeprefix(prefix) for entry in found.get("Contents", [])]


@pytest.fixture(scope="module")
def stored(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, Bucket]]:
    """A stack of its own, which knows the keys from its environment only."""
    bucket = Bucket(s3, uuid.uuid4().hex)
    settings = load_settings(
        {
            "MLTEMPORAL_HOME": str(tmp_path_factory.mktemp("s3") / "home"),
            "MLTEMPORAL_TEMPORAL": "embedded",
            "MLTEMPORAL_STORAGE_URL": f"s3://{s3.bucket}/{bucket.prefix}",
        }
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3.environ().items():
            patch.setenv(name, value)
        stack.up(settings)
        yield settings, bucket
        stack.down(settings)
        for path in settings.home.glob("jobs/*/order.json"):
            ProcessFolder(path.parent).kill()


@pytest.fixture
def bucket(stored: tuple[Settings, Bucket]) -> Iterator[Bucket]:
    session.replace(stored[0])
    yield stored[1]
    session.replace(None)


@pytest.fixture
def uri(bucket: Bucket, table: pd.DataFrame, tmp_path: Path) -> str:
    """A folder of parquet files beside the storage, partitioned as Spark does it."""
    for i, rows in enumerate((table[:250], table[250:])):
        rows.to_parquet(tmp_path / "part")
        key = f"{bucket.prefix}-data/half={i}/part-0.parquet"
        bucket.client.put_object(Bucket=bucket.server.bucket, Key=key, Body=(tmp_path / "part").read_bytes())
    marker = f"{bucket.prefix}-data/_SUCCESS"
    bucket.client.put_object(Bucket=bucket.server.bucket, Key=marker, Body=b"")
    return f"s3://{bucket.server.bucket}/{bucket.prefix}-data/"


def test_a_training_on_a_folder_in_s3_leaves_its_model_there(bucket: Bucket, uri: str) -> None:
    job = mltemporal.train(uri, target="y", params={"max_iter": 5})
    result = job.result(100)
    assert (1, True) == (result.attempts, result.metrics["accuracy"] > 0.9)
    frame = pd.DataFrame({"x": [1.0, 399.0], "half": [0, 1]})
    assert [0, 1] == list(job.model.predict(frame))
    assert bucket.names("objects/")
    local = session.current().settings.home / "storage"
    assert not local.exists()


def test_a_table_code_checkpoints_and_artifacts_go_through_the_bucket(
    bucket: Bucket, table: pd.DataFrame
) -> None:
    def fit(data: Any, factor: int) -> dict[str, int]:
        attempt = (mltemporal.checkpoint.load() or 0) + 1
        mltemporal.checkpoint.save(attempt)
        if attempt == 1:
            import os
            import signal

            os.kill(os.getpid(), signal.SIGKILL)
        mltemporal.report(step=attempt, total=2, loss=0.5)
        mltemporal.log_artifact("some words", name="words.txt")
        return {"rows": len(data) * factor}

    job = mltemporal.train(table, fit, params={"factor": 2})
    result = job.result(100)
    assert ({"rows": 800}, 2) == (result.value, result.attempts)
    assert "some words" == job.artifacts["words.txt"].load()
    assert [0.5] == list(job.metrics()["loss"])


def test_data_that_is_not_there_is_refused_before_the_launch(bucket: Bucket, uri: str) -> None:
    with pytest.raises(InvalidDataset, match="there are no data files at 's3://.*/nothing'"):
        mltemporal.train(f"{uri}nothing", target="y")
