"""Data files in S3, through our own readers, on a real server."""

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from services.s3 import S3Server

from mltemporal import steps


def test_files_in_s3_are_prepared_as_local_ones_are(s3: S3Server, s3_url: str, prepare: Any) -> None:
    table = pa.table({"n": [1, 2, None, 4], "kind": pa.array(["a", "b", "a", "b"]).dictionary_encode()})
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=2)
    key = f"{s3_url.removeprefix(f's3://{s3.bucket}/')}/data.parquet"
    s3.client().put_object(Bucket=s3.bucket, Key=key, Body=sink.getvalue())
    plan = [steps.split(by="n"), steps.fill_missing({"n": "median"}), steps.encode("kind", "ordinal")]
    remote, local = prepare(s3_url, plan, shards=2), prepare(table, plan, rows=2, shards=2)
    assert local.parts == remote.parts
    assert local.fitted.states == remote.fitted.states
