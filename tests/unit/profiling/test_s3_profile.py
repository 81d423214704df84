"""Data files in S3, through our own readers, on a real server."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
from services.s3 import S3Server

from mltemporal.dataset.files import find_files
from mltemporal.profiling.measuring import profile
from mltemporal.profiling.meeting import broken_expectations
from mltemporal.profiling.sketches import sketch
from mltemporal.specs.data import Expectation


def test_files_in_s3_are_profiled_as_local_ones_are(s3: S3Server, s3_url: str, tmp_path) -> None:
    table = pa.table({"n": [1, 2, None], "city": pa.array(["a", "b", "a"]).dictionary_encode()})
    pq.write_table(table, tmp_path / "data.parquet")
    sink = io.BytesIO()
    pq.write_table(table, sink)
    key = f"{s3_url.removeprefix(f's3://{s3.bucket}/')}/data.parquet"
    s3.client().put_object(Bucket=s3.bucket, Key=key, Body=sink.getvalue())
    local, remote = find_files(str(tmp_path)), find_files(s3_url)

    assert profile(local) == profile(remote)
    assert sketch(local) == sketch(remote)
    assert ("'n': 1 of 3 values are above 1 (greatest 2)",) == broken_expectations(
        [Expectation(column="n", maximum=1)], remote
    )
