"""Data files as a relation that DuckDB streams through in bounded memory.

Local parquet files DuckDB reads itself. CSV files and files in S3 come through our own readers, so that
their values are the ones that a training gets. Columns are named by position, ``c0``, ``c1`` …: names
that differ in case only are one name to DuckDB.
"""

from __future__ import annotations

import glob
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

from mltemporal.dataset.files import Files
from mltemporal.dataset.reading import shape_of
from mltemporal.dataset.shards import csv_schema, plan_shards, shard_batches
from mltemporal.errors import InvalidDataset, InvalidRequest, MLTemporalError
from mltemporal.profiling.kinds import TIMES, columns_of, kind_of

_BEAT_S = 0.5


@contextmanager
def scanning(
    files: Files, *, memory_mib: int, threads: int, scratch: str | None, beat: Callable[[], None]
) -> Iterator[Scan]:
    """Open ``files`` for queries; what DuckDB spills goes to ``scratch`` (by default the system's place).

    Raises:
        InvalidDataset: the files do not parse or their columns differ.
        ServiceUnavailable: S3 does not answer.
    """
    import duckdb

    beat()
    with tempfile.TemporaryDirectory(prefix="mltemporal-", dir=scratch) as folder:
        connection = duckdb.connect(
            config={
                "memory_limit": f"{memory_mib}MiB",
                "threads": str(threads),
                "temp_directory": folder,
                "preserve_insertion_order": "false",
                # The statistics of parquet files leave NaN out; by them there is none to be told apart.
                "disabled_optimizers": "statistics_propagation",
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
            }
        )
        try:
            yield Scan(files, connection, beat)
        finally:
            connection.close()


class Scan:
    """Queries over files whose rows are the relation ``rows``."""

    def __init__(self, files: Files, connection: Any, beat: Callable[[], None]) -> None:
        import pyarrow as pa

        self._files, self._connection, self._beat = files, connection, beat
        if files.format == "csv":
            self._schema = pa.schema(list(csv_schema(files).items()))
        else:
            self._schema = shape_of(files, count=False).schema
        self.columns = columns_of(self._schema)
        """The columns; ``rows`` has the first as ``c0``."""
        self.kinds = tuple(kind_of(column.type) for column in self.columns)
        self.streams = not _readable_by_duckdb(files, self._schema.names)
        """Whether the files are read through our own readers, once for each query."""
        if not self.streams:
            self._ask(_view(files, self._schema.names), ())
            self._refuse_mixed_types()

    def fetch(
        self, sql: str, params: Sequence[Any] = (), *, watch: Callable[[Any], None] | None = None
    ) -> list[Any]:
        """Return the rows that ``sql`` selects from ``rows``, as tuples.

        Args:
            watch: where the files `streams`, called with each record batch that passes by.

        Raises:
            InvalidDataset: a file does not parse, or the query needs more memory than allowed.
            ServiceUnavailable: S3 does not answer.
        """
        found: list[Any] = self._run(lambda: self._connection.execute(sql, list(params)).fetchall(), watch)
        return found

    def table(self, sql: str, rows: Any = None) -> Any:
        """Return what ``sql`` selects from ``rows`` as a ``pyarrow.Table``.

        Args:
            rows: a ``pyarrow.Table`` to select from instead of the files.
        """
        if rows is None:
            return self._run(lambda: self._connection.sql(sql).to_arrow_table(), None)
        named = rows.rename_columns([f"c{index}" for index in range(rows.num_columns)])
        with self._connection.cursor() as cursor:
            cursor.register("sampled", named)
            return cursor.sql(sql.replace("FROM rows", "FROM sampled")).to_arrow_table()

    def _run(self, query: Callable[[], Any], watch: Callable[[Any], None] | None) -> Any:
        troubles: list[MLTemporalError] = []
        if self.streams:
            self._connection.register("rows", self._reader(watch, troubles))
        return self._waited(query, troubles)

    def _ask(self, sql: str, params: Sequence[Any]) -> list[Any]:
        found: list[Any] = self._waited(lambda: self._connection.execute(sql, list(params)).fetchall(), [])
        return found

    def _waited(self, query: Callable[[], Any], troubles: list[MLTemporalError]) -> Any:
        """Run ``query`` beside this thread, which beats meanwhile: a query may take minutes."""
        import duckdb

        with ThreadPoolExecutor(1) as pool:
            running: Future[Any] = pool.submit(query)
            try:
                while not wait([running], timeout=_BEAT_S).done:
                    self._beat()
            except BaseException:
                self._connection.interrupt()
                raise
        try:
            return running.result()
        except duckdb.Error as error:
            if troubles:  # came through the stream, where an exception is only a text
                raise troubles[0] from error
            raise self._told(error) from error

    def _told(self, error: Exception) -> Exception:
        import duckdb

        first = str(error).splitlines()[0]
        if isinstance(error, duckdb.OutOfMemoryException):
            return InvalidRequest(
                f"looking at {self._files.uri!r} takes more memory or scratch space than allowed: {first}",
                "allow more memory, or free space for temporary files",
            )
        if isinstance(error, duckdb.IOException | duckdb.InvalidInputException | duckdb.ConversionException):
            return InvalidDataset(f"{self._files.uri!r} could not be read: {first}", "write the file again")
        return error

    def _refuse_mixed_types(self) -> None:
        described = self._ask("DESCRIBE rows", ())
        for column, kind, (_, found, *_) in zip(self.columns, self.kinds, described, strict=False):
            if found == "VARCHAR" and kind not in ("text", "other"):
                raise InvalidDataset(
                    f"column {column.name!r} is {column.type} in the first file and text in another",
                    "write the files with the same types",
                )

    def _reader(self, watch: Callable[[Any], None] | None, troubles: list[MLTemporalError]) -> Any:
        import pyarrow as pa

        schema = pa.schema([(f"c{index}", _plain(field.type)) for index, field in enumerate(self._schema)])
        return pa.RecordBatchReader.from_batches(schema, self._batches(schema, watch, troubles))

    def _batches(
        self, schema: Any, watch: Callable[[Any], None] | None, troubles: list[MLTemporalError]
    ) -> Iterator[Any]:
        types = {field.name: field.type for field in self._schema}
        try:
            for shard in plan_shards(self._files):
                for batch in shard_batches(self._files, shard, columns=self._schema.names, types=types):
                    plain = self._as_first(batch, schema)
                    if watch:
                        watch(plain)
                    yield plain
        except MLTemporalError as error:
            troubles.append(error)
            raise

    def _as_first(self, batch: Any, schema: Any) -> Any:
        """Return the batch with the plain types of the first file's columns."""
        import pyarrow as pa

        try:
            columns = [
                column if column.type == field.type else column.cast(field.type)
                for column, field in zip(batch.columns, schema, strict=True)
            ]
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise InvalidDataset(
                f"a column of the files at {self._files.uri!r} has types that do not go together: {error}",
                "write the files with the same types",
            ) from error
        return pa.RecordBatch.from_arrays(columns, schema=schema)


