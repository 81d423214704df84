"""The rows as they are read: one schema over all files, batches of a shard in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mltemporal.dataset.files import Files
from mltemporal.dataset.parquet_files import parquet
from mltemporal.dataset.partitions import partition_field
from mltemporal.dataset.shards import csv_schema, shard_batches
from mltemporal.errors import InvalidDataset
from mltemporal.specs import Shard

BATCH_ROWS = 65_536


def schema_of(files: Files) -> Any:
    """Return the arrow schema that all files fit, the columns of folder names last.

    For CSV, that takes reading everything once.

    Raises:
        InvalidDataset: a column's types do not go together, or a file does not parse.
    """
    import pyarrow as pa

    if files.format == "csv":
        return pa.schema(list(csv_schema(files).items()))
    with ThreadPoolExecutor(min(16, len(files.files))) as pool:
        schemas = list(pool.map(_parquet_schema, files.files))
    try:
        schema = pa.unify_schemas(schemas, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise InvalidDataset(
            f"a column of the files at {files.uri!r} has types that do not go together: {error}",
            "write the files with the same types",
        ) from error
    for name, values in files.partitions.items():
        if name not in schema.names:
            schema = schema.append(partition_field(name, values))
    return schema


def batches(files: Files, shard: Shard, schema: Any, columns: Sequence[str]) -> Iterator[Any]:
    """Yield the shard's rows in order as arrow tables of ``columns``, with the types that `read_as` gives.

    Raises:
        InvalidDataset: the file is gone, does not parse, or has other columns than at the start.
    """
    import pyarrow as pa

    wanted = pa.schema([read_as(schema.field(name)) for name in columns])
    types = dict(zip(schema.names, schema.types, strict=True)) if files.format == "csv" else None
    for batch in shard_batches(files, shard, columns=list(columns), batch_rows=BATCH_ROWS, types=types):
        yield fitting(pa.Table.from_batches([batch]), wanted, f"{files.files[shard.file].path!r}")


def read_as(field: Any) -> Any:
    """Return the field as it goes through the steps: categories as their values, durations in microseconds."""
    import pyarrow as pa

    if pa.types.is_dictionary(field.type):
        return pa.field(field.name, field.type.value_type)
    if pa.types.is_duration(field.type):
        return pa.field(field.name, pa.int64())
    return pa.field(field.name, field.type)


def restored(field: Any, schema: Any) -> Any:
    """Return a field that comes out of the steps with what they do not keep: a time zone, that it is a duration."""
    import pyarrow as pa

    if field.name not in schema.names:
        return field
    before = schema.field(field.name).type
    zoned = (
        pa.types.is_timestamp(before) and before.tz and pa.types.is_timestamp(field.type) and field.type.tz
    )
    lasting = pa.types.is_duration(before) and field.type == pa.int64()
    return pa.field(field.name, before) if (zoned or lasting) else field


def fitting(table: Any, wanted: Any, what: str) -> Any:
    """Return the table with the types that are ``wanted``.

    Raises:
        InvalidDataset: a value does not fit; ``what`` says whose.
    """
    import pyarrow as pa

    columns = []
    for field in wanted:
        column = table.column(field.name)
        if column.type != field.type:
            try:
                column = _cast(column, field.type)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise InvalidDataset(
                    f"{what} has {field.name!r} as {column.type}, which does not fit {field.type}: {error}",
                    "give the column one type",
                ) from error
        columns.append(column)
    return pa.Table.from_arrays(columns, schema=wanted)


def _cast(column: Any, type_: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_duration(column.type) and type_ == pa.int64():
        return column.cast(pa.duration("us"), safe=False).cast(type_)
    if pa.types.is_duration(type_) and column.type == pa.int64():
        return column.cast(pa.duration("us")).cast(type_, safe=False)
    return column.cast(type_)


def _parquet_schema(file: Any) -> Any:
    with parquet(file) as opened:
        return opened.schema_arrow.remove_metadata()
