"""Fitted steps applied to one shard: read, stepped through, written, a batch at a time."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from mltemporal.dataset.files import Files
from mltemporal.preparation.engine import Engine
from mltemporal.preparation.fitted import Fitted
from mltemporal.preparation.naming import TEST
from mltemporal.preparation.rows import Rows
from mltemporal.preparation.sources import fitting, readable
from mltemporal.specs.data import Shard

ROW_GROUP_ROWS = 120_000
"""Readers hold a row group's columns at once, so groups are kept small."""


def apply_shard(
    fitted: Fitted,
    files: Files,
    shard: Shard,
    write: Mapping[str, Path],
    *,
    memory_mib: int = 256,
    threads: int = 1,  # noqa: ARG001  (shards run side by side; within one, rows keep their order)
    scratch: str,
) -> dict[str, int]:
    """Apply the steps to a shard and write a parquet file for each part, rows in order. Idempotent.

    Args:
        write: part (``dataset``, or ``train`` and ``test``) to the local file that is written.
        memory_mib: what the engine may hold before it spills into ``scratch``.

    Returns:
        The number of rows of each part, and of those read as ``rows_in``.

    Raises:
        InvalidDataset: the file does not parse, or a value does not fit.
        Exception: whatever a function or a transformer raises.
    """
    rows = {"rows_in": 0, **dict.fromkeys(write, 0)}
    with ExitStack() as stack:
        alone = replace(files, files=(files.files[shard.file],))
        engine = stack.enter_context(Engine(memory_mib=memory_mib, scratch=scratch, readable=readable(alone)))
        source = Rows(fitted, files, shard, engine)
        parts = {part: stack.enter_context(_Part(path, fitted.output)) for part, path in write.items()}
        for table in stack.enter_context(closing(source.tables())):
            for part, made in _by_part(table):
                rows[part] += made.num_rows
                parts[part].add(made)
        rows["rows_in"] = source.read
    return rows


def _by_part(table: Any) -> list[tuple[str, Any]]:
    import pyarrow.compute as pc

    if TEST not in table.column_names:
        return [("dataset", table)]
    test = table.column(TEST)
    return [("train", table.filter(pc.invert(test))), ("test", table.filter(test))]


class _Part:
    """One parquet file, written in row groups of one size."""

    def __init__(self, path: Path, schema: Any) -> None:
        import pyarrow.parquet as pq
        import pyarrow.types as kinds

        # A dictionary of numbers costs more time than it saves space.
        text = [
            field.name for field in schema if kinds.is_string(field.type) or kinds.is_large_string(field.type)
        ]
        self._writer = pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=text or False)
        self._schema = schema
        self._waiting: list[Any] = []
        self._rows = 0

    def __enter__(self) -> _Part:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None and self._rows:
            self._write(self._rows)
        self._writer.close()

    def add(self, table: Any) -> None:
        """Append rows; the hidden columns are left out."""
        self._waiting.append(fitting(table, self._schema, "what the steps made"))
        self._rows += table.num_rows
        while self._rows >= ROW_GROUP_ROWS:
            self._write(ROW_GROUP_ROWS)

    def _write(self, rows: int) -> None:
        import pyarrow as pa

        table = pa.concat_tables(self._waiting)
        self._writer.write_table(table.slice(0, rows), row_group_size=rows)
        self._rows -= rows
        self._waiting = [table.slice(rows)] if self._rows else []
