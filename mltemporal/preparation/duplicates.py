"""Rows that occur before, exactly, over all shards, in bounded memory.

One pass keeps a hash of each row; another looks at the rows whose hash occurs twice, and compares them value
by value. What is dropped is written down as row numbers by shard, the first row in file order stays.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from mltemporal import steps
from mltemporal.preparation.compiling import visible
from mltemporal.preparation.engine import Engine, memory_told, quoted
from mltemporal.preparation.fitted import Fitted
from mltemporal.preparation.naming import ROW
from mltemporal.preparation.passes import Passes
from mltemporal.preparation.stages import pipeline
from mltemporal.preparation.state import State
from mltemporal.specs.data import Shard


def find_duplicates(passes: Passes, fitted: Fitted, place: int) -> Fitted:
    """Return ``fitted`` with the rows that the `drop_duplicates` at ``place`` drops."""
    step = fitted.plan.steps[place]
    assert isinstance(step, steps.DropDuplicates)
    with passes.engine() as engine:
        before = pipeline(fitted, engine, shard=passes.shards[0].index, upto=place)
        columns = step.columns or tuple(visible(dict.fromkeys(before.schema.names, "")))
        found = _Found(engine, columns)
        wanted = frozenset(columns)
        passes.each(fitted, place, found.keep_hashes, wanted)
        if found.suspects():
            passes.each(fitted, place, found.keep_rows, wanted)
        path = Path(passes.scratch) / f"duplicates-{uuid.uuid4().hex}.parquet"
        dropped = found.write(path)
    return fitted.learnt(place, State(), f"{dropped:,} rows that occur before were dropped.", file=path)


class _Found:
    """Hashes of all rows, and the rows that may be duplicates.

    The hash is DuckDB's own: it only narrows down what is compared, within this one fit.
    """

    def __init__(self, engine: Engine, columns: Sequence[str]) -> None:
        self._engine, self._columns, self._lock = engine, ", ".join(map(quoted, columns)), Lock()
        self._twice: Any = None

    def keep_hashes(self, _: Engine, __: Shard, tables: Iterator[Any]) -> None:
        """Keep the hashes of a shard's rows."""
        for table in tables:
            with self._lock, memory_told():
                self._engine.keep("hashes", table, f"SELECT hash({self._columns}) AS h FROM batch")

    def suspects(self) -> bool:
        """Look for hashes that occur twice; whether there are any."""
        import numpy as np

        self._twice = np.array([], dtype=np.uint64)
        if self._engine.has("hashes"):
            query = "SELECT h FROM hashes GROUP BY h HAVING count(*) > 1 ORDER BY h"
            with memory_told():
                found = [batch.column(0).to_numpy() for batch in self._engine.batches(query)]
                self._engine.execute("DROP TABLE hashes")
            self._twice = np.concatenate([self._twice, *found])
        return bool(len(self._twice))

    def keep_rows(self, engine: Engine, shard: Shard, tables: Iterator[Any]) -> None:
        """Keep the rows of a shard whose hash occurs twice."""
        import numpy as np
        import pyarrow as pa

        query = (
            f"SELECT hash({self._columns}) AS h, {shard.index}::BIGINT AS shard, {quoted(ROW)} AS row, "
            f"row({self._columns}) AS content FROM batch"
        )
        for table in tables:
            rows = engine.run(query, table)
            hashes = rows.column("h").to_numpy()
            at = np.minimum(np.searchsorted(self._twice, hashes), len(self._twice) - 1)
            suspected = rows.filter(pa.array(self._twice[at] == hashes))
            if suspected.num_rows:
                with self._lock, memory_told():
                    self._engine.keep("suspects", suspected)

    def write(self, path: Path) -> int:
        """Write shard and number of each row that occurs before, and return how many there are."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = pa.schema([("shard", pa.int64()), ("row", pa.int64())])
        dropped = 0
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            if self._engine.has("suspects"):
                place = "row_number() OVER (PARTITION BY h, content ORDER BY shard, row)"
                numbered = f"SELECT shard, row, {place} AS place FROM suspects"
                query = f"SELECT shard, row FROM ({numbered}) WHERE place > 1 ORDER BY shard, row"
                with memory_told():
                    for batch in self._engine.batches(query):
                        dropped += batch.num_rows
                        writer.write_batch(batch)
        return dropped
