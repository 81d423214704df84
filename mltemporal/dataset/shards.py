"""A dataset in parts that are worked on one by one: planned from the footers, read as streams.

A shard never spans files, and is a run of a parquet file's row groups or a whole CSV file. So a plan costs
the footers only, and the same files give the same plan, in every attempt and on every machine.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from mltemporal.dataset.csv_files import csv_head, csv_typed_batches, csv_types
from mltemporal.dataset.files import AHEAD_BYTES, File, Files
from mltemporal.dataset.loading import unchanged_files
from mltemporal.dataset.parquet_files import parquet
from mltemporal.dataset.partitions import partition_field
from mltemporal.errors import InvalidDataset
from mltemporal.specs.data import DatasetRef, Shard
from mltemporal.storage.content import Storage

SHARD_ROWS = 1 << 20
SHARD_BYTES = 64 << 20
"""A shard has about this many rows, or uncompressed bytes where that is less."""
BATCH_ROWS = 65_536

_BUFFER_BYTES = 1 << 20


@contextmanager
def opened_dataset(ref: DatasetRef, storage: Storage) -> Iterator[Files]:
    """Give the dataset's files: a stored table as one local parquet file, else the files referred to.

    A stored table is verified first, and one in S3 is downloaded for the block's length.

    Raises:
        InvalidDataset: referred files are gone or have changed since the launch.
        NotFound: the stored table is not in ``storage``.
        CorruptObject: the stored table's bytes are not the ones that were stored.
        ServiceUnavailable: storage or S3 does not answer.
    """
    if ref.object is None:
        files: Files = unchanged_files(ref)
        yield files
        return
    with storage.local_path(ref.object) as path:
        file = File(path=str(path), size_bytes=os.path.getsize(path), stamp=ref.object.sha256)
        yield Files(uri=file.path, format="parquet", files=(file,))


def plan_shards(files: Files, *, shards: int | None = None) -> tuple[Shard, ...]:
    """Return the shards of ``files`` in the order of their rows; at least one. Deterministic.

    A parquet file gives runs of row groups of about `SHARD_ROWS` rows or `SHARD_BYTES`; a file with one
    giant row group is one shard, which `shard_batches` streams all the same. A CSV file is one shard,
    and how many rows it has is not known. Files without rows give none.

    Args:
        shards: how many are wanted; there will be about as many, but one a file at least and one a row
            group at most.

    Raises:
        InvalidDataset: a file is gone, truncated or no parquet file.
        ServiceUnavailable: S3 does not answer.
    """
    if files.format == "csv":
        return tuple(Shard(index=i, file=i) for i in range(len(files.files)))
    with ThreadPoolExecutor(min(16, len(files.files))) as pool:
        footers = list(pool.map(_row_groups, files.files))
    total = sum(rows for footer in footers for rows, _ in footer)
    planned: list[Shard] = []
    first_row = 0
    for number, footer in enumerate(footers):
        for run in _runs(footer, _wanted(footer, shards, total)):
            rows = sum(footer[group][0] for group in run)
            groups = () if len(run) == len(footer) else tuple(run)
            planned.append(
                Shard(index=len(planned), file=number, row_groups=groups, first_row=first_row, rows=rows)
            )
            first_row += rows
    return tuple(planned) or (Shard(index=0, file=0, first_row=0, rows=0),)


def shard_batches(
    files: Files,
    shard: Shard,
    *,
    columns: Sequence[str] | None = None,
    batch_rows: int = BATCH_ROWS,
    types: Mapping[str, Any] | None = None,
) -> Iterator[Any]:
    """Yield the shard's rows in order, as ``pyarrow.RecordBatch`` of at most ``batch_rows`` rows.

    Streams: no more than a few batches are in memory, however large a row group is (a row group is
    the unit of compression, not of reading).

    Args:
        columns: which, in this order, those that folder names give included; None: all, in the file's
            order, those of folder names last.
        types: arrow types by name of CSV columns, as `csv_schema` returns them, where the caller has them
            already; without, they are inferred from all rows of all files, once a process.

    Raises:
        InvalidDataset: a column is missing, or the file is gone, truncated or does not parse.
        ServiceUnavailable: S3 does not answer.
    """
    reading = _csv_batches if files.format == "csv" else _parquet_batches
    with reading(files, shard, columns, types, batch_rows) as batches:
        for batch in batches:
            for start in range(0, batch.num_rows, batch_rows):
                yield _completed(files, shard, batch.slice(start, batch_rows), columns)


@lru_cache(maxsize=2)
def csv_schema(files: Files) -> dict[str, Any]:
    """Return the arrow types of CSV files' columns by name, as `load` infers them: from all rows.

    It reads everything once, in bounded memory; a column that is whole numbers in one file and fractions
    in another is of fractions. What runs in many processes should do this once and pass it on.

    Raises:
        InvalidDataset: a row does not parse, or a column's types do not go together.
    """
    import pyarrow as pa

    with ThreadPoolExecutor(min(os.cpu_count() or 1, len(files.files))) as pool:
        schemas = [pa.schema(list(types.items())) for types in pool.map(csv_types, files.files)]
    try:
        schema = pa.unify_schemas(schemas, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise InvalidDataset(
            f"a column of the files at {files.uri!r} has types that do not go together: {error}",
            "write the files with the same types, or as parquet",
        ) from error
    for name, values in files.partitions.items():
        if name not in schema.names:
            schema = schema.append(partition_field(name, values))
    return {field.name: field.type for field in schema}


def _row_groups(file: File) -> list[tuple[int, int]]:
    """Return rows and uncompressed bytes of each row group; none where there are no rows."""
    with parquet(file) as opened:
        footer = opened.metadata
        groups = [footer.row_group(i) for i in range(footer.num_row_groups)]
        return [(group.num_rows, group.total_byte_size) for group in groups] if footer.num_rows else []


def _wanted(footer: list[tuple[int, int]], shards: int | None, total: int) -> int:
    rows, size = (sum(each) for each in zip(*footer, strict=True)) if footer else (0, 0)
    if shards is not None:
        return max(1, round(shards * rows / max(1, total)))
    return max(1, math.ceil(rows / SHARD_ROWS), math.ceil(size / SHARD_BYTES))


def _runs(footer: list[tuple[int, int]], wanted: int) -> list[list[int]]:
    """Cut a file's row groups into at most ``wanted`` runs of about as many rows each."""
    total = sum(rows for rows, _ in footer)
    runs: dict[int, list[int]] = {}
    before = 0
    for group, (rows, _) in enumerate(footer):
        # By its middle, so that one row group more or less does not tip the balance.
        runs.setdefault((2 * before + rows) * wanted // (2 * total + 1), []).append(group)
        before += rows
    return list(runs.values())


@contextmanager
def _parquet_batches(
    files: Files, shard: Shard, columns: Sequence[str] | None, _types: Any, batch_rows: int
) -> Iterator[Any]:
    file = files.files[shard.file]
    remote = file.path.startswith("s3://")  # there, each read is a request
    with parquet(
        file,
        ahead_bytes=AHEAD_BYTES if remote and columns is None else 0,
        buffer_bytes=AHEAD_BYTES if remote else _BUFFER_BYTES,
    ) as opened:
        names = _own_columns(files, file, opened.schema_arrow.names, columns)
        groups = list(shard.row_groups) or range(opened.num_row_groups)
        yield opened.iter_batches(batch_size=batch_rows, row_groups=groups, columns=names)


@contextmanager
def _csv_batches(
    files: Files, shard: Shard, columns: Sequence[str] | None, types: Mapping[str, Any] | None, _rows: int
) -> Iterator[Any]:
    file = files.files[shard.file]
    names = _own_columns(files, file, csv_head(file).schema.names, columns)
    yield csv_typed_batches(file, csv_schema(files) if types is None else types, names)


def _own_columns(
    files: Files, file: File, names: list[str], columns: Sequence[str] | None
) -> list[str] | None:
    """Return which of ``columns`` the file itself has; the others come from its folders' names."""
    if columns is None:
        return None
    missing = [name for name in columns if name not in names and name not in files.partitions]
    if missing:
        raise InvalidDataset(
            f"{file.path!r} has no column {', '.join(map(repr, missing[:10]))}",
            f"it has {', '.join(map(repr, names[:10]))}{' and more' if len(names) > 10 else ''}",
        )
    return [name for name in columns if name in names]


def _completed(files: Files, shard: Shard, batch: Any, columns: Sequence[str] | None) -> Any:
    """Return the batch with what the names of its file's folders say, its columns in the order wanted."""
    import pyarrow as pa

    for name, values in files.partitions.items():
        if name not in batch.schema.names and (columns is None or name in columns):
            field = partition_field(name, values)
            value = pa.scalar(values[shard.file], field.type)
            batch = batch.append_column(field, pa.repeat(value, batch.num_rows))
    return batch if columns is None else batch.select(list(columns))
