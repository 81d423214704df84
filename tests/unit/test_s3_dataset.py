"""Datasets at ``s3://``: found page by page, fingerprinted, read piece by piece, on a real server."""

import gzip
import io
import re
import tracemalloc
from collections.abc import Callable
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from services.s3 import S3Server
from services.s3_faults import scripted

from mltemporal.dataset.checking import inspect
from mltemporal.dataset.files import find_files
from mltemporal.dataset.loading import load
from mltemporal.dataset.reading import read_all, read_column, read_head
from mltemporal.dataset.validating import validate
from mltemporal.errors import InvalidDataset, ServiceUnavailable
from mltemporal.storage import s3_file
from mltemporal.storage.content import Storage

Put = Callable[[str, bytes], None]


@pytest.fixture
def put(s3: S3Server, s3_url: str) -> Put:
    """Write an object below the test's prefix."""
    client = s3.client()
    prefix = s3_url.removeprefix(f"s3://{s3.bucket}/")
    return lambda name, data: client.put_object(Bucket=s3.bucket, Key=f"{prefix}/{name}", Body=data)


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the requests for objects' bytes."""
    sizes: list[int] = []
    fetch = s3_file.fetch

    async def noted(
        s3: Any, bucket: str, key: str, start: int = 0, end: int | None = None, **what: Any
    ) -> bytes:
        data = await fetch(s3, bucket, key, start, end, **what)
        sizes.append(len(data))
        return data

    monkeypatch.setattr(s3_file, "fetch", noted)
    return sizes


def parquet(rows: int, columns: int = 2, **options: Any) -> bytes:
    table = pa.table({f"c{i}": [float(row * (i + 1) % 9973) for row in range(rows)] for i in range(columns)})
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def names(uri: str) -> list[str]:
    return [file.name for file in find_files(uri).files]


def test_a_file_a_folder_and_a_glob_are_found(s3_url: str, put: Put) -> None:
    for name in ("a.parquet", "ab.parquet", "b.parquet", "deep/c.parquet", "_log/d.parquet", ".e.parquet"):
        put(f"data/{name}", parquet(3))
    put("data/_SUCCESS", b"")
    put("data/deep/", b"")
    put("data2/f.parquet", parquet(3))
    assert ["a.parquet"] == names(f"{s3_url}/data/a.parquet")
    assert ["a.parquet", "ab.parquet", "b.parquet", "c.parquet"] == names(f"{s3_url}/data/")
    assert ["a.parquet", "ab.parquet", "b.parquet", "c.parquet"] == names(f"{s3_url}/data")
    assert ["a.parquet", "ab.parquet"] == names(f"{s3_url}/data/a*.parquet")
    assert ["a.parquet", "b.parquet"] == names(f"{s3_url}/data/[ab].parquet")
    assert ["a.parquet", "ab.parquet", "b.parquet", "f.parquet"] == names(f"{s3_url}/data*/?*.parquet")
    assert ["c.parquet"] == names(f"{s3_url}/**/deep/*.parquet")


def test_a_file_whose_name_says_nothing_is_known_by_its_first_bytes(s3_url: str, put: Put) -> None:
    put("table", parquet(3))
    put("words", b"some words")
    assert "parquet" == find_files(f"{s3_url}/table").format
    with pytest.raises(InvalidDataset, match="is not known by its name"):
        find_files(f"{s3_url}/words")


@pytest.mark.parametrize("where", ["", "/nothing", "/nothing/*.csv", "/nothing.parquet"])
def test_where_there_is_nothing_that_is_said(s3_url: str, where: str) -> None:
    with pytest.raises(InvalidDataset) as caught:
        find_files(s3_url + where)
    assert f"there are no data files at {s3_url + where!r}" == caught.value.what


def test_a_change_is_noticed_by_the_etag(s3_url: str, put: Put) -> None:
    put("t.parquet", parquet(300))
    ref = inspect(f"{s3_url}/t.parquet", target="c1").store(Storage(s3_url))
    validate(ref, target="c1", storage=Storage(s3_url))
    assert 300 == len(load(ref, Storage(s3_url)))
    put("t.parquet", parquet(300, compression="none"))
    with pytest.raises(InvalidDataset, match="have changed since the job was launched"):
        validate(ref, target="c1", storage=Storage(s3_url))