def values_of(kind: str, index: int) -> str:
    """Return the expression of a column's values: NaN is a missing one, times are microseconds since 1970."""
    if kind == "number":
        number = f"c{index}::DOUBLE"
        return f"CASE WHEN NOT isnan({number}) THEN {number} END"
    return f"epoch_us(c{index})" if kind in TIMES else f"c{index}"


def _readable_by_duckdb(files: Files, names: list[str]) -> bool:
    """Whether DuckDB can be given the paths: local parquet, no pattern, no names that differ in case only."""
    local = files.format == "parquet" and not any(
        file.path.startswith("s3://") or glob.has_magic(file.path) for file in files.files
    )
    return local and len({name.lower() for name in names}) == len(names)


def _view(files: Files, names: list[str]) -> str:
    """Return the statement that makes ``rows``: the columns by position, and where each row stands."""
    partitions = {name: values for name, values in files.partitions.items() if name not in _own_names(files)}
    chosen = [
        f"{'folder' if name in partitions else 'file'}.{_quoted(name)} AS c{index}"
        for index, name in enumerate(names)
    ]
    paths = ", ".join(_literal(file.path) for file in files.files)
    source = f"read_parquet([{paths}], union_by_name = true, hive_partitioning = false) AS file"
    if partitions:
        lines = ", ".join(
            f"({', '.join([str(index), *(_literal(values[index]) for values in partitions.values())])})"
            for index in range(len(files.files))
        )
        heads = ", ".join(["file_number", *(_quoted(name) for name in partitions)])
        source += f" JOIN (VALUES {lines}) AS folder({heads}) ON file.file_index = folder.file_number"
    chosen += ["file.file_index AS file_at", "file.file_row_number AS row_at"]
    return f"CREATE VIEW rows AS SELECT {', '.join(chosen)} FROM {source}"  # noqa: S608


def _own_names(files: Files) -> list[str]:
    from mltemporal.dataset.parquet_files import parquet

    with parquet(files.files[0]) as opened:
        names: list[str] = opened.schema_arrow.names
        return names


def _plain(type: Any) -> Any:
    """Return what DuckDB takes from a stream for an arrow type."""
    import pyarrow as pa

    if pa.types.is_dictionary(type):
        return _plain(type.value_type)
    if isinstance(type, pa.BaseExtensionType):
        return _plain(type.storage_type)
    return pa.float32() if pa.types.is_float16(type) else type


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return f"{value}::BIGINT"
    return "'" + str(value).replace("'", "''") + "'"
