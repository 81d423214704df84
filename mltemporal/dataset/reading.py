"""Files of one format read as one table: whole, from the start, or one column as a stream.

Folders named ``key=value`` (as Hive and Spark write them) become columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from mltemporal.dataset.csv_files import csv_batches, csv_head, csv_sample, csv_table, scan_csv
from mltemporal.dataset.files import File, Files, find_files
from mltemporal.dataset.parquet_files import parquet, parquet_batches
from mltemporal.dataset.partitions import partition_field
from mltemporal.errors import InvalidDataset


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
    for name, values in files.partitions.items():
        if name not in schema.names:
            schema = schema.append(partition_field(name, values))
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


def read_files(uri: str, limit: int | None = None) -> Any:
    """Return the rows of the files at ``uri``, or its first ``limit`` ones, as an arrow table.

    Raises:
        InvalidDataset: there are no such files, or one does not parse.
    """
    files = find_files(uri)
    return read_all(files) if limit is None else read_head(files, limit)


def read_column(files: Files, name: str) -> Iterator[Any]:
    """Yield one column's values as arrow arrays (those of CSV files as text), file after file."""
    import pyarrow as pa

    partition = files.partitions.get(name)
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


def _with_partitions(files: Files, i: int, table: Any) -> Any:
    import pyarrow as pa

    for name, values in files.partitions.items():
        if name not in table.schema.names:
            field = partition_field(name, values)
            table = table.append_column(field, pa.repeat(pa.scalar(values[i], field.type), len(table)))
    return table