def test_a_file_that_changes_between_two_reads_is_not_mixed(s3_url: str, put: Put) -> None:
    put("t.parquet", parquet(300))
    files = find_files(f"{s3_url}/t.parquet")
    put("t.parquet", parquet(300, compression="none"))
    with pytest.raises(InvalidDataset) as caught:
        read_all(files)
    assert f"'{s3_url}/t.parquet' could not be read: it was changed while it was read" == caught.value.what


def test_csv_compressed_or_not_reads_as_a_local_one(s3_url: str, put: Put) -> None:
    frame = pd.DataFrame({"x": range(1000), "y": [f"word {i}" for i in range(1000)]})
    text = frame.to_csv(index=False).encode()
    put("t.csv", text)
    put("t.csv.gz", gzip.compress(text))
    for name in ("t.csv", "t.csv.gz"):
        pd.testing.assert_frame_equal(frame, read_all(find_files(f"{s3_url}/{name}")).to_pandas())


def test_one_column_is_read_without_the_others(s3_url: str, put: Put, fetched: list[int]) -> None:
    data = parquet(200_000, columns=8, row_group_size=50_000, compression="none", use_dictionary=False)
    put("t.parquet", data)
    files = find_files(f"{s3_url}/t.parquet")
    assert 200_000 == sum(len(chunk) for chunk in read_column(files, "c3"))
    assert sum(fetched) < len(data) / 4


def test_the_first_rows_are_read_without_the_rest(s3_url: str, put: Put, fetched: list[int]) -> None:
    data = parquet(400_000, columns=8, row_group_size=20_000, compression="none", use_dictionary=False)
    put("t.parquet", data)
    assert 100 == len(read_head(find_files(f"{s3_url}/t.parquet"), 100))
    assert sum(fetched) < len(data) / 2


def test_a_large_file_is_read_by_few_requests(s3_url: str, put: Put, fetched: list[int]) -> None:
    data = parquet(400_000, columns=8, row_group_size=20_000, compression="none", use_dictionary=False)
    put("t.parquet", data)
    assert 400_000 == len(read_all(find_files(f"{s3_url}/t.parquet")))
    assert len(fetched) < 8
    assert sum(fetched) < len(data) * 1.1


def test_a_truncated_file_is_named(s3_url: str, put: Put) -> None:
    put("t.parquet", parquet(1000)[:-100])
    with pytest.raises(
        InvalidDataset, match=f"'{s3_url}/t.parquet' is truncated, corrupt or no parquet file"
    ):
        inspect(f"{s3_url}/t.parquet")


def test_a_server_that_goes_away_is_not_taken_for_a_corrupt_file(
    s3_url: str, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("t.parquet", parquet(1000))
    files = find_files(f"{s3_url}/t.parquet")
    monkeypatch.setattr("mltemporal.storage.s3._ATTEMPTS", 2)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(ServiceUnavailable) as caught:
        read_all(files)
    assert (
        f"'{s3_url}/t.parquet' could not be read: the server http://127.0.0.1:9 cannot be reached"
    ) == caught.value.what


def test_keys_that_may_not_read_are_told(
    s3_url: str, s3: S3Server, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("t.parquet", parquet(3))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(InvalidDataset) as caught:
        inspect(f"{s3_url}/t.parquet")
    assert (
        f"'{s3_url}/t.parquet' could not be read: the secret key does not belong to the access key"
    ) == caught.value.what


def test_a_listing_is_not_held_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty pages of a thousand keys that are no data, and one file that is."""
    entry = "<Contents><Key>data/{}</Key><Size>1</Size><ETag>e</ETag></Contents>"

    def page(_: str, path: str, __: dict[str, str]) -> tuple[int, bytes]:
        token = re.search(r"continuation-token=(\d+)", path)
        number = int(token[1]) if token else 0
        keys = [f"{number:03}-{i:04}-{'long' * 20}.txt" for i in range(1000)]
        more = number < 20
        end = f"<NextContinuationToken>{number + 1}</NextContinuationToken>" if more else ""
        body = "".join(map(entry.format, keys if more else ["z.parquet"]))
        if first := "max-keys=1&" in f"{path}&":
            body = entry.format(keys[0])
        truncated = str(more and not first).lower()
        text = f"<ListBucketResult><IsTruncated>{truncated}</IsTruncated>{end}{body}</ListBucketResult>"
        return 200, text.encode()

    with scripted(page) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ADMINKEY")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "admin-secret")
        tracemalloc.start()
        try:
            found = find_files("s3://bucket/data")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert ["z.parquet"] == [file.name for file in found.files]
    assert peak < 20 << 20
