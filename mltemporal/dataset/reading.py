"""Files of one format read as one table: whole, from the start, or one column as a stream.

Folders named ``key=value`` (as Hive and Spark write them) become columns.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from mltemporal.dataset.csv_files import csv_batches, csv_head, csv_sample, csv_table, scan_csv
from mltemporal.dataset.files import File, Files
from mltemporal.dataset.parquet_files import parquet, parquet_batches
from mltemporal.errors import InvalidDataset

_PARTITION = re.compile(r"(\w+)=(.*)")
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What is known of files without reading all their rows."""

    schema: Any
    rows: int
    """-1 where it would take reading everything."""


def shape_of(files: Files, *, count: bool = True) -> Shape:
    """Return schema and number of rows; to ``count`` them, small CSV files are read to their end.

    Raises:
        InvalidDataset: a file does not parse, is truncated, or its columns are not those of the first.
    """
    with ThreadPoolExecutor(min(16, len(files.files))) as pool:
        shapes = list(pool.map(_parquet_shape if files.format == "parquet" else _csv_shape, files.files))
    for file, shape in zip(files.files, shapes, strict=True):
        _same_columns(files.files[0], shapes[0].schema.names, file, shape.schema.names)
    rows = -1
    if files.format == "parquet":
        rows = sum(shape.rows for shape in shapes)
    elif count and files.small:
        rows = scan(files)
    elif not any(shape.rows for shape in shapes):
        rows = 0
    schema = shapes[0].schema
    for name, values in _partitions(files).items():
        if name not in schema.names:
            schema = schema.append(_field(name, values))
    return Shape(schema=schema, rows=rows)


def scan(files: Files, beat: Callable[[], None] = lambda: None) -> int:
    """Read CSV files to their end and return the number of rows; calls ``beat`` after each block.

    Raises:
        InvalidDataset: a row does not parse; names file and row.
    """
    return sum(scan_csv(file, beat) for file in files.files)


def read_all(files: Files) -> Any:
    """Return everything as one arrow table.

    Raises:
        InvalidDataset: a file does not parse, or a column's types do not go together.
    """
    remote = files.uri.startswith("s3://")  # many small files are many waits for an answer
    with ThreadPoolExecutor(8 if remote else 1) as pool:
        tables = list(pool.map(lambda file: _read_file(files, file), files.files))
    return _joined(files, [_with_partitions(files, i, table) for i, table in enumerate(tables)])


def read_head(files: Files, limit: int) -> Any:
    """Return about the first ``limit`` rows as an arrow table."""
    import pyarrow as pa

    tables: list[Any] = []
    for i, file in enumerate(files.files):
        wanted = limit - sum(len(table) for table in tables)
        if wanted <= 0:
            break
        batches = []
        if files.format == "csv":
            batches = csv_sample(file, wanted)
        else:
            for batch in parquet_batches(file):
                batches.append(batch)
                if sum(map(len, batches)) >= wanted:
                    break
        if batches:
            tables.append(_with_partitions(files, i, pa.Table.from_batches(batches)))
    return _joined(files, tables).slice(0, limit)


def read_column(files: Files, name: str) -> Iterator[Any]:
    """Yield one column's values as arrow arrays (those of CSV files as text), file after file."""
    import pyarrow as pa

    partition = _partitions(files).get(name)
    for i, file in enumerate(files.files):
        if partition:
            yield pa.array([partition[i]])
        else:
            batches = csv_batches(file, [name]) if files.format == "csv" else parquet_batches(file, [name])
            for batch in batches:
                yield batch.column(0)


def read_parquet(path: Any) -> Any:
    """Return a stored parquet object as an arrow table.

    Raises:
        pyarrow.ArrowException: it is no parquet file; objects are verified, so that is a defect of ours.
    """
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        return file.read()


def _parquet_shape(file: File) -> Shape:
    with parquet(file) as opened:
        return Shape(schema=opened.schema_arrow, rows=opened.metadata.num_rows)


def _csv_shape(file: File) -> Shape:
    head = csv_head(file)
    return Shape(schema=head.schema, rows=len(head))


def _read_file(files: Files, file: File) -> Any:
    if files.format == "csv":
        return csv_table(file)
    with parquet(file, whole=True) as opened:
        return opened.read()


def _joined(files: Files, tables: list[Any]) -> Any:
    import pyarrow as pa

    if len(tables) == 1:
        return tables[0]
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise InvalidDataset(
            f"a column of the files at {files.uri!r} has types that do not go together: {error}",
            "write the files with the same types, or pass one DataFrame",
        ) from error


def _same_columns(first: File, expected: list[str], file: File, names: list[str]) -> None:
    if sorted(names) != sorted(expected):
        differing = (
            ", ".join(repr(name) for name in sorted(set(names) ^ set(expected))) or "one of them twice"
        )
        raise InvalidDataset(
            f"{file.path!r} has other columns than {first.name!r}; they differ in {differing}",
            "pass files with the same columns",
        )


def _partitions(files: Files) -> dict[str, list[Any]]:
    """Return the columns that folder names give: a value a file."""
    base = files.uri.split("/")
    depth = next((i for i, part in enumerate(base) if glob.has_magic(part)), len(base))
    found = [
        {part[1]: part[2] for part in map(_PARTITION.fullmatch, file.path.split("/")[depth:-1]) if part}
        for file in files.files
    ]
    columns: dict[str, list[Any]] = {}
    for name in found[0]:
        values = [None if (value := one.get(name, _NO_VALUE)) == _NO_VALUE else value for one in found]
        whole = all(value is None or re.fullmatch(r"-?(0|[1-9]\d{0,17})", value) for value in values)
        columns[name] = [int(value) if value is not None and whole else value for value in values]
    return columns


def _with_partitions(files: Files, i: int, table: Any) -> Any:
    import pyarrow as pa

    for name, values in _partitions(files).items():
        if name not in table.schema.names:
            field = _field(name, values)
            table = table.append_column(field, pa.repeat(pa.scalar(values[i], field.type), len(table)))
    return table


def _field(name: str, values: list[Any]) -> Any:
    import pyarrow as pa

    return pa.field(name, pa.int64() if any(isinstance(value, int) for value in values) else pa.string())
