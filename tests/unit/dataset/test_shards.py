"""A dataset in parts: planned from the footers, read as streams, each row once and in order."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from services.s3 import S3Server

from mltemporal.dataset import shards as module
from mltemporal.dataset.checking import inspect
from mltemporal.dataset.files import Files, find_files
from mltemporal.dataset.loading import load
from mltemporal.dataset.shards import csv_schema, opened_dataset, plan_shards, shard_batches
from mltemporal.errors import InvalidDataset
from mltemporal.specs.data import Shard
from mltemporal.storage.content import Storage

Write = Callable[..., None]


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path / "storage"))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a parquet file of whole numbers from ``first`` on, or a text."""

    def write(name: str, rows: int | str, *, first: int = 0, group: int = 10) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(rows, str):
            path.write_text(rows)
        else:
            values = list(range(first, first + rows))
            table = pa.table({"n": pa.array(values, pa.int64()), "word": [f"w{n}" for n in values]})
            pq.write_table(table, path, row_group_size=group)

    return write


def rows_of(files: Files, shard: Shard, **options: Any) -> list[dict[str, Any]]:
    return [row for batch in shard_batches(files, shard, **options) for row in batch.to_pylist()]


def all_rows(files: Files, **options: Any) -> list[dict[str, Any]]:
    return [row for shard in plan_shards(files) for row in rows_of(files, shard, **options)]


def test_row_groups_are_cut_into_about_as_many_shards_as_wanted(write: Write, tmp_path: Path) -> None:
    write("a.parquet", 100)
    files = find_files(str(tmp_path / "a.parquet"))
    planned = plan_shards(files, shards=4)
    assert [30, 20, 30, 20] == [shard.rows for shard in planned]
    assert [0, 30, 50, 80] == [shard.first_row for shard in planned]
    assert [0, 1, 2, 3] == [shard.index for shard in planned]
    assert list(range(100)) == [row["n"] for shard in planned for row in rows_of(files, shard)]
    assert planned == plan_shards(files, shards=4)
    assert (1, 10) == (len(plan_shards(files, shards=1)), len(plan_shards(files, shards=1000)))


