"""The rows as they are read: one schema over all files, batches of a shard in order."""

from __future__ import annotations

import glob
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from mltemporal.dataset.files import Files
from mltemporal.dataset.parquet_files import parquet
from mltemporal.dataset.partitions import partition_field
from mltemporal.dataset.shards import csv_schema, shard_batches
from mltemporal.errors import InvalidDataset
from mltemporal.preparation.engine import BATCH_ROWS, literal, quoted
from mltemporal.preparation.naming import ROW
from mltemporal.specs.data import Shard


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


def batches(files: Files, shard: Shard, schema: Any, columns: Sequence[str]) -> Generator[Any, None, None]:
    """Yield the shard's rows in order as arrow tables of ``columns``, with the types that `read_as` gives.

    Raises:
        InvalidDataset: the file is gone, does not parse, or has other columns than at the start.
    """
    import pyarrow as pa

    wanted = pa.schema([read_as(schema.field(name)) for name in columns])
    types = dict(zip(schema.names, schema.types, strict=True)) if files.format == "csv" else None
    for batch in shard_batches(files, shard, columns=list(columns), batch_rows=BATCH_ROWS, types=types):
        yield fitting(pa.Table.from_batches([batch]), wanted, f"{files.files[shard.file].path!r}")


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Rows of a local parquet file, which DuckDB reads by itself: twice as fast as by way of arrow."""

    path: str
    first_row: int
    rows: int
    constants: dict[str, Any]
    """The columns that the names of its folders give."""
    own: frozenset[str]
    """Its own columns."""

    def query(self, schema: Any, types: Mapping[str, str], *, numbered: bool) -> str:
        """Return a SELECT of the rows in order, with the ``types`` that DuckDB calls those of `read_as`.

        Args:
            numbered: whether there is a column `ROW`, the row's number in the shard.
        """
        columns = [f"CAST({self._value(name)} AS {types[name]}) AS {quoted(name)}" for name in schema.names]
        if numbered:
            columns.append(f"file_row_number - {self.first_row} AS {quoted(ROW)}")
        return (
            f"SELECT {', '.join(columns)} FROM read_parquet({literal(self.path)}, file_row_number = true, "
            f"hive_partitioning = false) WHERE file_row_number >= {self.first_row} "
            f"AND file_row_number < {self.first_row + self.rows} "
            f"LIMIT {self.rows}"  # no filter passes it, to be decided by statistics that know no NaN
        )

    def _value(self, name: str) -> str:
        if name in self.own:
            return quoted(name)
        value = self.constants[name]
        return "NULL" if value is None else literal(str(value))


def stretch(files: Files, shard: Shard, schema: Any) -> Stretch | None:
    """Return the shard as rows that DuckDB can read; None where arrow must: CSV, S3, uncommon types."""
    file = files.files[shard.file]
    alone = replace(files, files=(file,))
    if not readable(alone) or not all(map(_read_alike, schema.types)):
        return None
    with parquet(file) as opened:
        footer, own = opened.metadata, frozenset(opened.schema_arrow.names)
        rows = [footer.row_group(group).num_rows for group in range(footer.num_row_groups)]
        if not all(map(_read_alike, opened.schema_arrow.types)):
            return None
    first = shard.row_groups[0] if shard.row_groups else 0
    count = len(shard.row_groups) or len(rows)
    if not own <= set(schema.names) or (
        shard.row_groups and list(shard.row_groups) != list(range(first, first + count))
    ):
        return None
    return Stretch(
        path=file.path,
        first_row=sum(rows[:first]),
        rows=sum(rows[first : first + count]),
        constants={name: values[shard.file] for name, values in files.partitions.items()},
        own=own,
    )


def readable(files: Files) -> list[str]:
    """Return the paths of the files that DuckDB can read; it takes those with a star in them for several."""
    if files.format != "parquet":
        return []
    return [
        file.path
        for file in files.files
        if not file.path.startswith("s3://") and not glob.has_magic(file.path)
    ]


def _read_alike(type_: Any) -> bool:
    """Whether DuckDB and arrow read columns of this type as the same values, whatever the file's writer."""
    import pyarrow.types as kinds

    if kinds.is_dictionary(type_):
        return _read_alike(type_.value_type)
    plain = (kinds.is_integer, kinds.is_boolean, kinds.is_date32, kinds.is_timestamp, kinds.is_decimal128)
    text = (kinds.is_string, kinds.is_large_string, kinds.is_float32, kinds.is_float64)
    return any(is_kind(type_) for is_kind in (*plain, *text))


def read_as(field: Any) -> Any:
    """Return the field as it goes through the steps: categories as values, durations in microseconds."""
    import pyarrow as pa

    if pa.types.is_dictionary(field.type):
        return pa.field(field.name, field.type.value_type)
    if pa.types.is_duration(field.type):
        return pa.field(field.name, pa.int64())
    return pa.field(field.name, field.type)


def restored(field: Any, schema: Any) -> Any:
    """Return a field of the output with what the steps do not keep: its time zone, that it is a duration."""
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
