"""One shard's rows on their way through the steps: read by the fastest way there is, in batches, in order."""

from __future__ import annotations

from collections.abc import Collection, Generator
from contextlib import closing
from typing import Any

from mltemporal.dataset.files import Files
from mltemporal.errors import InvalidDataset
from mltemporal.preparation.engine import Engine, first_line, memory_told
from mltemporal.preparation.fitted import Fitted
from mltemporal.preparation.naming import ROW
from mltemporal.preparation.sources import batches, read_as, stretch
from mltemporal.preparation.stages import Pipeline, numbered, pipeline
from mltemporal.specs.data import Shard


class Rows:
    """A shard, stepped through by an engine that may read its file.

    Local parquet files DuckDB reads by itself, in the same statement as the first steps; anything else
    comes as arrow batches. The rows that come out are the same.
    """

    def __init__(self, fitted: Fitted, files: Files, shard: Shard, engine: Engine) -> None:
        self._fitted, self._files, self._shard, self._engine = fitted, files, shard, engine
        self._stretch = stretch(files, shard, fitted.schema)
        self.read = 0
        """How many rows were read so far; all of them once `tables` has ended."""

    def tables(
        self, *, upto: int | None = None, wanted: Collection[str] | None = None
    ) -> Generator[Any, None, None]:
        """Yield the rows as the first ``upto`` steps (None: all) leave them, in tables that are not empty.

        Args:
            wanted: the columns that must be among them; None: all.

        Raises:
            InvalidDataset: the file does not parse, or a value does not fit a step.
            Exception: whatever a function or a transformer raises.
        """
        prepared = pipeline(self._fitted, self._engine, shard=self._shard.index, upto=upto, wanted=wanted)
        reading = self._in_batches(prepared) if self._stretch is None else self._by_duckdb(prepared)
        with closing(reading) as tables:
            for table in tables:
                result = prepared.after_head(table)
                if result is not None:
                    yield result

    def _by_duckdb(self, prepared: Pipeline) -> Generator[Any, None, None]:
        import duckdb

        assert self._stretch is not None
        schema = self._fitted.schema
        types = self._engine.types(_read(schema).empty_table())
        source = self._stretch.query(schema, types, numbered=numbered(self._fitted))
        try:
            with memory_told():
                yield from self._engine.scan(prepared.head.over(f"({source})"))
        except duckdb.Error as error:
            with closing(self._in_batches(prepared)) as tables:  # it fails there, too, and says where
                for _ in tables:
                    pass
            raise InvalidDataset(
                f"{self._stretch.path!r} could not be read: {first_line(error)}", "write it again"
            ) from error
        self.read = self._stretch.rows

    def _in_batches(self, prepared: Pipeline) -> Generator[Any, None, None]:
        import numpy as np
        import pyarrow as pa

        self.read = 0
        schema = self._fitted.schema
        with closing(batches(self._files, self._shard, schema, schema.names)) as read:
            for batch in read:
                table = batch
                if numbered(self._fitted):
                    numbers = np.arange(self.read, self.read + table.num_rows, dtype=np.int64)
                    table = table.append_column(ROW, pa.array(numbers))
                self.read += table.num_rows
                yield prepared.head(table)


def _read(schema: Any) -> Any:
    import pyarrow as pa

    return pa.schema([read_as(field) for field in schema])