def test_a_shard_is_bounded_in_rows_and_in_bytes(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("a.parquet", 100)
    files = find_files(str(tmp_path / "a.parquet"))
    assert (Shard(index=0, file=0, first_row=0, rows=100),) == plan_shards(files)
    monkeypatch.setattr(module, "SHARD_ROWS", 50)
    assert [50, 50] == [shard.rows for shard in plan_shards(files)]
    monkeypatch.setattr(module, "SHARD_BYTES", 1)
    assert [10] * 10 == [shard.rows for shard in plan_shards(files)]


def test_a_shard_never_spans_files_and_a_file_without_rows_gives_none(write: Write, tmp_path: Path) -> None:
    for number, rows in enumerate((5, 0, 7)):
        write(f"{number}.parquet", rows, first=10 * number)
    files = find_files(str(tmp_path / "*.parquet"))
    planned = plan_shards(files, shards=1)
    assert [(0, 0, 5), (2, 5, 7)] == [(shard.file, shard.first_row, shard.rows) for shard in planned]
    assert [*range(5), *range(20, 27)] == [row["n"] for row in all_rows(files)]


def test_files_that_hold_no_rows_at_all_are_one_shard_without_rows(write: Write, tmp_path: Path) -> None:
    write("a.parquet", 0)
    files = find_files(str(tmp_path / "a.parquet"))
    assert [] == all_rows(files)
    assert [0] == [shard.rows for shard in plan_shards(files)]


def test_a_giant_row_group_comes_in_batches(write: Write, tmp_path: Path) -> None:
    write("a.parquet", 1000, group=1000)
    files = find_files(str(tmp_path / "a.parquet"))
    (shard,) = plan_shards(files, shards=8)
    sizes = [batch.num_rows for batch in shard_batches(files, shard, batch_rows=300)]
    assert (1000, True) == (sum(sizes), max(sizes) <= 300)


def test_columns_come_in_the_order_asked_for_those_of_folder_names_too(write: Write, tmp_path: Path) -> None:
    write("data/year=2020/a.parquet", 2)
    write("data/year=2021/a.parquet", 1, first=2)
    files = find_files(str(tmp_path / "data"))
    assert [["n", "word", "year"]] * 3 == [list(row) for row in all_rows(files)]
    rows = all_rows(files, columns=["year", "n"])
    assert [{"year": 2020, "n": 0}, {"year": 2020, "n": 1}, {"year": 2021, "n": 2}] == rows
    assert ["year"] == list(rows_of(files, plan_shards(files)[0], columns=["year"])[0])


@pytest.mark.parametrize("name", ["a.parquet", "a.csv"])
def test_a_column_that_is_missing_is_named(write: Write, tmp_path: Path, name: str) -> None:
    write(name, 2 if name == "a.parquet" else "n,word\n1,x\n")
    files = find_files(str(tmp_path / name))
    with pytest.raises(InvalidDataset, match=r"has no column 'age'\n.*it has 'n', 'word'"):
        rows_of(files, plan_shards(files)[0], columns=["n", "age"])


def test_a_csv_file_is_a_shard_with_the_types_that_training_sees(
    write: Write, tmp_path: Path, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mltemporal.dataset.csv_files._BLOCK_BYTES", 64)
    late = "".join(f"{n},{n},2024-01-01,\n" for n in range(30)) + "1.5,7,soon,x\n"
    write("data/a.csv", f"number,whole,day,note\n{late}")
    write("data/b.csv", "number,whole,day,note\n1,2,never,\n")
    ref = inspect(str(tmp_path / "data")).store(storage)
    expected = load(ref, storage)
    with opened_dataset(ref, storage) as files:
        planned = plan_shards(files)
        assert [(0, -1), (1, -1)] == [(shard.file, shard.rows) for shard in planned]
        batches = [batch for shard in planned for batch in shard_batches(files, shard)]
        types = {"number": pa.float64(), "whole": pa.int64(), "day": pa.string(), "note": pa.string()}
        assert types == csv_schema(files)
    assert {pa.schema(list(types.items()))} == {batch.schema for batch in batches}
    pd.testing.assert_frame_equal(expected, pa.Table.from_batches(batches).to_pandas())


def test_types_of_csv_files_that_do_not_go_together_are_refused(write: Write, tmp_path: Path) -> None:
    write("data/a.csv", "n,m\n1,1\n")
    write("data/b.csv", "n,m\nx,1\n")
    with pytest.raises(InvalidDataset, match="types that do not go together"):
        csv_schema(find_files(str(tmp_path / "data")))


def test_a_stored_table_is_one_parquet_file(storage: Storage) -> None:
    ref = inspect(pd.DataFrame({"a": [1, 2, 3], "b": list("xyz")})).store(storage)
    with opened_dataset(ref, storage) as files:
        (shard,) = plan_shards(files)
        assert [{"b": "x"}, {"b": "y"}, {"b": "z"}] == rows_of(files, shard, columns=["b"])


def test_files_that_have_changed_since_the_launch_are_refused(
    write: Write, tmp_path: Path, storage: Storage
) -> None:
    write("a.parquet", 10)
    ref = inspect(str(tmp_path / "a.parquet")).store(storage)
    write("a.parquet", 11)
    with pytest.raises(InvalidDataset, match="have changed"), opened_dataset(ref, storage):
        pass


def test_a_dataset_in_s3_is_planned_and_read_without_a_copy(
    s3: S3Server, s3_url: str, write: Write, tmp_path: Path
) -> None:
    write("a.parquet", 100)
    key = s3_url.removeprefix(f"s3://{s3.bucket}/")
    data = (tmp_path / "a.parquet").read_bytes()
    s3.client().put_object(Bucket=s3.bucket, Key=f"{key}/day=1/a.parquet", Body=data)
    files = find_files(s3_url)
    rows = [row for shard in plan_shards(files, shards=3) for row in rows_of(files, shard)]
    assert list(range(100)) == [row["n"] for row in rows]
    assert {"n": 99, "word": "w99", "day": 1} == rows[-1]
